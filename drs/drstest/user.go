package drstest

import (
	"crypto/rsa"
	"crypto/subtle"
	"errors"
	"maps"
	"net/http"
	"strings"

	"github.com/golang-jwt/jwt/v5"
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
	for _, v := range s.sessions {
		v.revoked = v.revoked || strings.EqualFold(v.upn, u.UPN)
	}
	maps.DeleteFunc(s.refresh, func(_, upn string) bool { return strings.EqualFold(upn, u.UPN) })
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
// a device: password (RFC 6749, section 4.3), refresh_token and authorization_code.
func (s *Server) serveUser(w http.ResponseWriter, r *http.Request) error {
	form := r.PostForm
	var u *User
	var err error
	switch form.Get("grant_type") {
	case "password":
		u, err = s.signedInUser(form.Get("username"), form.Get("password"))
	case "refresh_token":
		u, err = s.holder(s.refreshTokens, form.Get("refresh_token"), false)
	default:
		u, err = s.holder(s.authorizationCodes, form.Get("code"), true)
	}
	if err != nil {
		return err
	}
	if form.Get("client_id") == "" {
		return noGrant("invalid_request", "", 900144, "no client_id")
	}
	token := secret()
	s.mu.Lock()
	put(s.refreshTokens(), token, u.UPN)
	s.mu.Unlock()
	return s.replyUser(w, r, u, form.Get("resource"), "", map[string]string{"refresh_token": token}, nil)
}

func (s *Server) refreshTokens() *map[string]string      { return &s.refresh }
func (s *Server) authorizationCodes() *map[string]string { return &s.codes }

func put(m *map[string]string, key, value string) {
	if *m == nil || len(*m) >= nonceLimit {
		*m = make(map[string]string)
	}
	(*m)[key] = value
}

// holder returns the user to whom a token or code was issued.
func (s *Server) holder(list func() *map[string]string, token string, once bool) (*User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := *list()
	upn, ok := m[token]
	if !ok || token == "" {
		return nil, noGrant("invalid_grant", "", 70008, "the refresh token or code is unknown or was used")
	}
	if once {
		delete(m, token)
	}
	return s.userLocked(upn)
}

// replyUser answers with a token of a user for a resource. deviceID is the user's device, or
// "". more has further members of the answer. key, if not nil, is the session key that
// encrypts the answer.
func (s *Server) replyUser(w http.ResponseWriter, r *http.Request, u *User, resource, deviceID string, more map[string]string, key []byte) error {
	if resource != JoinResource && !s.hasResource(resource) {
		return noGrant("invalid_resource", "", 500011, "resource %q not found in the tenant", resource)
	}
	claims := jwt.MapClaims{
		"idtyp": "user", "upn": u.UPN, "oid": u.ObjectID, "sub": u.ObjectID, "amr": []string{"pwd"}, "scp": "user_impersonation", "jti": newGUID(),
	}
	if deviceID != "" {
		claims["deviceid"] = deviceID
	}
	answer, err := s.token(r, resource, joinTokenLife, claims)
	if err != nil {
		return err
	}
	for name, value := range more {
		answer[name] = value
	}
	if key == nil {
		reply(w, http.StatusOK, answer)
		return nil
	}
	return s.replySealed(w, answer, key)
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
	for _, other := range s.objects {
		if other != o && strings.EqualFold(other.Owner, u.UPN) {
			count++
		}
	}
	if count >= quota {
		return errQuota
	}
	return nil
}
