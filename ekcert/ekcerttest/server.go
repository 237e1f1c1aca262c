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

// A Server is a maker's CA for endorsement keys, as described at the top of the package.
// Known or AnyEK must be set: its zero value certifies no key. Keys that it lacks are made
// when first needed. Fields must not be changed once it is in use; its
// methods may be called by several goroutines, and so may its hooks.
type Server struct {
	// Authority is the CA. If nil, a root and a CA under it are made.
	Authority *sceptest.Authority

	// Vendors are the makers whose TPMs are certified, as short names or TCG
	// vendor IDs. If nil, only "SIM0" is.
	Vendors []string

	// Known reports whether the maker made a TPM with this endorsement key,
	// according to the records of its factory. A challenge cannot prove that: see the
	// package documentation. If nil, no key is known, and all are refused
	// ("ek-unknown") unless AnyEK is set.
	Known func(tpm TPM) bool

	// AnyEK, if Known is nil, certifies every key whose maker is in Vendors, even a
	// key in software. It is for tests with emulated TPMs: a certificate of such a
	// CA proves nothing about a TPM.
	AnyEK bool

	// AtRisk, if set, returns the advisory because of which a TPM is at risk, such
	// as "CVE-2019-16863", or "" if it is not at risk.
	AtRisk func(tpm TPM) string

	// Revoked, if set, reports whether an endorsement key is revoked. It gets the
	// SHA-256 of the key's SubjectPublicKeyInfo in DER.
	Revoked func(spkiSHA256 [32]byte) bool

	// Caps is the answer to GetCACaps. If nil, it is what the profile needs.
	Caps scep.Caps

	// Fail, if set, may answer a request in the server's place; see
	// [sceptest.Server].
	Fail func(op string, w http.ResponseWriter) bool

	Now    func() time.Time // current time; if nil, time.Now
	Logger *slog.Logger     // receives the refusals; if nil, nothing is logged

	once      sync.Once
	err       error // of making the keys
	authority *sceptest.Authority
	scep      *sceptest.Server
	open      challenges
	refusals  refusal.Log
}

// A TPM is the description of a TPM in a request.
type TPM struct {
	Vendor  string // short name of the maker
	Model   string // part number or name
	Version string // of the firmware, such as "id:00070055"
	EK      crypto.PublicKey
}

// defaultCaps are the capabilities that the profile needs.
var defaultCaps = scep.Caps{"POSTPKIOperation", "SHA-256", "AES", "AES128", "EndorsementKeyEnrollment"}

// start makes the keys and the SCEP server at the first call.
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

// newAuthority returns Authority, or a new CA if it is nil.
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

// ServeHTTP implements [http.Handler]. It answers the operations of SCEP at every path.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.start()
	if s.err != nil {
		s.refusals.Add(s.Logger, "start", s.err)
		http.Error(w, "the CA has no keys", http.StatusInternalServerError)
		return
	}
	s.scep.ServeHTTP(w, r)
}

// Roots returns a pool with the CA's root, for an entry of [ekcert.Roots]. It is empty
// if the keys could not be made.
func (s *Server) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	if certs := s.Certificates(); len(certs) > 0 {
		pool.AddCert(certs[len(certs)-1])
	}
	return pool
}

// Certificates returns the certificates of the CA and of the CAs above it, root last. It
// returns nil if the keys could not be made.
func (s *Server) Certificates() []*x509.Certificate {
	s.start()
	if s.err != nil {
		return nil
	}
	return append([]*x509.Certificate{s.authority.Certificate}, s.authority.Parents...)
}

// Refusals returns the newest refusals, at most 1000, oldest first. Each is "operation:
// reason", such as "PKCSReq: tpm-revoked".
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

// vendors returns Vendors or its default.
func (s *Server) vendors() []string {
	if s.Vendors != nil {
		return s.Vendors
	}
	return []string{"SIM0"}
}

// knows reports whether the CA certifies the TPMs of a maker.
func (s *Server) knows(vendor string) bool {
	return slices.ContainsFunc(s.vendors(), func(v string) bool {
		return vendor != "" && ekcert.VendorName(v) == vendor
	})
}
