package drs

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/misuse"
)

// The variants of a proof; see the package documentation.
const (
	profileEK   = "ek-jwt-v1"     // of an attestation key, for a token
	profileDK   = "dk-activate"   // of the device key, for a token
	profileJoin = "challenge-401" // of either, during the join
)

const grantJWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"

// maxToken is the largest size of a token that is accepted, in bytes.
const maxToken = 32 << 10

// A Proof has what a device without a user needs to prove its TPM. Public areas are a
// TPMT_PUBLIC without a size prefix. EK, EKPublicArea, Activate and one of AIKPublicArea
// and DeviceKeyPublicArea are required.
type Proof struct {
	EK           crypto.PublicKey    // endorsement key
	EKPublicArea []byte              // its public area
	EKChain      []*x509.Certificate // its certificate first; may be empty

	// AIKPublicArea is that of the attestation key. Its name algorithm is SHA-256,
	// SHA-384 or SHA-512.
	AIKPublicArea []byte
	AIKChain      []*x509.Certificate // its certificate first; may be empty

	// DeviceKeyPublicArea is that of the device key, for a device without an
	// attestation key: if AIKPublicArea is empty, the device key itself is proved to
	// be in the TPM of the endorsement key. It requires DeviceKey.
	DeviceKeyPublicArea []byte

	// DeviceKey, and TransportKey or StorageKey, bind the token to the keys of the
	// join. If they are nil, the join needs a Request.Attestation. A join with
	// Request.Proof sets them itself.
	DeviceKey    crypto.PublicKey // RSA of 2048 bits or on P-256
	TransportKey *rsa.PublicKey
	StorageKey   *ecdsa.PublicKey // instead of TransportKey

	// Activate decrypts the service's challenge with the endorsement key, for the
	// key that is proved (TPM2_ActivateCredential), and returns the secret.
	// blob is the contents of a TPM2B_ID_OBJECT and encryptedSecret those of a
	// TPM2B_ENCRYPTED_SECRET, both without a size prefix. The method Activator of
	// attest.TPM returns such a function.
	Activate func(ctx context.Context, blob, encryptedSecret []byte) ([]byte, error)

	Resource string // resource to request a token for; if empty, Discovery.JoinResource
	ClientID string // OAuth client identifier; if empty, BrokerClient
}

// profile returns the name of the variant that returns a token.
func (p *Proof) profile() string {
	if p != nil && len(p.AIKPublicArea) == 0 {
		return profileDK
	}
	return profileEK
}

// Authenticate proves the device's TPM and returns a device token for a join
// ([Request.DeviceToken]). It requests a challenge from d.ProofEndpoint, has p.Activate
// decrypt it while it requests a nonce from the token endpoint, and sends that endpoint an
// assertion whose MAC key is derived from the
// decrypted secret. The token is bound to p.DeviceKey and
// p.TransportKey, so that a join with other keys is refused.
//
// The error is an [*Error]. It wraps [ErrNoChallenge] if d.ProofEndpoint is empty,
// [ErrEndpoint], [ErrMalformed], [ErrTenant] if the challenge or the token is for another
// tenant than d.TenantID, or the error of p.Activate. If a service refuses, it has
// the service's Code and Subcode, such as "tpm_ek_unknown". If p is nil or incomplete, it wraps
// none of these.
func (c *Client) Authenticate(ctx context.Context, d *Discovery, p *Proof) (*DeviceToken, error) {
	d = c.services(d)
	if d.ProofEndpoint == "" {
		return nil, &Error{Op: opAuthenticate, Err: ErrNoChallenge}
	}
	id, err := p.identity(p.profile())
	if err != nil {
		return nil, asError(opAuthenticate, "", err)
	}
	out, err := c.authenticate(ctx, d, p, id)
	if err != nil {
		return nil, asError(opAuthenticate, d.ProofEndpoint, err)
	}
	return out, nil
}

func (c *Client) authenticate(ctx context.Context, d *Discovery, p *Proof, id *identity) (*DeviceToken, error) {
	ch, err := c.challenge(ctx, d, p, id)
	if err != nil {
		return nil, err
	}
	assertion, err := c.answerWithNonce(ctx, p, id, ch)
	if err != nil {
		return nil, err
	}
	out, err := c.token(ctx, d, p, ch.token, assertion)
	if err != nil {
		return nil, err
	}
	out.Nonce = ch.nonce
	return out, nil
}

// answer has the TPM decrypt a challenge and returns the assertion.
func (c *Client) answer(ctx context.Context, p *Proof, id *identity, ch *challenge, nonce string) (string, error) {
	secret, err := p.activate(ctx, ch)
	if err != nil {
		return "", err
	}
	defer clear(secret)
	return c.assertion(id, ch, nonce, secret)
}

