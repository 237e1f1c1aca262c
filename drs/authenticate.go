package drs

import (
	"context"
	"crypto"
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
)

// profile is the name of the proof that Authenticate speaks.
const profile = "ek-jwt-v1"

const grantJWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"

// maxToken limits a token, in bytes.
const maxToken = 32 << 10

// A Proof is what a device without a user has to show of itself. Areas are a
// TPMT_PUBLIC without a size before it.
type Proof struct {
	EK      crypto.PublicKey    // endorsement key
	EKArea  []byte              // of the same key
	EKChain []*x509.Certificate // its certificate first; may be empty

	AIKArea  []byte              // of the attestation key, with a name by SHA-256, SHA-384 or SHA-512
	AIKChain []*x509.Certificate // its certificate first; may be empty

	// DeviceKey and TransportKey bind the token to the keys of the join. They
	// may be nil: then the join must be attested by the attestation key.
	DeviceKey    *rsa.PublicKey
	TransportKey *rsa.PublicKey

	// Activate has the TPM answer a challenge (TPM2_ActivateCredential) and
	// returns the secret. blob and secret are a TPM2B_ID_OBJECT and a
	// TPM2B_ENCRYPTED_SECRET without their sizes.
	Activate func(ctx context.Context, blob, secret []byte) ([]byte, error)

	Resource string // whom the token is for; if empty, the service of the join
	ClientID string // if empty, BrokerClient
}

// A DeviceToken stands for a device that has proved its TPM.
type DeviceToken struct {
	Token   Token
	Nonce   []byte    // the server's, 32 bytes, for Attestation.Nonce
	Expires time.Time // when the token ceases to be valid
}

// Authenticate trades a proof for the token of a join, at a service that
// offers a TPM challenge; without one it fails with [ErrNoChallenge]. It asks
// for a challenge, has it answered, and sends an assertion with a MAC by the
// key that follows from the answer.
func (c *Client) Authenticate(ctx context.Context, d *Discovery, p *Proof) (*DeviceToken, error) {
	fail := func(err error) (*DeviceToken, error) { return nil, asError(opAuthenticate, d.ProofEndpoint, err) }
	if d.ProofEndpoint == "" {
		return fail(ErrNoChallenge)
	}
	id, err := p.identity()
	if err != nil {
		return fail(err)
	}
	ch, err := c.challenge(ctx, d, p, id)
	if err != nil {
		return fail(err)
	}
	nonce, err := c.requestNonce(ctx, ch.token)
	if err != nil {
		return fail(err)
	}
	secret, err := p.Activate(ctx, ch.blob, ch.secret)
	if err != nil {
		return fail(fmt.Errorf("answering the challenge: %w", err))
	}
	assertion, err := c.assertion(id, ch, nonce, secret)
	clear(secret)
	if err != nil {
		return fail(err)
	}
	out, err := c.token(ctx, d, p, ch.token, assertion)
	if err != nil {
		return fail(err)
	}
	out.Nonce = ch.nonce
	return out, nil
}

// asError returns err as an *Error.
func asError(op, url string, err error) error {
	var e *Error
	if errors.As(err, &e) {
		return err
	}
	return &Error{Op: op, URL: url, Err: err}
}

