package drs

import (
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/internal/jose"
	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/internal/rsablob"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// defaultScope is the scope of a request for a primary refresh token.
const defaultScope = "openid aza"

// A SignIn has what the sign-in of a user on a joined device needs. Certificate, DeviceKey,
// one of TransportKey and StorageKey, and one of Password, RefreshToken, UserKey and SAML
// are required. If there are several, UserKey is used before SAML, that before RefreshToken,
// and that before Password. For a sign-in without a device see Code.
type SignIn struct {
	Certificate  *x509.Certificate // device certificate (Device.Certificate)
	DeviceKey    crypto.Signer     // device key of the join, RSA of 2048 bits or on P-256
	TransportKey crypto.Decrypter  // transport key of the join, RSA

	// StorageKey is the storage key of the join, on P-256. The method Exchanger of
	// attest.Key returns one in a TPM; an *[ecdh.PrivateKey] is one, too.
	StorageKey ecdh.KeyExchanger

	// Protocol is the version of the protocol of primary refresh tokens. Windows has 2,
	// with TransportKey. Version 3 is the same at version 2.0 of the token endpoint.
	// Version 4 needs a DeviceKey on P-256 and StorageKey; the session then has no session
	// key: the device key signs each request, and replies are encrypted to StorageKey. If
	// 0, it is 4 with StorageKey, and otherwise 2. Versions 3 and 4 are not specified;
	// they follow an open client.
	Protocol int

	// Username is the user principal name. It is required with Password and UserKey. If
	// it is set, an identity token must have the same.
	Username string

	Password     Token         // of the user
	RefreshToken Token         // of the user, such as the one that came with the token for the join
	UserKey      crypto.Signer // RSA key of the user that the directory knows (Windows Hello)
	SAML         Token         // SAML 1.1 assertion, as XML, of the identity provider of a federated user

	// Code is an authorization code, for a sign-in by protocol 3 without a device: with it,
	// only TransportKey, which need not be known to the directory, and RedirectURI are
	// required. CodeVerifier is that of the code's request (RFC 7636); it may be empty.
	Code         Token
	CodeVerifier string

	// Kerberos requests Kerberos tickets with the primary refresh token; see
	// [Session.KerberosTickets].
	Kerberos bool

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
	if err := req.check(d); err != nil {
		return nil, asError(opSignIn, "", err)
	}
	s, err := c.signIn(ctx, d, req)
	if err != nil {
		return nil, asError(opSignIn, d.TokenEndpoint, err)
	}
	return s, nil
}

func (c *Client) signIn(ctx context.Context, d *Discovery, req *SignIn) (*Session, error) {
	a, err := c.requestSession(ctx, d, req)
	if err != nil {
		return nil, err
	}
	if err := sameTenant("the answer", a.DeviceTenant, d.TenantID); err != nil {
		return nil, err
	}
	s, err := c.session(a, req.secrets())
	if err != nil {
		return nil, err
	}
	if err := s.identify(a.IDToken, req, d, c.now()); err != nil {
		return nil, err
	}
	if req.protocol() == protocol4 {
		return s, nil
	}
	// The transport key must be able to decrypt the session key.
	return s, s.use(func([]byte) error { return nil })
}

// secrets returns the parts of a session that are known before the sign-in.
func (r *SignIn) secrets() secrets {
	own := secrets{protocol: r.protocol()}
	if own.protocol == protocol4 {
		own.certificate, own.device, own.storage = r.Certificate, r.DeviceKey, r.StorageKey
		return own
	}
	// Requests of protocol 3 have version 2 of the key derivation only.
	own.version2, own.transport = r.KDF != 1 || own.protocol == protocol3, r.TransportKey
	return own
}

// requestSession requests a primary refresh token.
func (c *Client) requestSession(ctx context.Context, d *Discovery, req *SignIn) (*sessionAnswer, error) {
	protocol := req.protocol()
	endpoint, err := endpointFor(d, protocol)
	if err != nil {
		return nil, err
	}
	a := new(sessionAnswer)
	if req.Code != "" {
		form, err := req.codeForm()
		if err == nil {
			err = c.post(ctx, opSignIn, endpoint, form, a)
		}
		return a, err
	}
	nonce, err := c.requestNonce(ctx, opSignIn, d.TokenEndpoint)
	if err != nil {
		return nil, err
	}
	var crypto *jweCrypto
	if protocol == protocol4 {
		crypto = newJWECrypto()
	}
	text, err := req.sign(d, nonce, crypto, c.now())
	if err != nil {
		return nil, err
	}
	form := requestForm(text, protocol)
	if req.Kerberos {
		form.Set("tgt", "true")
	}
	if protocol != protocol4 {
		if err := c.post(ctx, opSignIn, endpoint, form, a); err != nil {
			return nil, err
		}
		if !strings.EqualFold(a.TokenType, "pop") || a.SessionKey == "" {
			return nil, fmt.Errorf("%w: it has no session key, or its token is of type %q", ErrMalformed, cut(a.TokenType))
		}
		return a, nil
	}
	k := postForm(opSignIn, endpoint, form)
	reply, err := c.send(ctx, k)
	if err != nil {
		return nil, err
	}
	if err := openECDH(reply.Body, req.StorageKey, crypto, a); err != nil {
		return nil, k.failed(reply, err)
	}
	if a.SessionKey != "" {
		return nil, fmt.Errorf("%w: it has a session key, which protocol 4 does not have", ErrMalformed)
	}
	return a, nil
}

// codeForm returns the form of a sign-in by an authorization code, without a device.
func (r *SignIn) codeForm() (url.Values, error) {
	pub, ok := r.TransportKey.Public().(*rsa.PublicKey)
	if !ok {
		return nil, misuse.Errorf("the transport key is %s: protocols 2 and 3 need an RSA key; a key on P-256 goes into StorageKey, with protocol 4", wire.KeyKind(r.TransportKey.Public()))
	}
	jwk, err := json.Marshal(map[string]string{
		"kty": "RSA", "e": b64.EncodeToString(big.NewInt(int64(pub.E)).Bytes()), "n": b64.EncodeToString(pub.N.Bytes()),
	})
	form := url.Values{
		"grant_type": {"authorization_code"}, "client_id": {r.client()}, "code": {string(r.Code)}, "redirect_uri": {r.RedirectURI},
		"scope": {or(r.Scope, "aza profile offline_access openid")}, "stk_jwk": {string(jwk)}, "prt_protocol_version": {"3.0"}, "client_info": {"1"},
	}
	if r.CodeVerifier != "" {
		form.Set("code_verifier", r.CodeVerifier)
	}
	return form, err
}

// check checks that a sign-in is complete.
func (r *SignIn) check(d *Discovery) error {
	if r == nil || r.Code == "" && r.Certificate == nil {
		return misuse.Errorf("the sign-in has no device certificate")
	}
	if err := r.checkProtocol(); err != nil || r.Code != "" {
		return err
	}
	pub, err := deviceKey(r.DeviceKey)
	if err != nil {
		return err
	}
	if !pub.Equal(r.Certificate.PublicKey) {
		return misuse.Errorf("the device certificate is for another key")
	}
	if r.Password == "" && r.RefreshToken == "" && r.UserKey == nil && r.SAML == "" {
		return misuse.Errorf("the sign-in has neither a password nor a refresh token nor a key or an assertion of the user")
	}
	if r.RefreshToken == "" && r.SAML == "" && r.Username == "" {
		return misuse.Errorf("the sign-in has no user name")
	}
	if dev, err := ParseDevice(r.Certificate); err == nil {
		return sameTenant("the device certificate", dev.TenantID, d.TenantID)
	}
	return nil
}

// checkProtocol checks that a sign-in has what its protocol needs.
func (r *SignIn) checkProtocol() error {
	if r.KDF < 0 || r.KDF > 2 {
		return misuse.Errorf("version %d of the key derivation is undefined", r.KDF)
	}
	switch p := r.protocol(); {
	case p < protocol2 || p > protocol4:
		return misuse.Errorf("protocol %d of primary refresh tokens is undefined", p)
	case r.Code != "" && (p != protocol3 || r.RedirectURI == "" || r.Certificate != nil):
		return misuse.Errorf("a sign-in by an authorization code needs protocol 3 and a redirect URI, and has no device certificate")
	case p == protocol4 && (r.StorageKey == nil || r.StorageKey.PublicKey() == nil || r.StorageKey.Curve() != ecdh.P256() || !isEC(r.DeviceKey)):
		return misuse.Errorf("the sign-in has no storage key on P-256, or its device key is not on P-256")
	case p != protocol4 && r.TransportKey == nil:
		return misuse.Errorf("the sign-in has no transport key")
	}
	return nil
}

// sign returns the request as a JWT that the device key signed. crypto is nil unless the
// protocol is 4.
func (r *SignIn) sign(d *Discovery, nonce string, crypto *jweCrypto, now time.Time) (string, error) {
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
	case r.SAML != "":
		claims["grant_type"], claims["assertion"] = grantSAML, base64.StdEncoding.EncodeToString([]byte(r.SAML))
	case r.RefreshToken != "":
		claims["grant_type"], claims["refresh_token"] = "refresh_token", string(r.RefreshToken)
	default:
		claims["grant_type"], claims["username"], claims["password"] = "password", r.Username, string(r.Password)
	}
	token := jwt.NewWithClaims(jose.Method(r.DeviceKey), claims)
	token.Header["x5c"] = []string{base64.StdEncoding.EncodeToString(r.Certificate.Raw)}
	if crypto != nil {
		claims["jwe_crypto"] = crypto
	}
	if r.KDF != 1 && r.protocol() == protocol2 {
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
		return "", misuse.Errorf("the user's key is %s: use an RSA key", wire.KeyKind(r.UserKey.Public()))
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

// grantSAML is the grant of a SAML 1.1 assertion.
const grantSAML = "urn:ietf:params:oauth:grant-type:saml1_1-bearer"

// A sessionAnswer is an answer with a primary refresh token.
type sessionAnswer struct {
	TokenType    string          `json:"token_type"`
	RefreshToken string          `json:"refresh_token"`
	ExpiresIn    json.RawMessage `json:"refresh_token_expires_in"`
	SessionKey   string          `json:"session_key_jwe"`
	IDToken      string          `json:"id_token"`
	DeviceTenant string          `json:"device_tenant_id"`
	TicketAD     string          `json:"tgt_ad"`
	TicketCloud  string          `json:"tgt_cloud"`
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
	own.ticketAD, own.ticketCloud = a.TicketAD, a.TicketCloud
	if a.SessionKey != "" {
		own.key = Token(a.SessionKey)
	}
	return &Session{Expires: expires, hidden: hide(own)}, nil
}
