package drstest

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/internal/rsablob"
)

const (
	sessionLife = 1209599 * time.Second // validity of a primary refresh token
	keyLife     = 30 * 24 * time.Hour   // age at which a renewal replaces a session key
)

// A session is the sign-in of a user on a device.
type session struct {
	upn, deviceID string
	key           []byte         // session key
	transport     *rsa.PublicKey // key to which key was encrypted
	version2      bool           // the key derivation is of version 2
	protocol      int            // of primary refresh tokens: 2, 3 or 4; 4 has no key
	made, expires time.Time      // when key was made, and when the refresh token expires
	revoked       bool
}

// A Session is a primary refresh token that the server issued.
type Session struct {
	UPN, DeviceID string
	Expires       time.Time
	Revoked       bool // the device left or joined again, or the user's password changed
	KDF           int  // version of the key derivation: 1 or 2
	Protocol      int  // of primary refresh tokens: 2, 3 or 4
}

// Sessions returns the primary refresh tokens that were issued and not removed after their
// expiry, by time of expiry. A renewed token is in it beside the new one.
func (s *Server) Sessions() []Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Session
	for _, v := range s.sessions.All() {
		kdf := 1
		if v.version2 {
			kdf = 2
		}
		out = append(out, Session{v.upn, v.deviceID, v.expires, v.revoked, kdf, v.protocol})
	}
	slices.SortStableFunc(out, func(a, b Session) int { return a.Expires.Compare(b.Expires) })
	return out
}

// revoke ends all sessions on a device. The caller locks.
func (s *Server) revoke(o *Object) {
	for _, v := range s.sessions.All() {
		if v.deviceID == o.DeviceID {
			v.revoked = true
		}
	}
}

// secret returns a random text in the form of the service's refresh tokens and codes: parts
// with dots between them, which yet are not a JWT.
func secret() string {
	e := base64.RawURLEncoding.EncodeToString
	return "1.A" + e(random(31)) + "." + e(random(24)) + "." + e(random(48))
}

// serveSignIn issues a primary refresh token to a user on a joined device, whose signature was
// verified. sealer is nil unless the protocol is 4.
func (s *Server) serveSignIn(w http.ResponseWriter, r *http.Request, claims jwt.MapClaims, header map[string]any, device *Object, sealer *sealer) error {
	protocol, err := s.protocolOf(r)
	if err != nil {
		return err
	}
	if err := s.useNonce(claims); err != nil {
		return err
	}
	if !slices.Contains(strings.Fields(claimText(claims, "scope")), "aza") {
		return noGrant("invalid_scope", "", 70011, "scope %q is not that of a primary refresh token", claimText(claims, "scope"))
	}
	if device.TransportKey == nil && protocol != 4 {
		return noGrant("invalid_grant", "device_authentication_failed", 50155, "the device has no transport key")
	}
	version2 := header["kdf_ver"] == 2.0 || protocol != 2
	if version2 && s.Derive1 || !version2 && (s.Derive2 || s.Public) {
		return noGrant("invalid_grant", "", 5000611, "symmetric key derivation function version (kdf_ver) '%v' is invalid", header["kdf_ver"])
	}
	u, err := s.userOf(claims)
	if err != nil {
		return err
	}
	v := &session{upn: u.UPN, deviceID: device.DeviceID, transport: device.TransportKey, version2: version2, protocol: protocol}
	answer, err := s.keepSession(v, protocol != 4)
	if err != nil {
		return err
	}
	answer["id_token"] = s.idToken(u, claimText(claims, "client_id"))
	if sealer != nil {
		return sealer.reply(w, answer)
	}
	if strings.EqualFold(r.PostForm.Get("tgt"), "true") {
		if err := addTickets(answer, v.key); err != nil {
			return err
		}
	}
	reply(w, http.StatusOK, answer)
	return nil
}

// addTickets adds Kerberos tickets to an answer, in the form of the service: that for the cloud
// has a key, encrypted with the session key, and that for Active Directory an error.
func addTickets(answer map[string]any, key []byte) error {
	client, err := sealReply(random(32), key, ReplyCBC)
	if err != nil {
		return err
	}
	cloud, err := json.Marshal(map[string]any{
		"clientKey": client, "keyType": 18, "messageBuffer": base64.StdEncoding.EncodeToString(random(64)),
		"realm": "KERBEROS.MICROSOFTONLINE.COM", "sn": "krbtgt/KERBEROS.MICROSOFTONLINE.COM", "cn": "", "sessionKeyType": 0, "accountType": 2,
	})
	if err != nil {
		return err
	}
	answer["tgt_cloud"], answer["tgt_ad"] = string(cloud), `{"keyType":0,"error":"OnPremKerberosNotConfigured"}`
	return nil
}

