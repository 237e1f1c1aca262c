package drs

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/internal/jose"
	"github.com/whiteglove/whiteglove/internal/rsablob"
)

// signInClient is the client identifier with which Windows signs users in.
const signInClient = "38aa3b87-a06d-4817-b275-7a316988d93b"

// defaultScope is what a primary refresh token is asked for with.
const defaultScope = "openid aza"

// A SignIn signs a user in on a joined device. Keys, Certificate and one of
// Password, RefreshToken and UserKey are required.
type SignIn struct {
	Certificate  *x509.Certificate // of the join
	DeviceKey    crypto.Signer     // RSA, of Certificate
	TransportKey crypto.Decrypter  // RSA, of the join

	Username string // UPN; required with Password and UserKey

	Password     Token
	RefreshToken Token         // of the user, such as one had with the token of a join
	UserKey      crypto.Signer // RSA; a key of the user that the directory knows (Windows Hello)

	// Derive2 has the second version of the key derivation used, which covers
	// what is signed. Services that know it have "kdf_ver2" among what
	// [Client.Capabilities] returns.
	Derive2 bool

	ClientID  string // if empty, the client with which Windows signs users in
	Scope     string // if empty, "openid aza"
	OSVersion string // may be empty
}

// SignIn asks for a primary refresh token ([MS-OAPXBC] 3.2.5.1.2): the request
// is signed by the device key, and the session key of the answer is for the
// transport key, which must open it.
//
// [MS-OAPXBC]: https://learn.microsoft.com/openspecs/windows_protocols/ms-oapxbc/
func (c *Client) SignIn(ctx context.Context, d *Discovery, req *SignIn) (*Session, error) {
	d = c.services(d)
	s, err := c.signIn(ctx, d, req)
	if err != nil {
		return nil, asError(opSignIn, d.TokenEndpoint, err)
	}
	return s, nil
}

func (c *Client) signIn(ctx context.Context, d *Discovery, req *SignIn) (*Session, error) {
	if err := req.check(); err != nil {
		return nil, err
	}
	nonce, err := c.requestNonce(ctx, opSignIn, d.TokenEndpoint)
	if err != nil {
		return nil, err
	}
	text, err := req.sign(d, nonce, c.now())
	if err != nil {
		return nil, err
	}
	var a sessionAnswer
	form := requestForm(text)
	if err := c.post(ctx, opSignIn, d.TokenEndpoint, form, &a); err != nil {
		return nil, err
	}
	if !strings.EqualFold(a.TokenType, "pop") || a.SessionKey == "" {
		return nil, fmt.Errorf("%w: no session key, token of type %q", ErrMalformed, cut(a.TokenType))
	}
	s, err := c.session(&a, secrets{version2: req.Derive2, transport: req.TransportKey})
	if err != nil {
		return nil, err
	}
	if err := s.identify(a.IDToken, req, d); err != nil {
		return nil, err
	}
	// A session that cannot be used is none.
	return s, s.use(func([]byte) error { return nil })
}

func (r *SignIn) check() error {
	if r == nil || r.Certificate == nil || r.TransportKey == nil {
		return errors.New("no device certificate, or no transport key")
	}
	pub, err := deviceKey(r.DeviceKey)
	if err != nil {
		return err
	}
	if !pub.Equal(r.Certificate.PublicKey) {
		return errors.New("the device certificate is of another key")
	}
	if r.Password == "" && r.RefreshToken == "" && r.UserKey == nil {
		return errors.New("neither password nor refresh token nor key of the user")
	}
	if r.RefreshToken == "" && r.Username == "" {
		return errors.New("no user name")
	}
	return nil
}

// sign returns the request, signed by the device key.
func (r *SignIn) sign(d *Discovery, nonce string, now time.Time) (string, error) {
	claims := jwt.MapClaims{
		"client_id": or(r.ClientID, signInClient), "scope": or(r.Scope, defaultScope), "request_nonce": nonce,
	}
	if r.OSVersion != "" {
		claims["win_ver"] = r.OSVersion
	}
	switch {
	case r.UserKey != nil:
		assertion, err := r.assertion(d, nonce, now)
		if err != nil {
			return "", err
		}
		claims["grant_type"], claims["assertion"] = grantJWT, assertion
	case r.RefreshToken != "":
		claims["grant_type"], claims["refresh_token"] = "refresh_token", string(r.RefreshToken)
	default:
		claims["grant_type"], claims["username"], claims["password"] = "password", r.Username, string(r.Password)
	}
	token := jwt.NewWithClaims(jose.RS256{}, claims)
	token.Header["x5c"] = []string{base64.StdEncoding.EncodeToString(r.Certificate.Raw)}
	if r.Derive2 {
		token.Header["kdf_ver"] = 2
	}
	text, err := token.SignedString(r.DeviceKey)
	if err != nil {
		return "", fmt.Errorf("signing the request: %w", err)
	}
	return text, nil
}

