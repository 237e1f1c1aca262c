package aiktest

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/internal/refusal"
	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// A Server is an attestation CA for the TPMs of some makers. It has an
// authority of its own for each CA that issues endorsement certificates, and
// answers 404 for any other. The authority's name, such as "INTC-KeyId-" and 40
// hexadecimal digits, is the first label of the request's host or a segment of
// its path.
//
// The zero value knows no TPM maker. Fields must not be changed once the server
// is in use; its methods may be called by several goroutines.
type Server struct {
	// Makers are the CAs that issue endorsement certificates. One that does
	// not lead to EKRoots for the maker in the authority's name has none.
	Makers []*x509.Certificate

	// EKRoots are what endorsement certificates must lead to, by maker.
	EKRoots ekcert.Roots

	// Intermediates help with that. If nil, a client has to send all issuers
	// of its endorsement certificate, as is usual.
	Intermediates *x509.CertPool

	// Deny reports whether an endorsement key is not to be trusted, by the
	// SHA-256 of its SubjectPublicKeyInfo. If nil, none is.
	Deny func(ek [32]byte) bool

	// Caps are what GetCACaps answers. If nil, they are those of the CA of
	// Windows.
	Caps scep.Caps

	// Expiry is the time a client has for its answer. If 0, five minutes.
	Expiry time.Duration

	// Fail, if set, may answer an operation ("GetCACaps", "GetCACertChain",
	// "PKIOperation") in the server's place.
	Fail func(op string, w http.ResponseWriter) bool

	Now    func() time.Time // if nil, time.Now
	Logger *slog.Logger     // if nil, nothing is logged

	refusals refusal.Log
	fault    atomic.Int64 // a Fault

	mu          sync.Mutex
	root        *sceptest.Authority
	authorities map[string]*authority // by name in lower case
}

// caps are those of the CA of Windows.
var caps = scep.Caps{"SHA-256", "SHA-1", "AES256", "AES128", "DES3", "POSTPKIOperation", "IdentityKeyAttestation", "GetCaCertChain"}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := authorityName(r)
	a, err := s.authority(name)
	switch {
	case err != nil:
		s.refuse("authority", err)
		answer(w, http.StatusInternalServerError, "The authority cannot be set up")
	case a == nil, s.commits(UnknownAuthority):
		s.refuse("authority", fmt.Errorf("%q does not exist", name))
		answer(w, http.StatusNotFound, fmt.Sprintf("The authority %q does not exist", name))
	default:
		a.serve(w, r)
	}
}

// answer writes a message as the real service does.
func answer(w http.ResponseWriter, status int, message string) {
	body, err := json.Marshal(struct{ Message string }{message})
	if err != nil {
		body = []byte("{}")
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// mark is between an authority's maker and key identifier.
const mark = "-keyid-"

// authorityName returns the name of the authority that is asked, in lower case.
func authorityName(r *http.Request) string {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	label, _, _ := strings.Cut(host, ".")
	for _, s := range append([]string{label}, strings.Split(r.URL.Path, "/")...) {
		if s = strings.ToLower(s); strings.Contains(s, mark) {
			return s
		}
	}
	return strings.ToLower(host)
}

// Roots returns a pool with the root of all authorities.
func (s *Server) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	if certs := s.Certificates(); len(certs) > 0 {
		pool.AddCert(certs[len(certs)-1])
	}
	return pool
}

// Certificates returns the certificates of the authorities that have been
// asked so far, and of their root, which is last.
func (s *Server) Certificates() []*x509.Certificate {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.makeRoot() != nil {
		return nil
	}
	var certs []*x509.Certificate
	for _, name := range slices.Sorted(maps.Keys(s.authorities)) {
		certs = append(certs, s.authorities[name].ca.Certificate)
	}
	return append(certs, s.root.Certificate)
}

// Refusals returns why the server refused what it refused, each as "operation:
// reason": first, the authorities that do not exist, then by authority, oldest
// first.
func (s *Server) Refusals() []string {
	all := s.refusals.Refusals()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(s.authorities)) {
		all = append(all, s.authorities[name].refusals()...)
	}
	return all
}

func (s *Server) refuse(op string, reason error) { s.refusals.Add(s.Logger, op, reason) }

func (s *Server) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}