// answerWithNonce does the same, but puts a nonce of the token endpoint into the
// assertion, which it requests while the TPM works. If both fail, the error is that of
// the endpoint.
func (c *Client) answerWithNonce(ctx context.Context, p *Proof, id *identity, ch *challenge) (string, error) {
	asking, stop := context.WithCancel(ctx)
	defer stop()
	var nonce string
	var refused error
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		nonce, refused = c.requestNonce(asking, opAuthenticate, ch.token)
	}()
	secret, err := p.activate(ctx, ch)
	defer clear(secret)
	if err != nil {
		stop()
	}
	<-asked
	switch {
	case refused != nil && (err == nil || ctx.Err() != nil || !errors.Is(refused, context.Canceled)):
		return "", refused
	case err != nil:
		return "", err
	}
	return c.assertion(id, ch, nonce, secret)
}

// activate has the TPM decrypt a challenge.
func (p *Proof) activate(ctx context.Context, ch *challenge) ([]byte, error) {
	secret, err := p.Activate(ctx, ch.blob, ch.secret)
	switch {
	case err != nil:
		return nil, fmt.Errorf("answering the challenge: %w", misuse.Of("Proof.Activate", err))
	case len(secret) == 0:
		return nil, misuse.Neither("Proof.Activate", "a secret")
	}
	return secret, nil
}

// asError returns err as an *Error.
func asError(op, url string, err error) error {
	var e *Error
	if errors.As(err, &e) {
		return err
	}
	return &Error{Op: op, URL: url, Err: err}
}

// A challengeRequest is the body of a request for a challenge.
type challengeRequest struct {
	Profile             string
	EkPublic            []byte
	EkCertificate       []byte   `json:",omitempty"`
	EkCertificateChain  [][]byte `json:",omitempty"`
	AikPublic           []byte   `json:",omitempty"`
	DkPublic            []byte   `json:",omitempty"`
	AikCertificate      []byte   `json:",omitempty"`
	AikCertificateChain [][]byte `json:",omitempty"`
	ClientNonce         []byte
}

type challengeAnswer struct {
	ChallengeID             string
	CredentialBlob          []byte
	EncryptedSecret         []byte
	ServerNonce             []byte
	TokenEndpoint, Audience string
	ExpiresIn               int
}

// A challenge is a challenge of the service, after the check of its form.
type challenge struct {
	id           string
	blob, secret []byte // for TPM2_ActivateCredential, without size prefixes
	nonce        []byte // of the server
	token        string // token endpoint for the assertion
	audience     string // of the assertion
	life         time.Duration
}

// request returns the body of the request for a challenge.
func (p *Proof) request(id *identity) *challengeRequest {
	req := &challengeRequest{Profile: id.profile, EkPublic: sized(p.EKPublicArea), ClientNonce: id.nonce}
	req.EkCertificate, req.EkCertificateChain = encodeChain(p.EKChain)
	if len(p.AIKPublicArea) == 0 {
		req.DkPublic = sized(p.DeviceKeyPublicArea)
		return req
	}
	req.AikPublic = sized(p.AIKPublicArea)
	req.AikCertificate, req.AikCertificateChain = encodeChain(p.AIKChain)
	return req
}

// challenge requests a challenge.
func (c *Client) challenge(ctx context.Context, d *Discovery, p *Proof, id *identity) (*challenge, error) {
	body, err := json.Marshal(p.request(id))
	if err != nil {
		return nil, err
	}
	var a challengeAnswer
	at := withVersion(d.ProofEndpoint, d.ProofVersion)
	if err := c.do(ctx, &call{op: opAuthenticate, method: http.MethodPost, url: at, kind: "application/json", body: body}, &a); err != nil {
		return nil, err
	}
	ch, err := a.read()
	if err != nil {
		return nil, err
	}
	ch.token = or(a.TokenEndpoint, d.TokenEndpoint)
	return ch, sameTenant("the challenge's token endpoint", endpointTenant(ch.token), d.TenantID)
}

