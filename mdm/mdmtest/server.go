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

	"github.com/whiteglove/whiteglove/internal/refusal"
)

// Paths of the server, below its base.
const (
	DiscoveryPath  = "/EnrollmentServer/Discovery.svc"
	policyPath     = "/EnrollmentServer/Policy.svc"
	enrollmentPath = "/EnrollmentServer/Enrollment.svc"
	sessionPath    = "/ManagementServer/MDM.svc"
)

// What a Server with empty fields expects of tokens.
const (
	DefaultTenantID = "3f0d6c1e-52a4-4b8e-9a57-1c2d7be04f69"
	DefaultResource = "https://enrollment.manage.microsoft.com/"
)

// minimalKeyLength is that of the server's policy, in bits.
const minimalKeyLength = 2048

// A Server is a management server with one tenant. It accepts no token until
// TokenKey is set; all else has defaults. It is safe for concurrent use; its
// fields are not to be changed once it serves.
type Server struct {
	// BaseURL is where the server is reached, without a slash at its end. If
	// empty, the root of the host of each request. The path of BaseURL may be
	// in a request's path or stripped from it.
	BaseURL string

	// TokenKey returns the key that tokens must be signed with, RS256. If it
	// is nil or returns nil, every token is refused.
	TokenKey func() *rsa.PublicKey

	Issuer   string // iss of tokens; if empty, "https://sts.windows.net/" + TenantID + "/"
	TenantID string // tid of tokens; if empty, DefaultTenantID
	Resource string // aud of tokens; if empty, DefaultResource

	// Registered, if set, reports whether the device of a registration may
	// enroll: the GUID, in lower case, in the item ZeroTouchProvisioning,
	// which then is required. If nil, devices need no registration.
	Registered func(ztdID string) bool

	// Users, if set, reports whether the user with the given upn may enroll a
	// device with a token of the user's. If nil, tokens of users are refused.
	Users func(upn string) bool

	// Passwords, if set, reports whether a user has a password.
	Passwords func(user, password string) bool

	// OpaqueTokens, if set, returns whose a token is that is no JWT, and whether
	// it is good.
	OpaqueTokens func(token string) (user string, ok bool)

	// Deny, if set, is asked before a request is granted: "Policy", "Enroll",
	// "Renew" or "Recover" of a device. It returns nil to grant it.
	Deny func(op, deviceID string) *Denial

	// RequireAttestation makes a claim over the management key obligatory.
	RequireAttestation bool

	// DeviceKey, if set, returns the key that a device has in the directory,
	// which AADPub must then be, or nil if the device is not known.
	DeviceKey func(directoryID string) crypto.PublicKey

	// EnrollmentVersion is the newest version that the server knows, "3.0" to
	// "9.0". If empty, "5.0".
	EnrollmentVersion string

	// RenewBefore is how long before its end a certificate may be renewed. If
	// 0, at any time.
	RenewBefore time.Duration

	// Quirks are what the server does otherwise than the specification has it.
	Quirks Quirks

	// Session is what the server does in management sessions.
	Session SessionConfig

	// AIKRoots, if set, must lead to every attestation key certificate that
	// a request has.
	AIKRoots *x509.CertPool

	Now    func() time.Time // if nil, time.Now
	Logger *slog.Logger     // if nil, nothing is logged

	once     sync.Once
	setupErr error
	ca       *authority
	log      refusal.Log

	mu       sync.Mutex
	devices  map[string]*device  // by DeviceID
	owners   map[[32]byte]string // DeviceID by SHA-256 of a management certificate
	keys     map[string]string   // DeviceID by SHA-256 of a management key
	enrolled []*x509.Certificate
}

// ServeHTTP implements [http.Handler].
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

// answer answers a SOAP request, with a fault if it is not granted.
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
	req, err := readEnvelope(body, op, s.base(r)+op.path)
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

// plain refuses a request that no fault can answer.
func (s *Server) plain(w http.ResponseWriter, op string, status int, reason error) {
	s.log.Add(s.Logger, op, reason)
	http.Error(w, reason.Error(), status)
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

// base returns the URL under which a request reached the server.
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

// Refusals returns what the server refused, oldest first, each as
// "operation: reason".
func (s *Server) Refusals() []string { return s.log.Refusals() }

// Enrolled returns the management certificates issued so far, oldest first.
func (s *Server) Enrolled() []*x509.Certificate {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*x509.Certificate(nil), s.enrolled...)
}
