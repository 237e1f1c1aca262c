package sceptest

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/kept"
	"github.com/whiteglove/whiteglove/internal/refusal"
	"github.com/whiteglove/whiteglove/scep"
)

// A Server is a SCEP server and its CA. Its zero value certifies every
// well-formed request. Fields must not be changed once it is in use; its methods
// may be called by several goroutines, and so may its hooks.
//
// # Hooks
//
// CheckCSR, Issue, Challenge and Check may refuse a request by an error. If the
// error is or wraps a [*scep.Error] with an HTTPStatus, the answer has that
// status, the Message in JSON and the RetryAfter. Without HTTPStatus, the answer
// is a CertRep with the FailInfo, or badRequest if there is none, and the Message as
// failInfoText. Any other error is answered with badRequest and its text. All
// hooks of a transaction get the same [Request].
type Server struct {
	// Authority issues the certificates. If nil, a root and a CA under it are
	// made. Its key must be an *rsa.PrivateKey unless RA is set.
	Authority *Authority

	// RA makes the server use two more certificates: one signs its replies, the
	// other receives requests, as with Windows's attestation CA. If false,
	// Authority does both.
	RA bool

	// Caps is the answer to GetCACaps. If nil, it is all of RFC 8894 but the
	// legacy algorithms, and GetNextCACert if Next is set. Messages with SHA-1 or
	// triple DES are refused unless it has "SHA-1" or "DES3", and RenewalReq is
	// refused unless it has "Renewal".
	Caps scep.Caps

	// Password is the challengePassword that a CSR must have. A renewal may have
	// none, but no wrong one. If empty, passwords are not checked.
	Password string

	// Pending, if set, is asked whether a request must wait for approval, and
	// asked again at each CertPoll until it returns false.
	Pending func(req *Request) bool

	// Next is the CA that will replace Authority. If it is nil, GetNextCACert is
	// refused.
	Next *Authority

	// Quirks are the faults of the server's replies, and what it does in an unusual form.
	Quirks Quirk

	// CheckCSR, if set, checks the proof of possession in a CSR. If nil, the
	// CSR's signature is checked.
	CheckCSR func(req *Request) error

	// Issue, if set, returns the certificate for a request, usually by
	// [Request.Certify]. It must be for the key of the CSR. If nil, the
	// certificate has the subject and names of the CSR, is for TLS clients, and
	// is valid for a year.
	Issue func(req *Request) (*x509.Certificate, error)

	// Challenge, if set, returns the content of a challenge that the client must
	// answer before a certificate is issued, and Check checks the content of the
	// answer. Both must be set or neither, and Caps should have a capability that
	// announces challenges. A challenge can be answered once.
	Challenge func(req *Request) ([]byte, error)
	Check     func(req *Request, answer []byte) error

	// Fail, if set, may answer a request in the server's place: it reports
	// whether it did. op is "GetCACaps", "GetCACert", "GetCACertChain",
	// "GetNextCACert" or "PKIOperation".
	Fail func(op string, w http.ResponseWriter) bool

	Now    func() time.Time // current time; if nil, time.Now
	Logger *slog.Logger     // receives the refusals; if nil, nothing is logged

	refusals refusal.Log
	once     sync.Once
	keys     *keys
	keysErr  error

	mu         sync.Mutex
	nonces     kept.Map[string, string] // their transactions
	challenged kept.Map[string, *Request]
	waiting    kept.Map[string, *Request]          // by transaction
	issued     kept.Map[string, *x509.Certificate] // by serial number
	revoked    []x509.RevocationListEntry          // oldest first
}

// A Request is a client's request for a certificate, as hooks of [Server] see it.
// The server checked all of it that the hook is not there to check.
type Request struct {
	TransactionID string
	CSR           []byte              // PKCS #10, DER, as the client sent it
	PublicKey     crypto.PublicKey    // key of the CSR
	Signer        *x509.Certificate   // signed the message
	Renews        *x509.Certificate   // Signer, if this CA issued it; nil in a first enrollment
	Extra         []*x509.Certificate // the other certificates in the message, in its order
	Attributes    []scep.Attribute    // signed attributes that RFC 8894 does not define
	Header        http.Header         // of the HTTP request
	Data          any                 // for the hooks; the server does not use it

	server *Server
	parsed *x509.CertificateRequest // nil until it was parsed
}

// Decrypt returns the content of a ContentInfo with EnvelopedData, in BER or DER,
// that was encrypted to [Server.Recipient], such as one in the CSR. The error
// says that it cannot be parsed or decrypted; a hook may return it.
func (r *Request) Decrypt(der []byte) ([]byte, error) {
	content, _, err := r.server.keys.decrypt(der)
	return content, err
}

// Certify returns a certificate for the key of the CSR, signed by the CA. It
// takes template as [Authority.Issue] does, but the validity begins a minute
// before the server's Now where template does not say. The error is that of
// [Authority.Issue].
func (r *Request) Certify(template *x509.Certificate) (*x509.Certificate, error) {
	if template == nil {
		return nil, errors.New("sceptest: no template")
	}
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

// ready returns the keys, which it makes at the first call.
func (s *Server) ready() (*keys, error) {
	s.once.Do(func() { s.keys, s.keysErr = s.makeKeys() })
	return s.keys, s.keysErr
}

// caps returns Caps or its default.
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

// Roots returns a pool with the CA's root, for [scep.Client.Roots]. It is empty
// if Authority cannot be used; the answer to any request then says why.
func (s *Server) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	if chain := s.Certificates(); len(chain) > 0 {
		pool.AddCert(chain[len(chain)-1])
	}
	return pool
}

// Certificates returns the certificates of the CA and of the CAs above it, root
// last. It returns nil if Authority cannot be used.
func (s *Server) Certificates() []*x509.Certificate {
	k, err := s.ready()
	if err != nil {
		return nil
	}
	return k.authority.chain()
}

// Recipient returns the certificate to which clients encrypt their requests. It
// returns nil if Authority cannot be used.
func (s *Server) Recipient() *x509.Certificate {
	k, err := s.ready()
	if err != nil {
		return nil
	}
	return k.recipient
}

// Refusals returns the newest refusals, at most 1000, oldest first. Each is
// "operation: reason", such as "PKCSReq: wrong challengePassword".
func (s *Server) Refusals() []string { return s.refusals.Refusals() }

// attributes converts attributes to those of package scep.
func attributes(in []cms.Attribute) []scep.Attribute {
	var out []scep.Attribute
	for _, a := range in {
		out = append(out, scep.Attribute{Type: a.Type, Value: asn1.RawValue{FullBytes: a.Value}})
	}
	return out
}
