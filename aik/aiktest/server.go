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

// A Server is an [http.Handler] that acts as an attestation CA for the TPMs of some
// makers. It has one authority for each CA that issues endorsement certificates, and
// answers HTTP status 404 for any other. The name of the authority, such as
// "INTC-KeyId-" and 40 hexadecimal digits, is the first label of the request's host or
// a segment of its path.
//
// The zero value knows no TPM maker, so it answers 404 to everything. The fields must
// not be changed once the server is in use. Its methods may be called by several
// goroutines at once.
type Server struct {
	// Makers are the CAs that issue endorsement certificates. There is no
	// authority for a CA that does not lead to EKRoots for the maker in the name
	// of the authority.
	Makers []*x509.Certificate

	// EKRoots are the roots that endorsement certificates must lead to, by maker.
	EKRoots ekcert.Roots

	// Intermediates are further issuers of endorsement certificates. If nil, a
	// client has to send all issuers, as is usual.
	Intermediates *x509.CertPool

	// Deny reports whether the endorsement key with a given SHA-256 of its
	// SubjectPublicKeyInfo is refused. If it is nil, none is.
	Deny func(ek [32]byte) bool

	// Caps are the capabilities that GetCACaps returns. If nil, they are those
	// of the CA of Windows.
	Caps scep.Caps

	// Quirks are the faults and unusual forms of the SCEP messages. The CA of
	// Windows has sceptest.QuirkRepeatedNonce, which weakens the check of replays.
	Quirks sceptest.Quirk

	// Expiry is the time that a client has for its answer. If 0, it is five
	// minutes.
	Expiry time.Duration

	// Fail may answer an operation ("GetCACaps", "GetCACertChain" or
	// "PKIOperation") instead of the server. It returns true if it has answered.
	// It may be nil.
	Fail func(op string, w http.ResponseWriter) bool

	Now    func() time.Time // if nil, time.Now
	Logger *slog.Logger     // if nil, nothing is logged

	refusals refusal.Log
	fault    atomic.Int64 // a Fault

	mu          sync.Mutex
	root        *sceptest.Authority
	authorities map[string]*authority // by name in lower case
}

// caps are the capabilities of the CA of Windows.
var caps = scep.Caps{"SHA-256", "SHA-1", "AES256", "AES128", "DES3", "POSTPKIOperation", "IdentityKeyAttestation", "GetCaCertChain"}

// ServeHTTP implements [http.Handler].
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

// answer writes an error message in the form of the real service.
func answer(w http.ResponseWriter, status int, message string) {
	body, err := json.Marshal(struct{ Message string }{message})
	if err != nil {
		body = []byte("{}")
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// mark separates the maker and the key identifier in the name of an authority.
const mark = "-keyid-"

// authorityName returns the name of the authority that a request is for, in lower
// case.
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

// Certificates returns the certificates of the authorities that have been used so far,
// followed by that of their root.
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

// Refusals returns the refusals of the server, each as "operation: reason": first
// those for authorities that do not exist, then those of each authority, in the order
// in which they happened.
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