// A challengeRequest asks for a challenge.
type challengeRequest struct {
	Profile             string
	EkPublic            []byte
	EkCertificate       []byte   `json:",omitempty"`
	EkCertificateChain  [][]byte `json:",omitempty"`
	AikPublic           []byte
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

// A challenge is one that was read and found good.
type challenge struct {
	id           string
	blob, secret []byte // without sizes
	nonce        []byte // the server's
	token        string // endpoint
	audience     string
	life         time.Duration
}

// challenge asks for a challenge.
func (c *Client) challenge(ctx context.Context, d *Discovery, p *Proof, id *identity) (*challenge, error) {
	req := challengeRequest{Profile: profile, EkPublic: sized(p.EKArea), AikPublic: sized(p.AIKArea), ClientNonce: id.nonce}
	req.EkCertificate, req.EkCertificateChain = encodeChain(p.EKChain)
	req.AikCertificate, req.AikCertificateChain = encodeChain(p.AIKChain)
	body, err := json.Marshal(req)
	if err != nil {
		return nil, err
	}
	var a challengeAnswer
	at := withVersion(d.ProofEndpoint, d.ProofVersion)
	if err := c.do(ctx, &call{op: opAuthenticate, method: http.MethodPost, url: at, kind: "application/json", body: body}, &a); err != nil {
		return nil, err
	}
	return c.readChallenge(d, &a)
}

func (c *Client) readChallenge(d *Discovery, a *challengeAnswer) (*challenge, error) {
	blob, blobOK := unsized(a.CredentialBlob)
	secret, secretOK := unsized(a.EncryptedSecret)
	switch {
	case !isID(a.ChallengeID):
		return nil, fmt.Errorf("%w: challenge identifier", ErrMalformed)
	case !blobOK || !secretOK:
		return nil, fmt.Errorf("%w: credential of %d and %d bytes", ErrMalformed, len(a.CredentialBlob), len(a.EncryptedSecret))
	case len(a.ServerNonce) != sha256.Size:
		return nil, fmt.Errorf("%w: nonce of %d bytes", ErrMalformed, len(a.ServerNonce))
	case a.Audience == "":
		return nil, fmt.Errorf("%w: no audience", ErrMalformed)
	case a.ExpiresIn <= 0:
		return nil, fmt.Errorf("%w: challenge lives %d s", ErrMalformed, a.ExpiresIn)
	}
	ch := &challenge{id: a.ChallengeID, blob: blob, secret: secret, nonce: a.ServerNonce, token: a.TokenEndpoint, audience: a.Audience}
	if ch.token == "" {
		ch.token = d.TokenEndpoint
	}
	ch.life = time.Duration(min(a.ExpiresIn, int(assertionLife/time.Second))) * time.Second
	return ch, c.checkEndpoint(ch.token)
}

// isID reports whether s can be a challenge's identifier.
func isID(s string) bool {
	return s != "" && len(s) <= 128 && strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

// requestNonce asks the token endpoint for a nonce.
func (c *Client) requestNonce(ctx context.Context, endpoint string) (string, error) {
	var a struct{ Nonce string }
	if err := c.post(ctx, endpoint, url.Values{"grant_type": {"srv_challenge"}}, &a); err != nil {
		return "", err
	}
	if a.Nonce == "" || len(a.Nonce) > maxNonce {
		return "", fmt.Errorf("%w: a nonce of %d bytes", ErrMalformed, len(a.Nonce))
	}
	return a.Nonce, nil
}

// token trades an assertion for a token.
func (c *Client) token(ctx context.Context, d *Discovery, p *Proof, endpoint, assertion string) (*DeviceToken, error) {
	form := url.Values{"grant_type": {grantJWT}, "assertion": {assertion}, "resource": {p.Resource}, "client_id": {p.ClientID}}
	if p.Resource == "" {
		form.Set("resource", d.JoinResource)
	}
	if p.ClientID == "" {
		form.Set("client_id", BrokerClient)
	}
	var a struct {
		TokenType   string          `json:"token_type"`
		AccessToken string          `json:"access_token"`
		ExpiresIn   json.RawMessage `json:"expires_in"`
	}
	if err := c.post(ctx, endpoint, form, &a); err != nil {
		return nil, err
	}
	if !strings.EqualFold(a.TokenType, "Bearer") || a.AccessToken == "" || len(a.AccessToken) > maxToken {
		return nil, fmt.Errorf("%w: token of type %q with %d bytes", ErrMalformed, a.TokenType, len(a.AccessToken))
	}
	// Entra's older endpoint sends numbers as strings.
	life, err := strconv.ParseUint(strings.Trim(string(a.ExpiresIn), `"`), 10, 31)
	if err != nil {
		return nil, fmt.Errorf("%w: expires_in", ErrMalformed)
	}
	return &DeviceToken{Token: Token(a.AccessToken), Expires: c.now().Add(time.Duration(life) * time.Second)}, nil
}

func (c *Client) post(ctx context.Context, endpoint string, form url.Values, out any) error {
	return c.do(ctx, &call{op: opAuthenticate, method: http.MethodPost, url: endpoint, kind: "application/x-www-form-urlencoded", body: []byte(form.Encode())}, out)
}

// encodeChain returns the first certificate of a chain and the others, in DER.
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
