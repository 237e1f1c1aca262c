package mdmtest

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/whiteglove/whiteglove/internal/syncml"
)

// errUnknownClient means that a message came without the certificate of its
// device.
var errUnknownClient = errors.New("the client certificate is not that of a managed device")

// deviceOf returns the device that sends a message with a source, and its EntDMID,
// or nil if there is none. The caller holds s.mu.
func (s *Server) deviceOf(r *http.Request, source string) (*managed, string) {
	key := deviceKey(source)
	if s.Session.Quirks.AnySource && r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		key = s.owners[sha256.Sum256(r.TLS.PeerCertificates[0].Raw)]
	}
	known := s.devices[key]
	if known == nil {
		return nil, ""
	}
	if s.Session.devices == nil {
		s.Session.devices = make(map[string]*managed)
	}
	if s.Session.devices[key] == nil {
		s.Session.devices[key] = &managed{key: key}
	}
	return s.Session.devices[key], known.id
}

// checkClient checks the certificate of a TLS client. The server must have
// issued it for this device, and it must be valid.
func (s *Server) checkClient(r *http.Request, dev *managed, entID string) error {
	if dev == nil {
		return fmt.Errorf("%w: no device has the source", errUnknownClient)
	}
	if s.Session.Quirks.TrustSource {
		return nil
	}
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return fmt.Errorf("%w: there is none", errUnknownClient)
	}
	cert := r.TLS.PeerCertificates[0]
	if !s.issued(cert) || cert.Subject.CommonName != entID {
		return fmt.Errorf("%w: %.100q", errUnknownClient, cert.Subject)
	}
	if now := s.now(); now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		return fmt.Errorf("%w: it is not valid now", errUnknownClient)
	}
	return nil
}

// issued reports whether the server issued a certificate.
func (s *Server) issued(cert *x509.Certificate) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.owners[sha256.Sum256(cert.Raw)]
	return ok
}

// prove checks the digest of a device. It challenges the device if the digest
// is missing or wrong.
func (s *Server) prove(dev *managed, entID string, m *syncMessage, out *outgoing) ([]byte, error) {
	h, d := m.Header[0], dev.session
	if d.nonce != nil && len(h.Cred) == 1 && len(m.Body[0].Commands) > 0 {
		want := syncml.Digest(entID, s.Session.DigestSecret, d.nonce)
		c := h.Cred[0]
		switch {
		case h.Source.Name != entID || c.Meta.Type != syncml.TypeMD5 || c.Meta.Format != "b64":
			return nil, fmt.Errorf("credentials of %.60q of type %.60q", h.Source.Name, c.Meta.Type)
		case subtle.ConstantTimeCompare([]byte(want), []byte(c.Data)) == 1:
			first := m.Body[0].Commands[0]
			if first.name() != "Status" || only(first.Cmd) != "SyncHdr" || only(first.MsgRef) != strconv.Itoa(d.own) {
				return nil, errors.New("the challenge's message has no Status")
			}
			m.Body[0].Commands = m.Body[0].Commands[1:]
			d.proven = true
			return s.work(dev, m, out, 212)
		}
	}
	d.nonce = []byte(rand.Text())
	d.own++
	out.msgID = strconv.Itoa(d.own)
	code := 401
	if len(h.Cred) == 0 {
		code = 407
	}
	out.statuses = []outStatus{{h.MsgID, "0", "SyncHdr", code, base64.StdEncoding.EncodeToString(d.nonce)}}
	w := &syncWriter{quirks: s.Session.Quirks}
	w.message(out)
	return []byte(w.String()), nil
}
