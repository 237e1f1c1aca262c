package mdmtest

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/whiteglove/whiteglove/internal/kept"
	"github.com/whiteglove/whiteglove/internal/refusal"
)

// DiscoveryPath is the path of the discovery service, below the server's base.
const DiscoveryPath = "/EnrollmentServer/Discovery.svc"

// Paths of the other services.
const (
	policyPath     = "/EnrollmentServer/Policy.svc"
	enrollmentPath = "/EnrollmentServer/Enrollment.svc"
	sessionPath    = "/ManagementServer/MDM.svc"
)

// The tenant and the resource (aud) of the tokens that a [Server] with empty
// fields accepts.
const (
	DefaultTenantID = "3f0d6c1e-52a4-4b8e-9a57-1c2d7be04f69"
	DefaultResource = "https://enrollment.manage.microsoft.com/"
)

// minimalKeyLength is the length of keys in the server's policy, in bits.
const minimalKeyLength = 2048

// A Server is a management server with one tenant. The zero value serves, but
// accepts no credential: set TokenKey, Passwords or OpaqueTokens. A Server is
// safe for concurrent use as long as its fields do not change. It may call
// functions in its fields concurrently.
type Server struct {
	// BaseURL is the URL of the server, without a slash at its end. If it is
	// empty, it is the root of the host of each request. Requests may come with
	// the path of BaseURL or without it.
	BaseURL string

	// TokenKey returns the key that tokens must be signed with (RS256). If it
	// is nil or returns nil, the server refuses every token.
	TokenKey func() *rsa.PublicKey

	Issuer   string // iss of tokens; if empty, "https://sts.windows.net/" + TenantID + "/"
	TenantID string // tid of tokens; if empty, DefaultTenantID
	Resource string // aud of tokens; if empty, DefaultResource

	// Registered, if not nil, reports whether the device with an Autopilot
	// registration may enroll. It gets the GUID in the context item
	// ZeroTouchProvisioning in lower case. The item is required if a device is
	// pre-provisioned or deploys itself; other enrollments, such as a user's, may
	// go without it. If Registered is nil, devices need no registration.
	Registered func(ztdID string) bool

	// Users, if not nil, reports whether a user may enroll a device with a
	// token of the user. It gets the claim upn. If it is nil, the server
	// refuses tokens of users.
	Users func(upn string) bool

	// Passwords, if not nil, reports whether a password is that of a user. If
	// it is nil, the server refuses passwords.
	Passwords func(user, password string) bool

	// OpaqueTokens, if not nil, returns the name of the user whose token it is
	// given, and whether the token is good. It gets tokens that are not JWTs.
	// If it is nil, the server refuses them.
	OpaqueTokens func(token string) (user string, ok bool)

	// Deny, if not nil, returns why a request is not granted, or nil to grant
	// it. The operation is "Policy", with the identifier of the caller, or
	// "Enroll", "Recover" or "Renew", with the DeviceID.
	Deny func(op, deviceID string) *Denial

	// RequireAttestation makes the server ask for an attestation of the
	// management key in its policy, and refuse an enrollment without one. What
	// the attestation proves depends on AIKRoots and KnownAIK: if both are nil,
	// any program can make one up with keys in software.
	RequireAttestation bool

	// Attestation is what the policy says of an attestation: "FailOnError",
	// "IgnoreOnError" or "RetryOnError". If it is empty, it is "FailOnError" with
	// RequireAttestation, and otherwise the policy says nothing.
	Attestation string

	// Azure, if not nil, is the service whose report about the management key the
	// policy asks for, from version 6.0 on: it names the service's BaseURL, a nonce
	// that is good for one enrollment, and the server's own BaseURL as the relying
	// party. The test serves it. A report is taken in the place of claims.
	Azure *AttestationServer

	// DeviceKey, if not nil, returns the key that a device has in the
	// directory, or nil if the directory does not know the device. The item
	// AADPub must be that key.
	DeviceKey func(directoryID string) crypto.PublicKey

	// EnrollmentVersion is the newest version of the protocol that the server
	// knows, from "3.0" to "9.0". If it is empty, it is "5.0", or "6.0" with Azure.
	EnrollmentVersion string

	// RenewBefore is how long before its end a certificate may be renewed. If
	// it is 0, it may be renewed at any time.
	RenewBefore time.Duration

	// Quirks are deviations from the specification in discovery and enrollment.
	Quirks Quirks

	// Session configures the management sessions.
	Session SessionConfig

	// AIKRoots, if not nil, are the roots that must have issued the certificate
	// of an attestation key, or a CA of AIKIssuers. The certificate must have
	// the extended key usage 2.23.133.8.3 (tcg-kp-AIKCertificate). It is required
	// with each attestation, unless KnownAIK is set. If AIKRoots is nil, every
	// certificate is accepted, and none is required.
	AIKRoots *x509.CertPool

	// AIKIssuers, if not nil, returns the CAs between AIKRoots and the certificates.
	// Requests do not bring them.
	AIKIssuers func() []*x509.Certificate

	// KnownAIK, if not nil, reports whether an attestation key is known to be one
	// of a TPM, such as by an earlier credential activation with a known EK. The
	// server then refuses all other attestation keys, certified or not.
	KnownAIK func(aik *rsa.PublicKey) bool

	// ClaimsOnce makes the server refuse a claim that it has accepted before. The
	// protocol has no nonce, so the server cannot tell when a claim was made, and
	// a device that repeats a request whose answer was lost needs new claims.
	ClaimsOnce bool

	// Now returns the current time. If it is nil, it is [time.Now].
	Now func() time.Time

	// Logger receives enrollments and refusals. If it is nil, nothing is
	// logged.
	Logger *slog.Logger

	once     sync.Once
	setupErr error
	ca       *authority
	log      refusal.Log

	mu       sync.Mutex
	devices  map[string]*device          // by deviceKey of DeviceID
	owners   map[[32]byte]string         // DeviceID by SHA-256 of a management certificate
	keys     map[string]string           // DeviceID by SHA-256 of a management key
	claims   map[[32]byte]bool           // SHA-256 of the statements in claims
	nonces   kept.Map[string, time.Time] // when each nonce of a policy ends, in base64url
	enrolled []*x509.Certificate
}

