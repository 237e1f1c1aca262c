package aiktest

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"

	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/internal/wcce"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// An authority certifies keys of the TPMs whose endorsement certificates come from one
// CA.
type authority struct {
	server *Server
	vendor string // as in EKRoots, but in upper or lower case
	maker  *x509.Certificate
	ca     *sceptest.Authority
	scep   *sceptest.Server

	mu        sync.Mutex
	foreignRA *sceptest.Server // see ForeignRA
	last      *recorded        // see ReplayedReply
}

// refusals returns the refusals of the authority.
func (a *authority) refusals() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := a.scep.Refusals()
	if a.foreignRA != nil {
		all = append(all, a.foreignRA.Refusals()...)
	}
	return all
}

// serve answers a request, with the current fault.
func (a *authority) serve(w http.ResponseWriter, r *http.Request) {
	done, err := a.misbehave(w, r)
	switch {
	case err != nil:
		a.server.refuse("authority", err)
		answer(w, http.StatusInternalServerError, "The authority cannot be set up")
	case !done:
		a.scep.ServeHTTP(w, r)
	}
}

// maxAuthorities limits the authorities of a server. Otherwise, with roots for every
// maker, requests could make it generate any number of keys.
var maxAuthorities = 64

// vendorForm is the form of a vendor ID in the name of an authority, in lower case:
// up to four letters and digits, or any four bytes in hexadecimal.
var vendorForm = regexp.MustCompile(`^([0-9a-z]{1,4}|[0-9a-f]{8})$`)

// authority returns the authority with a name, and makes it if it was not used before.
// It returns nil if there is none.
func (s *Server) authority(name string) (*authority, error) {
	vendor, id, _ := strings.Cut(name, mark)
	keyID, err := hex.DecodeString(id)
	if err != nil || len(keyID) == 0 || !vendorForm.MatchString(vendor) {
		return nil, nil
	}
	maker := s.maker(vendor, keyID)
	if maker == nil {
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.authorities[name]; a != nil {
		return a, nil
	}
	if len(s.authorities) == maxAuthorities {
		return nil, fmt.Errorf("over %d authorities", maxAuthorities)
	}
	a, err := s.newAuthority(vendor, maker)
	if err != nil {
		return nil, err
	}
	if s.authorities == nil {
		s.authorities = make(map[string]*authority)
	}
	s.authorities[name] = a
	return a, nil
}

// maker returns the CA with a key identifier if it leads to the roots of its maker,
// else nil.
func (s *Server) maker(vendor string, keyID []byte) *x509.Certificate {
	issuers := x509.NewCertPool()
	if s.Intermediates != nil {
		issuers = s.Intermediates.Clone()
	}
	for _, m := range s.Makers {
		issuers.AddCert(m)
	}
	for _, m := range s.Makers {
		if !m.IsCA || !bytes.Equal(m.SubjectKeyId, keyID) {
			continue
		}
		for name, roots := range s.EKRoots {
			if name != "" && !strings.EqualFold(name, vendor) || roots == nil {
				continue
			}
			_, err := m.Verify(x509.VerifyOptions{
				Roots: roots, Intermediates: issuers, CurrentTime: s.now(),
				KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
			})
			if err == nil {
				return m
			}
		}
	}
	return nil
}

// makeRoot makes the root of all authorities. The caller holds s.mu.
func (s *Server) makeRoot() error {
	if s.root != nil {
		return nil
	}
	root, err := sceptest.NewAuthority("whiteglove test TPM Root Certificate Authority", nil,
		&x509.Certificate{NotBefore: s.now().Add(-backdate)})
	s.root = root
	return err
}

// newAuthority makes an authority like those of the real service: a CA for one key
// identifier, with RA certificates below it. The caller holds s.mu.
func (s *Server) newAuthority(vendor string, maker *x509.Certificate) (*authority, error) {
	if err := s.makeRoot(); err != nil {
		return nil, err
	}
	policy, err := x509.OIDFromInts(oidInts(wcce.OIDEKVerifyCert))
	if err != nil {
		return nil, err
	}
	name := strings.ToUpper(fmt.Sprintf("TST-%s%s%x", vendor, mark, maker.SubjectKeyId))
	ca, err := sceptest.NewAuthority(name, s.root, &x509.Certificate{
		NotBefore:          s.now().Add(-backdate),
		NotAfter:           s.now().AddDate(6, 0, 0),
		KeyUsage:           x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		MaxPathLenZero:     true,
		UnknownExtKeyUsage: []asn1.ObjectIdentifier{wcce.OIDRAEncryption, wcce.OIDKeyPurposeAIK},
		Policies:           []x509.OID{policy},
	})
	if err != nil {
		return nil, err
	}
	a := &authority{server: s, vendor: vendor, maker: maker, ca: ca}
	a.scep = a.newSCEP(ca)
	return a, nil
}

// newSCEP returns the SCEP server of a whose registration authority belongs to ca.
func (a *authority) newSCEP(ca *sceptest.Authority) *sceptest.Server {
	s := a.server
	out := &sceptest.Server{
		Authority: ca, RA: true, Caps: s.Caps, Quirks: s.Quirks,
		CheckCSR: a.checkCSR, Challenge: a.challenge, Check: a.checkAnswer, Issue: a.issue,
		Fail: s.Fail, Now: s.Now, Logger: s.Logger,
	}
	if out.Caps == nil {
		out.Caps = caps
	}
	return out
}

// oidInts returns the arcs of id.
func oidInts(id asn1.ObjectIdentifier) []uint64 {
	out := make([]uint64, len(id))
	for i, n := range id {
		out[i] = uint64(n)
	}
	return out
}

// ekClient returns the client that checks endorsement certificates.
func (s *Server) ekClient() *ekcert.Client {
	roots := s.EKRoots
	if s.commits(UntrustedEK) {
		roots = ekcert.Roots{"": x509.NewCertPool()}
	}
	return &ekcert.Client{Roots: roots, Intermediates: s.Intermediates, Now: s.Now, Logger: s.Logger}
}
