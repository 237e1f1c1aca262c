package drstest

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/internal/kept"
	"github.com/whiteglove/whiteglove/internal/refusal"
)

// The defaults of Server.Tenant and Server.TenantID.
const (
	DefaultTenant   = "contoso.test"
	DefaultTenantID = "3f0d6c1e-52a4-4b8e-9a57-1c2d7be04f69"
)

// ManagementResource is the resource for which the server issues tokens if
// Server.Resources is nil.
const ManagementResource = "https://enrollment.manage.microsoft.com/"

// JoinResource is the resource of the join, which is the audience of a token for it.
const JoinResource = "urn:ms-drs:enterpriseregistration.windows.net"

// A Server is a directory with one tenant, its registration service and its token endpoint.
// Its zero value is ready to use at the root of an [net/http/httptest.Server] or, with
// BaseURL, below any path. It has no users and no devices until they are added. Several
// goroutines may use it at the same time. Its fields must not be changed after the first
// request. In a test, its RSA keys come from a pool, which is fast, and anybody can factor
// them.
type Server struct {
	// BaseURL is the URL of the server, without a slash at the end. If empty, it is the
	// root of the host of each request. Requests may have the path of BaseURL or have it
	// stripped already.
	BaseURL string

	Tenant   string // domain of the tenant; if empty, DefaultTenant
	TenantID string // GUID of the tenant; if empty, DefaultTenantID

	// AIKRoots are the roots of attestation CAs. If nil, attestation keys need no
	// certificate, and certificates of theirs are not checked.
	AIKRoots *x509.CertPool

	// EKRoots are the roots of TPM makers. If nil, endorsement keys need no certificate,
	// and certificates of theirs are not checked.
	EKRoots ekcert.Roots

	// Clients are further OAuth clients, with the redirect URIs that are registered for
	// each. The server knows those of Windows and of open clients without it. It refuses
	// other clients, and redirect URIs that are not registered for the client.
	Clients map[string][]string

	// Resources are the resources for which joined devices and users get tokens. If nil,
	// that is only ManagementResource.
	Resources []string

	// Admit, if set, is called for an endorsement key that was not imported, after the
	// device has proved to have it. If it returns true, the server imports the key. cert
	// is the certificate of the key, verified with EKRoots; it is nil if EKRoots is nil.
	// If Admit is nil, only devices that were imported may join.
	Admit func(ek crypto.PublicKey, cert *x509.Certificate) bool

	Errors ErrorForm // form of the registration service's errors; default ErrorModern
	Reply  ReplyForm // form of replies to requests with a session; default ReplyCBC

	// Public makes the server behave as Microsoft's public service where the rest of
	// this package does more: it has no TPM challenges, gives a nonce for a join only
	// to a client with a bearer token for the join, and refuses attestations in
	// this module's own form. A device without a user joins with a ticket; see
	// IssueTicket.
	Public bool

	// Derive1 makes the server refuse version 2 of the key derivation, and list
	// capabilities without it, as older versions of AD FS. Derive2 and Public make it
	// refuse version 1, as the public service does (AADSTS5000611). Otherwise it takes both.
	Derive1, Derive2 bool

	// NoLifetime leaves refresh_token_expires_in, which is optional, out of answers with a
	// primary refresh token.
	NoLifetime bool

	// Strict encrypts session keys as in RFC 7516, with an authenticated header. The real
	// service does not.
	Strict bool

	// Delay is the duration of an answer with FaultSlow; if 0, 30 s.
	Delay time.Duration

	// Fail, if set, is called before each operation. If it returns true, it has sent the
	// answer instead of the server. op is "Discover", "Contract", "Nonce", "Challenge",
	// "Token", "DeviceCode", "Authorize", "Realm", "Metadata", "Join", "Precreate",
	// "Hybrid" or "Leave".
	Fail func(op string, w http.ResponseWriter) bool

	Now    func() time.Time // current time; if nil, time.Now
	Logger *slog.Logger     // gets each refusal; if nil, nothing is logged

	log      refusal.Log
	caOnce   sync.Once
	ca       *authority
	caErr    error
	keyOnce  sync.Once
	tokenKey *rsa.PrivateKey
	keyErr   error

	faultMu sync.Mutex
	faults  map[string]Fault // by operation

	// mu guards the following fields. What takes long, such as a signature or an answer
	// to a client, is made without it.
	mu            sync.Mutex
	objects       objects
	nonces        nonces // of the token endpoint
	drsNonces     nonces // of the registration service
	preAuthorized nonces // identifiers of challenges for joins that are authorized beforehand
	challenges    challenges
	tickets       kept.Map[string, *ticket]   // by identifier of the token
	joins         kept.Map[[32]byte, *joined] // joins without a device token, by join.hash
	users         map[string]*User            // by UPN in lower case
	refresh       kept.Map[string, grant]     // by refresh token of a user
	codes         kept.Map[string, grant]     // by authorization code
	deviceCodes   kept.Map[string, *deviceCode]
	assertions    kept.Map[string, grant]    // by identifier, of IssueSAML
	sessions      kept.Map[string, *session] // by primary refresh token
}

