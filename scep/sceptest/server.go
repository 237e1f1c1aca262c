package sceptest

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/refusal"
	"github.com/whiteglove/whiteglove/scep"
)

// A Server is a SCEP server and its CA. Its zero value certifies every
// well-formed request. Fields must not be changed once it is in use.
type Server struct {
	// Authority issues the certificates. If nil, a root and a CA under it are
	// made. Without RA its key must be an *rsa.PrivateKey.
	Authority *Authority

	// RA has separate certificates sign replies and receive requests.
	RA bool

	// Caps are what GetCACaps answers; if nil, those of RFC 8894. Messages in
	// SHA-1 or triple DES are refused unless "SHA-1" or "DES3" is named, and
	// so is a RenewalReq without "Renewal".
	Caps scep.Caps

	// Password is the challengePassword that a CSR must have, but for renewals;
	// one that is there must be right in these, too. If "", none is wanted.
	Password string

	// Pending, if set, is asked whether a request is to wait, and again at
	// each CertPoll until it says no.
	Pending func(req *Request) bool

	// Next is the CA that comes after Authority: if set, GetNextCACert is
	// answered.
	Next *Authority

	// Quirks are what replies do wrong or in an unusual way.
	Quirks Quirk

	// CheckCSR, if set, is asked whether the CSR is proven, instead of its
	// signature.
	CheckCSR func(req *Request) error

	// Issue turns a request into a certificate, usually by [Request.Certify].
	// If nil, one with the CSR's subject and names for a year. It must be for the
	// key of the CSR.
	// An error that is or wraps a *scep.Error is sent as it says: if its
	// HTTPStatus is set, as that status with its Message in JSON and its
	// RetryAfter, else as a CertRep with its FailInfo and its Message. Any
	// other error is badRequest with its text. The same goes for the other
	// hooks.
	Issue func(req *Request) (*x509.Certificate, error)

	// Challenge, if set, returns the content of a challenge to be answered
	// first, and Check is asked whether the answer's content is right. Both or
	// none must be set, and Caps should name a capability that says so. A
	// challenge can be answered once. All hooks of a transaction get the same
	// Request.
	Challenge func(req *Request) ([]byte, error)
	Check     func(req *Request, answer []byte) error

	// Fail, if set, may answer an operation ("GetCACaps", "GetCACert",
	// "GetCACertChain", "PKIOperation") in the server's place.
	Fail func(op string, w http.ResponseWriter) bool

	Now    func() time.Time // if nil, time.Now
	Logger *slog.Logger     // if nil, nothing is logged

	refusals refusal.Log
	once     sync.Once
	keys     *keys
	keysErr  error

	mu         sync.Mutex
	nonces     recent[bool]
	challenged recent[*Request]
	waiting    recent[*Request]           // by transaction
	issued     recent[*x509.Certificate]  // by serial number
	revoked    []x509.RevocationListEntry // in their order
}

// A Request is what a client asked for. It is checked but for what hooks are
// there to check.
type Request struct {
	TransactionID string
	CSR           []byte           // as sent
	PublicKey     crypto.PublicKey // of the CSR
	Signer        *x509.Certificate
	Renews        *x509.Certificate   // the certificate of ours that Signer is; nil in a first enrollment
	Extra         []*x509.Certificate // sent along, in their order, without Signer
	Attributes    []scep.Attribute    // signed along, but for those of RFC 8894
	Header        http.Header         // of the HTTP request
	Data          any                 // for the hooks' own use

	server *Server
}

// Decrypt opens a ContentInfo with EnvelopedData that was made for
// [Server.Recipient], such as one within the CSR.
func (r *Request) Decrypt(der []byte) ([]byte, error) {
	content, _, err := r.server.keys.decrypt(der)
	return content, err
}

// Certify has the CA sign a certificate for the key of the CSR. A serial
// number, a subject key identifier and the validity of a year from now are
// filled in where template has none.
func (r *Request) Certify(template *x509.Certificate) (*x509.Certificate, error) {
	own := *template
	if own.NotBefore.IsZero() {
		own.NotBefore = r.server.now().Add(-time.Minute)
	}
	return r.server.keys.authority.Issue(&own, r.PublicKey)
}

func (s *Server) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

// ready makes the keys when they are first needed.
func (s *Server) ready() (*keys, error) {
	s.once.Do(func() { s.keys, s.keysErr = s.makeKeys() })
	return s.keys, s.keysErr
}

func (s *Server) caps() scep.Caps {
	if s.Caps != nil {
		return s.Caps
	}
	caps := scep.Caps{"AES", "POSTPKIOperation", "Renewal", "SCEPStandard", "SHA-256", "SHA-512"}
	if s.Next != nil {
		caps = append(caps, nextCA)
	}
	return caps
}

// Roots returns a pool with the CA's root. It is empty if the server cannot
// work; requests say why.
func (s *Server) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	if chain := s.Certificates(); len(chain) > 0 {
		pool.AddCert(chain[len(chain)-1])
	}
	return pool
}

// Certificates returns the CA's certificate and those above it, root last.
func (s *Server) Certificates() []*x509.Certificate {
	k, err := s.ready()
	if err != nil {
		return nil
	}
	return k.authority.chain()
}

// Recipient returns the certificate that requests are encrypted to.
func (s *Server) Recipient() *x509.Certificate {
	k, err := s.ready()
	if err != nil {
		return nil
	}
	return k.recipient
}

// Refusals returns why the server refused what it refused, oldest first, each
// as "operation: reason".
func (s *Server) Refusals() []string { return s.refusals.Refusals() }

// attributes turns attributes into those of package scep.
func attributes(in []cms.Attribute) []scep.Attribute {
	var out []scep.Attribute
	for _, a := range in {
		out = append(out, scep.Attribute{Type: a.Type, Value: asn1.RawValue{FullBytes: a.Value}})
	}
	return out
}

// recent keeps the newest entries by their key. The owner locks.
type recent[V any] struct {
	entries map[string]V
	order   []string
}

const mostRecent = 10000

// put adds or replaces an entry.
func (r *recent[V]) put(key string, v V) {
	if r.entries == nil {
		r.entries = make(map[string]V)
	}
	if _, ok := r.entries[key]; !ok {
		r.order = append(r.order, key)
	}
	r.entries[key] = v
	if len(r.order) > mostRecent {
		delete(r.entries, r.order[0])
		r.order = r.order[1:]
	}
}
