package ekcerttest

import (
	"crypto"
	"crypto/x509"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/internal/refusal"
	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// A Server is a maker's CA for endorsement keys. Its zero value certifies those
// of the emulated TPMs of attesttest. Keys that it is not given are made when first needed.
// Fields must not be changed once it is in use.
type Server struct {
	// Authority is the CA, with its parents. If nil, one is made.
	Authority *sceptest.Authority

	// Vendors are the short names of the makers whose TPMs are certified, see
	// [ekcert.VendorName]. If nil, only "SIM0".
	Vendors []string

	// AtRisk, if set, returns the advisory that a TPM is at risk by, or "".
	AtRisk func(tpm TPM) string

	// Revoked, if set, reports whether an endorsement key is revoked, by the
	// SHA-256 of its SubjectPublicKeyInfo.
	Revoked func(spkiSHA256 [32]byte) bool

	// Caps are what GetCACaps answers. If nil, what the profile needs.
	Caps scep.Caps

	// Fail, if set, may answer an operation in the server's place, see
	// [sceptest.Server].
	Fail func(op string, w http.ResponseWriter) bool

	Now    func() time.Time // if nil, time.Now
	Logger *slog.Logger     // if nil, nothing is logged

	once      sync.Once
	err       error // of making the keys
	authority *sceptest.Authority
	scep      *sceptest.Server
	open      challenges
	refusals  refusal.Log
}

// A TPM is what a request says of one.
type TPM struct {
	Vendor  string // short name of the maker
	Model   string
	Version string // of the firmware, "id:00070055"
	EK      crypto.PublicKey
}

// defaultCaps are what the profile needs.
var defaultCaps = scep.Caps{"POSTPKIOperation", "SHA-256", "AES", "AES128", "EndorsementKeyEnrollment"}

// start makes the keys and the SCEP server.
func (s *Server) start() {
	s.once.Do(func() {
		if s.authority, s.err = s.newAuthority(); s.err != nil {
			return
		}
		caps := s.Caps
		if caps == nil {
			caps = slices.Clone(defaultCaps)
		}
		s.scep = &sceptest.Server{
			Authority: s.authority,
			RA:        true,
			Caps:      caps,
			CheckCSR:  s.checkCSR,
			Challenge: s.challenge,
			Check:     s.check,
			Issue:     s.issue,
			Fail:      s.Fail,
			Now:       s.Now,
			Logger:    s.Logger,
		}
	})
}

func (s *Server) newAuthority() (*sceptest.Authority, error) {
	if s.Authority != nil {
		return s.Authority, nil
	}
	root, err := sceptest.NewAuthority("Test TPM EK Root CA", nil, nil)
	if err != nil {
		return nil, err
	}
	return sceptest.NewAuthority("Test TPM EK Issuing CA", root, nil)
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.start()
	if s.err != nil {
		s.refusals.Add(s.Logger, "start", s.err)
		http.Error(w, "the CA has no keys", http.StatusInternalServerError)
		return
	}
	s.scep.ServeHTTP(w, r)
}

// Roots returns a pool with the CA's root, for the entries of [ekcert.Roots].
func (s *Server) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	if certs := s.Certificates(); len(certs) > 0 {
		pool.AddCert(certs[len(certs)-1])
	}
	return pool
}

// Certificates returns the certificate of the CA and that of its root, root
// last.
func (s *Server) Certificates() []*x509.Certificate {
	s.start()
	if s.err != nil {
		return nil
	}
	return append([]*x509.Certificate{s.authority.Certificate}, s.authority.Parents...)
}

// Refusals returns why the server refused what it refused, oldest first, each
// as "operation: reason".
func (s *Server) Refusals() []string {
	s.start()
	if s.err != nil {
		return s.refusals.Refusals()
	}
	return s.scep.Refusals()
}

func (s *Server) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

func (s *Server) vendors() []string {
	if s.Vendors != nil {
		return s.Vendors
	}
	return []string{"SIM0"}
}

// knows reports whether the CA certifies TPMs of a maker.
func (s *Server) knows(vendor string) bool {
	return slices.ContainsFunc(s.vendors(), func(v string) bool {
		return vendor != "" && ekcert.VendorName(v) == vendor
	})
}