// assertion returns a JWT signed by a key of the user, for this request only:
// its nonce is that of the request.
func (r *SignIn) assertion(d *Discovery, nonce string, now time.Time) (string, error) {
	pub, ok := r.UserKey.Public().(*rsa.PublicKey)
	if !ok {
		return "", fmt.Errorf("the user's key is %T, not RSA", r.UserKey.Public())
	}
	sum := sha256.Sum256(rsablob.Marshal(pub))
	token := jwt.NewWithClaims(jose.RS256{}, jwt.MapClaims{
		"iss": r.Username, "aud": or(d.TenantID, "common"), "scope": or(r.Scope, defaultScope), "request_nonce": nonce,
		"iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
	token.Header["kid"], token.Header["use"] = base64.StdEncoding.EncodeToString(sum[:]), "ngc"
	text, err := token.SignedString(r.UserKey)
	if err != nil {
		return "", fmt.Errorf("signing the assertion: %w", err)
	}
	return text, nil
}

// requestForm returns the form of a signed request, as Windows posts it.
func requestForm(request string) url.Values {
	return url.Values{"windows_api_version": {"2.2"}, "grant_type": {grantJWT}, "request": {request}, "client_info": {"1"}}
}

// A sessionAnswer is a primary refresh token.
type sessionAnswer struct {
	TokenType    string          `json:"token_type"`
	RefreshToken string          `json:"refresh_token"`
	ExpiresIn    json.RawMessage `json:"refresh_token_expires_in"`
	SessionKey   string          `json:"session_key_jwe"`
	IDToken      string          `json:"id_token"`
}

// session returns the session of an answer, with what is known already.
func (c *Client) session(a *sessionAnswer, own secrets) (*Session, error) {
	life, err := lifetime(a.ExpiresIn)
	if err != nil {
		return nil, err
	}
	if a.RefreshToken == "" || len(a.RefreshToken) > maxToken || len(a.SessionKey) > maxToken {
		return nil, fmt.Errorf("%w: refresh token of %d bytes, session key of %d", ErrMalformed, len(a.RefreshToken), len(a.SessionKey))
	}
	own.token = Token(a.RefreshToken)
	if a.SessionKey != "" {
		own.key = Token(a.SessionKey)
	}
	return &Session{Expires: c.now().Add(life), hidden: hide(own)}, nil
}

// identify takes over what an identity token says. It is not signed: it came by
// TLS from the service that would sign it.
func (s *Session) identify(text string, req *SignIn, d *Discovery) error {
	var claims struct {
		jwt.RegisteredClaims
		Tenant string `json:"tid"`
		UPN    string `json:"upn"`
		Name   string `json:"preferred_username"`
	}
	if text == "" {
		s.UPN, s.TenantID = req.Username, d.TenantID
		return nil
	}
	if _, _, err := jwt.NewParser().ParseUnverified(text, &claims); err != nil && !errors.Is(err, jwt.ErrTokenUnverifiable) {
		return fmt.Errorf("%w: identity token", ErrMalformed)
	}
	s.UPN, s.TenantID = cut(or(claims.UPN, or(claims.Name, req.Username))), strings.ToLower(cut(claims.Tenant))
	switch {
	case d.TenantID != "" && s.TenantID != "" && s.TenantID != d.TenantID:
		return fmt.Errorf("%w: identity token of %q, not %q", ErrTenant, s.TenantID, d.TenantID)
	case len(claims.Audience) > 0 && claims.Audience[0] != or(req.ClientID, signInClient):
		return fmt.Errorf("%w: identity token for %q", ErrMalformed, cut(claims.Audience[0]))
	}
	return nil
}