// userOf checks the credentials in a request and returns the user.
func (s *Server) userOf(claims jwt.MapClaims) (*User, error) {
	switch grant := claimText(claims, "grant_type"); grant {
	case "password":
		return s.signedInUser(claimText(claims, "username"), claimText(claims, "password"))
	case "refresh_token":
		return s.byRefreshToken(claimText(claims, "refresh_token"), claimText(claims, "client_id"))
	case grantSAML:
		return s.userBySAML(claimText(claims, "assertion"))
	case grantJWT:
		return s.userByKey(claimText(claims, "assertion"), claimText(claims, "request_nonce"))
	default:
		return nil, noGrant("unsupported_grant_type", "", 70003, "grant type %q in the request", grant)
	}
}

// userByKey returns the user whose key signed an assertion for the request with a nonce.
func (s *Server) userByKey(text, nonce string) (*User, error) {
	claims := jwt.MapClaims{}
	var u *User
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithTimeFunc(s.now), jwt.WithLeeway(skew), jwt.WithExpirationRequired())
	_, err := parser.ParseWithClaims(text, claims, func(t *jwt.Token) (any, error) {
		var err error
		if u, err = s.user(claimText(claims, "iss")); err != nil {
			return nil, err
		}
		if u.Key == nil {
			return nil, errors.New("the user has no key")
		}
		sum := sha256.Sum256(rsablob.Marshal(u.Key))
		if t.Header["kid"] != base64.StdEncoding.EncodeToString(sum[:]) || t.Header["use"] != "ngc" {
			return nil, errors.New("it is signed with another key than the user's")
		}
		return u.Key, nil
	})
	if err != nil {
		return nil, noGrant("invalid_grant", "", 50013, "assertion: %w", err)
	}
	audience := claimText(claims, "aud")
	switch {
	case nonce == "" || claimText(claims, "request_nonce") != nonce && s.useNonce(claims) != nil:
		return nil, noGrant("invalid_grant", "", 50013, "assertion: its nonce is not that of the request, nor an unused one of its own")
	case audience != "common" && !s.isTenant(audience) && audience != s.Issuer():
		return nil, noGrant("invalid_grant", "", 50013, "assertion: it is for %q", audience)
	}
	return u, nil
}

// idToken returns an identity token. It need not be signed ([MS-OAPXBC]).
func (s *Server) idToken(u *User, client string) string {
	token := jwt.NewWithClaims(jwt.SigningMethodNone, jwt.MapClaims{
		"aud": client, "iss": s.Issuer(), "tid": s.tenantID(), "oid": u.ObjectID, "upn": u.UPN,
		"iat": s.now().Unix(), "exp": s.now().Add(time.Hour).Unix(), "ver": "1.0",
	})
	// This cannot fail, because all claims are texts or numbers.
	text, _ := token.SignedString(jwt.UnsafeAllowNoneSignatureType)
	return text
}