// authority returns the CA of device certificates. The first call makes it.
func (s *Server) authority() (*authority, error) {
	s.caOnce.Do(func() { s.ca, s.caErr = newAuthority(s.now()) })
	return s.ca, s.caErr
}

// signingKey returns the key that signs tokens. The first call makes it.
func (s *Server) signingKey() (*rsa.PrivateKey, error) {
	s.keyOnce.Do(func() { s.tokenKey, s.keyErr = newKey() })
	return s.tokenKey, s.keyErr
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	op, arg := route(s.path(r))
	if op == "" {
		http.NotFound(w, r)
		return
	}
	if op == "Leave" && r.Method == http.MethodPut {
		op = "Hybrid"
	}
	if s.Fail != nil && s.Fail(op, w) {
		return
	}
	f := s.fault(op)
	if f == FaultLost {
		lost := &lostWriter{ResponseWriter: w}
		defer lost.drop()
		w = lost
	}
	err := s.before(r, f)
	if err == nil {
		err = s.serve(w, r, op, arg)
	}
	if err != nil {
		s.refuse(w, op, err)
	}
}

// methods are the methods of operations. That of others is POST.
var methods = map[string]string{
	"Discover": http.MethodGet, "Contract": http.MethodGet, "Nonce": http.MethodGet, "Authorize": http.MethodGet,
	"Realm": http.MethodGet, "Metadata": http.MethodGet, "Leave": http.MethodDelete, "Hybrid": http.MethodPut,
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request, op, arg string) error {
	want := methods[op]
	if want == "" {
		want = http.MethodPost
	}
	if r.Method != want && !(op == "Authorize" && r.Method == http.MethodPost) {
		w.Header().Set("Allow", want)
		return &refused{status: http.StatusMethodNotAllowed, oauth: isOAuth(op), code: "invalid_request", subcode: "error_fail", reason: fmt.Errorf("method %s", r.Method)}
	}
	switch op {
	case "Contract":
		return s.serveContract(w, r)
	case "Realm":
		return s.serveRealm(w, r, arg)
	case "Join":
		return s.serveJoin(w, r, op)
	case "Hybrid":
		return s.serveHybrid(w, r, arg)
	case "Leave":
		return s.serveLeave(w, r)
	}
	if !s.isTenant(arg) && !(isOAuth(op) && isShared(arg)) {
		return tenantNotFound(isOAuth(op), arg)
	}
	if op == "Challenge" && s.Public {
		return &refused{status: http.StatusNotFound, code: "invalid_request", subcode: "error_fail", reason: errors.New("the public service has no TPM challenges")}
	}
	switch op {
	case "Discover":
		return s.serveDiscover(w, r)
	case "Metadata":
		return s.serveMetadata(w, r)
	case "Nonce":
		return s.serveNonce(w, r)
	case "Precreate":
		return s.serveJoin(w, r, op)
	case "Challenge":
		return s.serveChallenge(w, r)
	case "DeviceCode":
		return s.serveDeviceCode(w, r)
	case "Authorize":
		return s.serveAuthorize(w, r)
	default:
		return s.serveToken(w, r)
	}
}