// read checks the form of a challenge.
func (a *challengeAnswer) read() (*challenge, error) {
	blob, blobOK := unsized(a.CredentialBlob)
	secret, secretOK := unsized(a.EncryptedSecret)
	switch {
	case !isID(a.ChallengeID):
		return nil, fmt.Errorf("%w: the challenge has no valid identifier", ErrMalformed)
	case !blobOK || !secretOK:
		return nil, fmt.Errorf("%w: the challenge's blob of %d bytes or its secret of %d is not valid", ErrMalformed, len(a.CredentialBlob), len(a.EncryptedSecret))
	case len(a.ServerNonce) != sha256.Size:
		return nil, fmt.Errorf("%w: the challenge's nonce has %d bytes", ErrMalformed, len(a.ServerNonce))
	case a.Audience == "":
		return nil, fmt.Errorf("%w: the challenge has no audience", ErrMalformed)
	case a.ExpiresIn <= 0:
		return nil, fmt.Errorf("%w: the challenge expires in %d s", ErrMalformed, a.ExpiresIn)
	}
	life := time.Duration(min(a.ExpiresIn, int(assertionLife/time.Second))) * time.Second
	return &challenge{id: a.ChallengeID, blob: blob, secret: secret, nonce: a.ServerNonce, audience: a.Audience, life: life}, nil
}

// isID reports whether s is valid as the identifier of a challenge: up to 128 visible
// ASCII characters.
func isID(s string) bool {
	return s != "" && len(s) <= 128 && strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

// requestNonce requests a nonce from a token endpoint.
func (c *Client) requestNonce(ctx context.Context, op, endpoint string) (string, error) {
	var a struct{ Nonce string }
	if err := c.post(ctx, op, endpoint, url.Values{"grant_type": {"srv_challenge"}}, &a); err != nil {
		return "", err
	}
	if a.Nonce == "" || len(a.Nonce) > maxNonce {
		return "", fmt.Errorf("%w: the nonce has %d bytes", ErrMalformed, len(a.Nonce))
	}
	return a.Nonce, nil
}

// token exchanges an assertion for a device token.
func (c *Client) token(ctx context.Context, d *Discovery, p *Proof, endpoint, assertion string) (*DeviceToken, error) {
	form := url.Values{"grant_type": {grantJWT}, "assertion": {assertion}, "resource": {p.Resource}, "client_id": {p.ClientID}}
	if p.Resource == "" {
		form.Set("resource", d.JoinResource)
	}
	if p.ClientID == "" {
		form.Set("client_id", BrokerClient)
	}
	var a tokenAnswer
	if err := c.post(ctx, opAuthenticate, endpoint, form, &a); err != nil {
		return nil, err
	}
	life, err := a.check()
	if err != nil {
		return nil, err
	}
	if err := sameTenant("the device token", tokenTenant(Token(a.AccessToken)), d.TenantID); err != nil {
		return nil, err
	}
	return &DeviceToken{Token: Token(a.AccessToken), ZTDID: ztdID(a.AccessToken), Expires: c.now().Add(life)}, nil
}

// A tokenAnswer is the answer of a token endpoint with an access token.
type tokenAnswer struct {
	TokenType   string          `json:"token_type"`
	AccessToken string          `json:"access_token"`
	ExpiresIn   json.RawMessage `json:"expires_in"`
}

// check checks that there is a bearer token and returns how long it is valid.
func (a *tokenAnswer) check() (time.Duration, error) {
	if !strings.EqualFold(a.TokenType, "Bearer") || a.AccessToken == "" || len(a.AccessToken) > maxToken {
		return 0, fmt.Errorf("%w: the token is of type %q and has %d bytes", ErrMalformed, cut(a.TokenType), len(a.AccessToken))
	}
	return lifetime(a.ExpiresIn)
}

// lifetime reads a number of seconds. Entra's older token endpoint sends it as a string.
func lifetime(raw json.RawMessage) (time.Duration, error) {
	n, err := strconv.ParseUint(strings.Trim(string(raw), `"`), 10, 31)
	if err != nil {
		return 0, fmt.Errorf("%w: the token's lifetime is not a number", ErrMalformed)
	}
	return time.Duration(n) * time.Second, nil
}

func (c *Client) post(ctx context.Context, op, endpoint string, form url.Values, out any) error {
	return c.do(ctx, postForm(op, endpoint, form), out)
}

func postForm(op, endpoint string, form url.Values) *call {
	return &call{op: op, method: http.MethodPost, url: endpoint, kind: "application/x-www-form-urlencoded", body: []byte(form.Encode())}
}

// encodeChain returns the first certificate of a chain and the others in DER.
func encodeChain(chain []*x509.Certificate) (leaf []byte, rest [][]byte) {
	for i, cert := range chain {
		if i == 0 {
			leaf = cert.Raw
			continue
		}
		rest = append(rest, cert.Raw)
	}
	return leaf, rest
}

// newNonce returns 32 random bytes.
func newNonce() []byte {
	b := make([]byte, 32)
	// crypto/rand.Read does not fail: it ends the program first.
	_, _ = rand.Read(b)
	return b
}

var b64 = base64.RawURLEncoding