// ServeHTTP implements [http.Handler]. It answers the services below the
// server's base, in any letter case, and keeps the reason of each refusal.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := s.setup(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	path := s.path(r)
	op := operations[strings.ToLower(path)]
	switch {
	case strings.EqualFold(path, sessionPath):
		s.serveSession(w, r)
	case op == nil:
		s.plain(w, "Route", http.StatusNotFound, fmt.Errorf("no service at %.100q", path))
	case r.Method == http.MethodGet && op.path == DiscoveryPath && !s.Quirks.NoGET:
		w.WriteHeader(http.StatusOK) // "I am alive"
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		s.plain(w, op.name, http.StatusMethodNotAllowed, fmt.Errorf("method %.20q", r.Method))
	case !isSOAP(r):
		s.plain(w, op.name, http.StatusUnsupportedMediaType, fmt.Errorf("content type %.100q", r.Header.Get("Content-Type")))
	default:
		s.answer(w, r, op)
	}
}

// answer answers a SOAP request, with a fault if it does not grant it.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, op *operation) {
	limit := int64(maxRequest)
	if s.Quirks.SmallRequests {
		limit = smallRequest
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		s.plain(w, op.name, http.StatusRequestEntityTooLarge, err)
		return
	}
	if s.Quirks.LiteralRequests {
		if err := checkLiteral(op.name, body); err != nil {
			s.log.Add(s.Logger, op.name, err)
			hangUp(w)
			return
		}
	}
	reached := "https://" + r.Host + r.URL.Path
	if r.TLS == nil {
		reached = ""
	}
	req, err := readEnvelope(body, op, s.base(r)+op.path, reached)
	if err == nil {
		var content string
		if content, err = op.serve(s, r, req); err == nil {
			s.reply(w, http.StatusOK, s.envelope(op.response, req.messageID(), content))
			return
		}
	}
	var no *fault
	if !errors.As(err, &no) {
		no = &fault{subcode: internalFault, reason: err}
	}
	s.log.Add(s.Logger, op.name, no.reason)
	s.refuse(w, req.messageID(), no)
}

// plain refuses a request with an HTTP status and a line of text.
func (s *Server) plain(w http.ResponseWriter, op string, status int, reason error) {
	s.log.Add(s.Logger, op, reason)
	http.Error(w, refusal.Text(reason), status)
}

// isSOAP reports whether a request has the content type of SOAP 1.2.
func isSOAP(r *http.Request) bool {
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && media == "application/soap+xml" && strings.EqualFold(params["charset"], "utf-8")
}

// path returns the path of a request below the server's base.
func (s *Server) path(r *http.Request) string {
	base, err := url.Parse(s.BaseURL)
	if err != nil {
		return r.URL.Path
	}
	prefix := strings.TrimSuffix(base.Path, "/")
	if rest, ok := strings.CutPrefix(r.URL.Path, prefix); ok && strings.HasPrefix(rest, "/") {
		return rest
	}
	return r.URL.Path
}

// base returns the base URL under which a request reached the server.
func (s *Server) base(r *http.Request) string {
	switch {
	case s.BaseURL != "":
		return strings.TrimSuffix(s.BaseURL, "/")
	case r.TLS != nil:
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

func (s *Server) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

// Refusals returns the reasons of everything that the server has refused, the
// oldest first, in the form "operation: reason".
func (s *Server) Refusals() []string { return s.log.Refusals() }

// Enrolled returns the management certificates that the server has issued, the
// oldest first. The slice is a copy.
func (s *Server) Enrolled() []*x509.Certificate {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*x509.Certificate(nil), s.enrolled...)
}
