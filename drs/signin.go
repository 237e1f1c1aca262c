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

// defaultScope is the scope of a request for a primary refresh token.
const defaultScope = "openid aza"

// A SignIn has what the sign-in of a user on a joined device needs. Certificate, both keys
// and one of Password, RefreshToken and UserKey are required. If there are several,
// UserKey is used before RefreshToken, and that before Password.
type SignIn struct {
	Certificate  *x509.Certificate // device certificate (Device.Certificate)
	DeviceKey    crypto.Signer     // device key of the join, RSA of 2048 bits
	TransportKey crypto.Decrypter  // transport key of the join, RSA

	// Username is the user principal name. It is required without RefreshToken. If it
	// is set, an identity token must have the same.
	Username string

	Password     Token         // of the user
	RefreshToken Token         // of the user, such as the one that came with the token for the join
	UserKey      crypto.Signer // RSA key of the user that the directory knows (Windows Hello)

	// KDF is the version of the key derivation, 1 or 2; if 0, 2, as of all open
	// clients. Version 2 also covers the signed content. Of AD FS, only a service of
	// which [Client.Capabilities] returns "kdf_ver2" has it.
	KDF int

	// ClientID is the OAuth client identifier. With RefreshToken it must be that of the
	// client for which the token was issued; if empty, it is BrokerClient then, and
	// otherwise that of Windows' sign-in.
	ClientID string

	RedirectURI string // a redirect URI of the client; if empty, none is sent, as by Windows
	Scope       string // if empty, "openid aza"
	OSVersion   string // may be empty
}

// SignIn requests a primary refresh token for a user ([MS-OAPXBC] section 3.2.5.1.2). The
// device key signs the request. The answer has a session key that is encrypted to the
// transport key; SignIn checks that the transport key can decrypt it.
//
// If the answer has an identity token, that must be valid now, be for the client, for
// req.Username and for the tenant d.TenantID, and be from an issuer of that tenant. Its
// signature is not verified.
//
// The error is an [*Error]. It wraps [ErrEndpoint] if d.TokenEndpoint is empty or not
// trusted; [ErrMalformed]; [ErrTenant] if the answer or req.Certificate is for another
// tenant than d.TenantID; [ErrSession] if the transport key cannot decrypt the session key;
// or the error of DeviceKey or UserKey. If the service refuses, it has the service's
// HTTPStatus, Code and Subcode. If req is not valid, it wraps none of these.
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
	if err := req.check(d); err != nil {
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
		return nil, fmt.Errorf("%w: it has no session key, or its token is of type %q", ErrMalformed, cut(a.TokenType))
	}
	if err := sameTenant("the answer", a.DeviceTenant, d.TenantID); err != nil {
		return nil, err
	}
	s, err := c.session(&a, secrets{version2: req.KDF != 1, transport: req.TransportKey})
	if err != nil {
		return nil, err
	}
	if err := s.identify(a.IDToken, req, d, c.now()); err != nil {
		return nil, err
	}
	// The transport key must be able to decrypt the session key.
	return s, s.use(func([]byte) error { return nil })
}

// check checks that a sign-in is complete.
func (r *SignIn) check(d *Discovery) error {
	if r == nil || r.Certificate == nil || r.TransportKey == nil {
		return errors.New("the sign-in has no device certificate or no transport key")
	}
	pub, err := deviceKey(r.DeviceKey)
	if err != nil {
		return err
	}
	if !pub.Equal(r.Certificate.PublicKey) {
		return errors.New("the device certificate is for another key")
	}
	if r.Password == "" && r.RefreshToken == "" && r.UserKey == nil {
		return errors.New("the sign-in has neither a password nor a refresh token nor a key of the user")
	}
	if r.KDF < 0 || r.KDF > 2 {
		return fmt.Errorf("version %d of the key derivation is undefined", r.KDF)
	}
	if r.RefreshToken == "" && r.Username == "" {
		return errors.New("the sign-in has no user name")
	}
	if dev, err := ParseDevice(r.Certificate); err == nil {
		return sameTenant("the device certificate", dev.TenantID, d.TenantID)
	}
	return nil
}

// sign returns the request as a JWT that the device key signed.
func (r *SignIn) sign(d *Discovery, nonce string, now time.Time) (string, error) {
	claims := jwt.MapClaims{
		"client_id": r.client(), "scope": or(r.Scope, defaultScope), "request_nonce": nonce,
	}
	if r.RedirectURI != "" {
		claims["redirect_uri"] = r.RedirectURI
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
	if r.KDF != 1 {
		token.Header["kdf_ver"] = 2
	}
	text, err := token.SignedString(r.DeviceKey)
	if err != nil {
		return "", fmt.Errorf("signing the request: %w", err)
	}
	return text, nil
}

// assertion returns a JWT that a key of the user signed. It has the nonce of the request, so
// that it is valid for this request only.
func (r *SignIn) assertion(d *Discovery, nonce string, now time.Time) (string, error) {
	pub, ok := r.UserKey.Public().(*rsa.PublicKey)
	if !ok {
		return "", fmt.Errorf("the user's key is a %T, not an RSA key", r.UserKey.Public())
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

// requestForm returns the form in which Windows posts a signed request.
func requestForm(request string) url.Values {
	return url.Values{"windows_api_version": {"2.2"}, "grant_type": {grantJWT}, "request": {request}, "client_info": {"1"}}
}

// A sessionAnswer is an answer with a primary refresh token.
type sessionAnswer struct {
	TokenType    string          `json:"token_type"`
	RefreshToken string          `json:"refresh_token"`
	ExpiresIn    json.RawMessage `json:"refresh_token_expires_in"`
	SessionKey   string          `json:"session_key_jwe"`
	IDToken      string          `json:"id_token"`
	DeviceTenant string          `json:"device_tenant_id"`
}

// session returns the session of an answer. own has the secrets that do not change.
func (c *Client) session(a *sessionAnswer, own secrets) (*Session, error) {
	var expires time.Time
	if len(a.ExpiresIn) > 0 && string(a.ExpiresIn) != "null" {
		life, err := lifetime(a.ExpiresIn)
		if err != nil {
			return nil, err
		}
		expires = c.now().Add(life)
	}
	if a.RefreshToken == "" || len(a.RefreshToken) > maxToken || len(a.SessionKey) > maxToken {
		return nil, fmt.Errorf("%w: the refresh token has %d bytes, the session key %d", ErrMalformed, len(a.RefreshToken), len(a.SessionKey))
	}
	own.token = Token(a.RefreshToken)
	if a.SessionKey != "" {
		own.key = Token(a.SessionKey)
	}
	return &Session{Expires: expires, hidden: hide(own)}, nil
}
