package drstest

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/internal/kept"
)

// DefaultQuota is the default of User.Quota.
const DefaultQuota = 50

// A User is a user of the directory.
type User struct {
	UPN      string // user principal name, such as "alice@contoso.test"
	ObjectID string // GUID; if empty, AddUser makes one

	Password string         // if empty, the user cannot sign in with a password
	Key      *rsa.PublicKey // key with which the user signs in on devices; may be nil

	Quota      int  // number of devices that the user may own; if 0, DefaultQuota
	MayNotJoin bool // the user may not join any device
	Disabled   bool // the user can neither sign in nor use a session

	Federated string // URL of the identity provider where the user signs in; may be empty
}

// AddUser adds a user to the directory, or replaces the one with the same UPN, whose case
// is ignored. If the password changes, the user's sessions and refresh tokens end.
func (s *Server) AddUser(u User) {
	if u.ObjectID == "" {
		u.ObjectID = newGUID()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users == nil {
		s.users = make(map[string]*User)
	}
	old := s.users[strings.ToLower(u.UPN)]
	s.users[strings.ToLower(u.UPN)] = &u
	if old == nil || old.Password == u.Password {
		return
	}
	for _, v := range s.sessions.All() {
		v.revoked = v.revoked || strings.EqualFold(v.upn, u.UPN)
	}
	for token, g := range s.refresh.All() {
		if strings.EqualFold(g.upn, u.UPN) {
			s.refresh.Delete(token)
		}
	}
}

// user returns a copy of a user who is not disabled.
func (s *Server) user(upn string) (*User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.userLocked(upn)
}

func (s *Server) userLocked(upn string) (*User, error) {
	u := s.users[strings.ToLower(upn)]
	switch {
	case u == nil:
		return nil, noGrant("invalid_grant", "", 50034, "the user account does not exist in the directory")
	case u.Disabled:
		return nil, noGrant("invalid_grant", "user_disabled", 50057, "the user account is disabled")
	}
	own := *u
	return &own, nil
}

// signedInUser checks a name and a password and returns the user.
func (s *Server) signedInUser(upn, password string) (*User, error) {
	u, err := s.user(upn)
	if err != nil {
		return nil, err
	}
	if u.Password == "" || subtle.ConstantTimeCompare([]byte(u.Password), []byte(password)) != 1 {
		return nil, noGrant("invalid_grant", "", 50126, "invalid user name or password")
	}
	return u, nil
}

// serveUser answers the grants of a user without a device, such as one who signs in to join
// a device: password (RFC 6749, section 4.3), refresh_token, authorization_code and that of a
// device code.
func (s *Server) serveUser(w http.ResponseWriter, r *http.Request) error {
	form := r.PostForm
	client := form.Get("client_id")
	if err := s.checkClient(client, form.Get("redirect_uri")); err != nil {
		return err
	}
	var u *User
	var err error
	switch form.Get("grant_type") {
	case "password":
		u, err = s.signedInUser(form.Get("username"), form.Get("password"))
	case "refresh_token":
		u, err = s.byRefreshToken(form.Get("refresh_token"), client)
	case grantDeviceCode:
		u, err = s.byDeviceCode(form)
	default:
		u, err = s.byCode(form)
	}
	if err != nil {
		return err
	}
	if form.Get("stk_jwk") != "" && form.Get("grant_type") == "authorization_code" {
		return s.serveDeviceless(w, r, u)
	}
	resource, scope, err := s.wanted(r, form.Get("resource"), form.Get("scope"))
	if err != nil {
		return err
	}
	return s.replyUser(w, r, &userAnswer{user: u, client: client, resource: resource, scope: scope})
}

// wanted returns the resource and the scopes that a request asks for. A request to an endpoint
// of version 2.0 names the resource in a scope, such as "https://graph.microsoft.com/.default".
func (s *Server) wanted(r *http.Request, resource, scope string) (string, []string, error) {
	scopes := strings.Fields(scope)
	if !s.isV2(r) {
		return resource, scopes, nil
	}
	if resource != "" {
		return "", nil, noGrant("invalid_request", "", 901002, "the parameter resource is not supported at version 2.0")
	}
	for _, one := range scopes {
		if at := strings.LastIndexByte(one, '/'); at > 0 {
			resource = one[:at]
		}
	}
	// A resource with a slash at its end has two slashes in the scope, or one.
	if !s.hasResource(resource) && s.hasResource(resource+"/") {
		resource += "/"
	}
	return resource, scopes, nil
}

// newGrant keeps a refresh token or a code, and returns it. It looks like those of the service.
// The oldest one goes when there are too many.
func newGrant(m *kept.Map[string, grant], g grant) string {
	token := secret()
	m.Put(token, g, time.Time{}, time.Time{})
	return token
}

// byRefreshToken returns the user to whom a refresh token was issued for a client.
func (s *Server) byRefreshToken(token, client string) (*User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok := s.refresh.Get(token)
	switch {
	case !ok:
		return nil, noGrant("invalid_grant", "", 70008, "the refresh token or code is unknown or was used")
	case !strings.EqualFold(g.client, client):
		return nil, noGrant("invalid_grant", "", 70000, "the refresh token was issued to another client")
	}
	return s.userLocked(g.upn)
}

// byCode returns the user who was given an authorization code, and uses the code up.
func (s *Server) byCode(form url.Values) (*User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok := s.codes.Take(form.Get("code"))
	sum := sha256.Sum256([]byte(form.Get("code_verifier")))
	switch {
	case !ok:
		return nil, noGrant("invalid_grant", "", 70008, "the refresh token or code is unknown or was used")
	case !strings.EqualFold(g.client, form.Get("client_id")) || g.redirect != form.Get("redirect_uri"):
		return nil, noGrant("invalid_grant", "", 70000, "the code was issued to another client or redirect URI")
	case g.challenge != "" && g.challenge != base64.RawURLEncoding.EncodeToString(sum[:]):
		return nil, noGrant("invalid_grant", "", 501481, "the code_verifier does not match the code_challenge supplied in the authorization request")
	}
	return s.userLocked(g.upn)
}

// A userAnswer is an answer with a token of a user for a resource.
type userAnswer struct {
	user     *User
	client   string
	resource string
	scope    []string
	deviceID string                                        // the user's device, or ""
	seal     func(w http.ResponseWriter, answer any) error // encrypts the answer; nil if it is not encrypted
}

// replyUser answers with a token of a user, a refresh token and, if the scope has "openid", an
// identity token.
func (s *Server) replyUser(w http.ResponseWriter, r *http.Request, a *userAnswer) error {
	if a.resource != JoinResource && !s.hasResource(a.resource) {
		return noGrant("invalid_resource", "", 500011, "resource %q not found in the tenant", a.resource)
	}
	scope := "user_impersonation"
	if a.resource == ManagementResource {
		scope = "mdm_delegation"
	}
	claims := jwt.MapClaims{
		"idtyp": "user", "upn": a.user.UPN, "oid": a.user.ObjectID, "sub": a.user.ObjectID, "amr": []string{"pwd"}, "appid": a.client, "scp": scope, "jti": newGUID(),
	}
	if a.deviceID != "" {
		claims["deviceid"] = a.deviceID
	}
	answer, err := s.token(r, a.resource, joinTokenLife, claims)
	if err != nil {
		return err
	}
	answer["scope"] = scope
	if slices.Contains(a.scope, "openid") {
		answer["id_token"] = s.idToken(a.user, a.client)
	}
	s.mu.Lock()
	answer["refresh_token"] = newGrant(&s.refresh, grant{upn: a.user.UPN, client: a.client})
	s.mu.Unlock()
	if a.seal != nil {
		return a.seal(w, answer)
	}
	reply(w, http.StatusOK, answer)
	return nil
}

// serveRealm says where a user signs in.
func (s *Server) serveRealm(w http.ResponseWriter, r *http.Request, upn string) error {
	version := r.URL.Query().Get("api-version")
	if version != "1.0" && version != "2.0" {
		return noGrant("invalid_request", "", 900144, "api-version %q", version)
	}
	name, domain, ok := strings.Cut(upn, "@")
	if !ok || name == "" {
		return noGrant("invalid_request", "", 900144, "user %q", upn)
	}
	u, err := s.user(upn)
	kind := "Managed"
	switch {
	case !strings.EqualFold(domain, s.tenant()):
		kind = "Unknown"
	case err == nil && u.Federated != "":
		kind = "Federated"
	}
	answer := map[string]string{"ver": version, "account_type": kind, "domain_name": domain, "cloud_instance_name": "microsoftonline.com", "cloud_audience_urn": "urn:federation:MicrosoftOnline"}
	if version == "2.0" {
		answer = map[string]string{"NameSpaceType": kind, "Login": upn, "DomainName": domain, "FederationBrandName": "Contoso", "cloud_instance_name": "microsoftonline.com"}
	}
	if kind == "Federated" {
		answer["federation_protocol"], answer["AuthURL"] = "WSTrust", u.Federated
		answer["federation_metadata_url"], answer["federation_active_auth_url"] = u.Federated+"/mex", u.Federated
	}
	reply(w, http.StatusOK, answer)
	return nil
}

// mayJoin checks that a user may join one more device. o is not counted. The caller locks.
func (s *Server) mayJoin(u *User, o *Object) error {
	if u.MayNotJoin {
		return noJoin("UserMayNotJoin", "%w", errors.New("the user may not join devices"))
	}
	quota, count := u.Quota, 0
	if quota == 0 {
		quota = DefaultQuota
	}
	for _, other := range s.objects.list {
		if other != o && strings.EqualFold(other.Owner, u.UPN) {
			count++
		}
	}
	if count >= quota {
		return errQuota
	}
	return nil
}
