package drstest

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"net/http"
	"strings"

	"github.com/whiteglove/whiteglove/internal/rsablob"
)

// unknownDevice returns the error for a client that is not a known device. The real service
// has the same one whether the certificate is missing or unknown.
func unknownDevice(reason string) error {
	return &refused{status: http.StatusUnauthorized, code: "AuthenticationError", subcode: "error_fail", reason: errors.New(reason)}
}

// serveLeave removes the device whose certificate authenticates the client in TLS. The
// identifier in the path must be that of the device. The object of an imported device is
// disabled and loses its certificates and keys; any other object is deleted. What the real
// service does with the object of an imported device is not public.
func (s *Server) serveLeave(w http.ResponseWriter, r *http.Request) error {
	_, id, _ := strings.Cut(strings.ToLower(s.path(r)), "/device/")
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return unknownDevice("no client certificate")
	}
	cert := r.TLS.PeerCertificates[0]
	key, err := s.leave(cert, strings.Trim(id, "/"))
	if err != nil {
		return err
	}
	reply(w, http.StatusOK, map[string]any{"AttestationResult": map[string]any{"KeyId": key}})
	return nil
}

// leave removes the device with a certificate and an identifier. It returns the SHA-256 of
// its transport key, or nothing if it has none.
func (s *Server) leave(cert *x509.Certificate, id string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.byCertificate(cert)
	switch {
	case o == nil:
		return nil, unknownDevice("no device has this certificate")
	case s.now().After(cert.NotAfter):
		return nil, unknownDevice("device certificate has expired")
	case id != o.DeviceID:
		return nil, badRequest("the certificate is that of another device")
	}
	key := []byte{}
	if o.TransportKey != nil {
		sum := sha256.Sum256(rsablob.Marshal(o.TransportKey))
		key = sum[:]
	}
	s.forget(o)
	return key, nil
}

// forget removes a device from the tenant. The caller locks.
func (s *Server) forget(o *Object) {
	s.revoke(o)
	if o.ZTDID == "" {
		s.objects.remove(o)
		return
	}
	o.Enabled, o.Owner, o.TransportKey, o.StorageKey, o.AttestationLevel = false, "", nil, nil, 0
	s.objects.update(o, func() { o.Identities, o.Certificates = nil, nil })
}