// isOAuth reports whether errors of an operation have the form of OAuth.
func isOAuth(op string) bool {
	return op == "Token" || op == "DeviceCode" || op == "Authorize" || op == "Metadata" || op == "Realm"
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

// route returns the operation of a path and the tenant, user or device in it, or "".
func route(path string) (op, arg string) {
	p := strings.Split(strings.Trim(path, "/"), "/")
	is := func(i int, name string) bool { return strings.EqualFold(p[i], name) }
	switch {
	case len(p) == 2 && is(1, "Discover"):
		return "Discover", p[0]
	case len(p) == 3 && is(1, "oauth2") && is(2, "token"), len(p) == 4 && is(1, "oauth2") && is(2, "v2.0") && is(3, "token"):
		return "Token", p[0]
	case len(p) == 3 && is(1, "oauth2") && is(2, "authorize"), len(p) == 4 && is(1, "oauth2") && is(2, "v2.0") && is(3, "authorize"):
		return "Authorize", p[0]
	case len(p) == 3 && is(1, "oauth2") && is(2, "devicecode"), len(p) == 4 && is(1, "oauth2") && is(2, "v2.0") && is(3, "devicecode"):
		return "DeviceCode", p[0]
	case len(p) == 3 && is(1, ".well-known") && is(2, "openid-configuration"):
		return "Metadata", p[0]
	case len(p) == 3 && is(0, "common") && is(1, "userrealm"):
		return "Realm", p[2]
	case len(p) == 2 && is(0, "EnrollmentServer") && is(1, "contract"):
		return "Contract", ""
	case len(p) == 3 && is(0, "EnrollmentServer") && is(1, "nonce"):
		return "Nonce", p[2]
	case len(p) == 3 && is(0, "EnrollmentServer") && is(1, "tpmchallenge"):
		return "Challenge", p[2]
	case len(p) == 2 && is(0, "EnrollmentServer") && is(1, "device"):
		return "Join", ""
	case len(p) == 4 && is(0, "EnrollmentServer") && is(1, "device") && is(2, "precreate"):
		return "Precreate", p[3]
	case len(p) == 3 && is(0, "EnrollmentServer") && is(1, "device"):
		return "Leave", p[2]
	}
	return "", ""
}

// base returns the URL of the server for a request.
func (s *Server) base(r *http.Request) string {
	if s.BaseURL != "" {
		return strings.TrimSuffix(s.BaseURL, "/")
	}
	if r.TLS != nil {
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

func (s *Server) tenant() string {
	if s.Tenant != "" {
		return s.Tenant
	}
	return DefaultTenant
}

func (s *Server) tenantID() string {
	if s.TenantID != "" {
		return strings.ToLower(s.TenantID)
	}
	return DefaultTenantID
}

func (s *Server) isTenant(name string) bool {
	return strings.EqualFold(name, s.tenant()) || strings.EqualFold(name, s.tenantID())
}

// isShared reports whether a name in a path stands for the tenant of whoever signs in.
func isShared(name string) bool {
	return strings.EqualFold(name, "common") || strings.EqualFold(name, "organizations")
}

// isV2 reports whether a request is to an endpoint of version 2.0 of the token service, which
// has scopes instead of resources, and numbers instead of texts with numbers.
func (s *Server) isV2(r *http.Request) bool {
	return strings.Contains(strings.ToLower(s.path(r)), "/oauth2/v2.0/")
}

// Issuer returns the issuer (iss) of the server's tokens.
func (s *Server) Issuer() string {
	return "https://sts.windows.net/" + s.tenantID() + "/"
}

// TokenKey returns the public key that verifies the server's tokens (RS256). It returns nil
// if the key could not be made.
func (s *Server) TokenKey() *rsa.PublicKey {
	key, err := s.signingKey()
	if err != nil {
		return nil
	}
	return &key.PublicKey
}

// Certificates returns the self-signed certificate of the CA that issues device
// certificates. It returns nil if the CA could not be made.
func (s *Server) Certificates() []*x509.Certificate {
	ca, err := s.authority()
	if err != nil {
		return nil
	}
	return []*x509.Certificate{ca.cert}
}

// Roots returns a new pool with the certificates of [Server.Certificates].
func (s *Server) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	for _, c := range s.Certificates() {
		pool.AddCert(c)
	}
	return pool
}

// Refusals returns the newest 1000 refusals, oldest first, each as "operation: reason".
func (s *Server) Refusals() []string { return s.log.Refusals() }

// refuse answers a request with an error.
func (s *Server) refuse(w http.ResponseWriter, op string, err error) {
	var no *refused
	if !errors.As(err, &no) {
		no = &refused{status: http.StatusInternalServerError, oauth: isOAuth(op), code: "server_error", subcode: "error_fail", reason: err}
	}
	s.log.Add(s.Logger, op, no.reason)
	no.write(w, s.now(), s.Errors)
}