// keepSession issues a primary refresh token for a session, with a new session key if rekey is
// true, and returns the answer.
func (s *Server) keepSession(v *session, rekey bool) (map[string]any, error) {
	now := s.now()
	v.expires = now.Add(sessionLife)
	token := secret()
	answer := map[string]any{
		"token_type": "pop", "refresh_token": token, "refresh_token_expires_in": number(int64(sessionLife / time.Second)),
		"expires_in": number(int64(sessionLife / time.Second)), "expires_on": number(v.expires.Unix()), "device_tenant_id": s.tenantID(),
	}
	if s.NoLifetime {
		delete(answer, "refresh_token_expires_in")
	}
	if rekey {
		v.key, v.made = random(32), now
		jwe, err := sealSessionKey(v.key, v.transport, s.Strict)
		if err != nil {
			return nil, err
		}
		answer["session_key_jwe"] = jwe
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions.Put(token, v, now, v.expires)
	return answer, nil
}

// serveSession answers a request that a session key signed: with a token of the user or, if the
// scope has "aza", with a new primary refresh token.
func (s *Server) serveSession(w http.ResponseWriter, r *http.Request, text string) error {
	v, claims, err := s.bySession(text)
	if err != nil {
		return err
	}
	protocol, err := s.protocolOf(r)
	if err != nil {
		return err
	}
	if protocol != v.protocol {
		return noGrant("invalid_grant", "", 50155, "the session is of protocol %d, and the request of %d", v.protocol, protocol)
	}
	key := v.key
	return s.useSession(w, r, claims, v, func(w http.ResponseWriter, answer any) error { return s.replySealed(w, answer, key) })
}

// useSession answers an authenticated request with a primary refresh token. seal encrypts the
// answer.
func (s *Server) useSession(w http.ResponseWriter, r *http.Request, claims jwt.MapClaims, v *session, seal func(http.ResponseWriter, any) error) error {
	issuer := "aad:brokerplugin"
	if v.protocol != 2 {
		issuer = drs.BrokerClient
	}
	switch {
	case claimText(claims, "grant_type") != "refresh_token":
		return noGrant("unsupported_grant_type", "", 70003, "grant type %q in the request", claimText(claims, "grant_type"))
	case claimText(claims, "iss") != issuer:
		return noGrant("invalid_grant", "", 50013, "issuer %q", claimText(claims, "iss"))
	}
	client := claimText(claims, "client_id")
	if err := s.checkClient(client, claimText(claims, "redirect_uri")); err != nil {
		return err
	}
	if err := s.inTime(claims); err != nil {
		return noGrant("invalid_grant", "", 500133, "request: %w", err)
	}
	u, err := s.user(v.upn)
	if err != nil {
		return err
	}
	own := *v
	resource, scope, err := s.wanted(r, claimText(claims, "resource"), claimText(claims, "scope"))
	if err != nil {
		return err
	}
	if !slices.Contains(scope, "aza") {
		return s.replyUser(w, r, &userAnswer{user: u, client: client, resource: resource, scope: scope, deviceID: v.deviceID, seal: seal})
	}
	answer, err := s.keepSession(&own, own.protocol != 4 && s.now().After(v.made.Add(keyLife)))
	if err != nil {
		return err
	}
	answer["id_token"] = s.idToken(u, client)
	return seal(w, answer)
}

// checkStanding checks that a session has not ended.
func (s *Server) checkStanding(v *session) error {
	no := func(suberror, format string, args ...any) error {
		return noGrant("invalid_grant", suberror, 50155, format, args...)
	}
	s.mu.Lock()
	o := s.byDeviceID(v.deviceID)
	device := v.deviceID == "" || o != nil && o.Enabled
	s.mu.Unlock()
	switch {
	case v.revoked:
		return no("session_revoked", "the device left or joined again, or the password changed")
	case !device:
		return no("device_not_found", "%w", errNoDevice)
	case !s.now().Before(v.expires):
		return no("", "the refresh token has expired")
	}
	return nil
}

// bySession returns the session whose key signed a JWT, and the claims. It uses up the nonce in
// them.
func (s *Server) bySession(text string) (*session, jwt.MapClaims, error) {
	no := func(suberror, format string, args ...any) (*session, jwt.MapClaims, error) {
		return nil, nil, noGrant("invalid_grant", suberror, 50155, format, args...)
	}
	claims := jwt.MapClaims{}
	token, parts, err := jwt.NewParser().ParseUnverified(text, claims)
	if err != nil {
		return no("", "request: %w", err)
	}
	s.mu.Lock()
	v, _ := s.sessions.Get(claimText(claims, "refresh_token"))
	var own session
	if v != nil {
		own = *v
	}
	s.mu.Unlock()
	if v == nil || own.protocol == 4 {
		return no("", "the refresh token is unknown, or its session has no key")
	}
	if err := s.checkStanding(&own); err != nil {
		return nil, nil, err
	}
	switch {
	case (token.Header["kdf_ver"] == 2.0) != own.version2:
		return no("", "the key derivation is not that of the session")
	}
	key, err := own.signingKey(token.Header, parts[1])
	if err != nil {
		return no("", "request: %w", err)
	}
	if err := jwt.SigningMethodHS256.Verify(parts[0]+"."+parts[1], token.Signature, key); err != nil {
		return no("", "request: the signature is not by the session key: %w", err)
	}
	if err := s.useNonce(claims); err != nil {
		return nil, nil, err
	}
	return &own, claims, nil
}

// signingKey derives the key that signs a request with a header and a payload.
func (v *session) signingKey(header map[string]any, payload string) ([]byte, error) {
	text, _ := header["ctx"].(string)
	context, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(context) < 16 {
		return nil, fmt.Errorf("context %q is not valid", text)
	}
	if v.version2 {
		raw, err := base64.RawURLEncoding.DecodeString(payload)
		if err != nil {
			return nil, err
		}
		h := crypto.SHA256.New()
		h.Write(context)
		h.Write(raw)
		context = h.Sum(nil)
	}
	return derive(v.key, context), nil
}
