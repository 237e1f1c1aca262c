package mdm

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
	"math/big"
	"net/http"
	"net/url"
	"strings"

	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// A Statement is a TPM's signed statement that one of its keys is in it
// (TPM2_Certify). It has the fields of attest.Statement, so that a
// *attest.Statement converts to it: (*mdm.Statement)(s).
type Statement struct {
	PublicArea   []byte // TPMT_PUBLIC of the key that the statement is about
	Attest       []byte // TPMS_ATTEST of type certify
	Signature    []byte // TPMT_SIGNATURE of the attestation key over Attest
	CreationData []byte // not used here
}

// An AzureEvidence is what a device proves to Azure Attestation. AIK, Key and
// Certify are required. For keys in a TPM, an Identity of package prove returns one.
type AzureEvidence struct {
	// AIK is the attestation key, and AIKCertificate its certificate.
	// Without a certificate the service has nothing by which to trust the key.
	AIK            *rsa.PublicKey
	AIKCertificate *x509.Certificate

	// Key is the key of the enrollment. It signs the request to the service
	// (RSASSA-PSS with SHA-256).
	Key crypto.Signer

	// DeviceKey is the key that the device has in the directory. If it is nil,
	// nothing is proven about it.
	DeviceKey *rsa.PublicKey

	// Certify returns AIK's statements about Key and, if DeviceKey is not nil,
	// about that, each made for nonce, which has at most 64 bytes. The nonce comes
	// from the service, so that old statements are of no use.
	Certify func(ctx context.Context, nonce []byte) (key, device *Statement, err error)
}

// AsksAttestation reports whether the policy asks for an attestation of the
// management key: it says what to do if there is none, or names a service of Azure
// Attestation.
func (p *Policy) AsksAttestation() bool { return p.AttestationFailure != "" || p.Azure != nil }

const (
	azurePath  = "/attest/Tpm"
	azureQuery = "api-version=2022-08-01"
	maxNonce   = 64 // bytes; what a TPM puts into a statement
)

// AttestAzure proves keys to the service that p.Azure names, and returns the
// context item with the service's token, for [Request].Context; an enrollment with
// it has no Attestation. The policy's nonce and relying party go into the token, so
// that the management server knows it for its own. Servers ask for one from version
// 6.0 on, see Client.RequestVersion. Discovery d is that of the policy.
//
// The exchange is that of Azure Attestation's TPM endpoint: a challenge, then a JWS
// that the key signs, with the attestation key and its certificate, and a report in
// return, which is a JWT. That the statements about keys are in it as "request_key"
// and "other_keys" is taken from the names in reports; what Windows itself sends in
// an enrollment is not documented. The report is not verified, which is the
// management server's business.
//
// The error is an [*Error] with the operation "Attest". It wraps the error of
// Certify, of the key if that does not sign, and of ctx if that ended first. Its
// code is 0x80180027 if ev is incomplete.
func (c *Client) AttestAzure(ctx context.Context, d *Discovery, p *Policy, ev *AzureEvidence) (Item, error) {
	target, err := azureTarget(d, p, ev)
	if err != nil {
		return Item{}, &Error{Op: opAttest, Err: err}
	}
	challenge := new(azureChallenge)
	if err := c.azureCall(ctx, target, map[string]string{"type": "aikcert"}, challenge); err != nil {
		return Item{}, err
	}
	request, err := p.Azure.request(ctx, challenge, ev)
	if err != nil {
		return Item{}, &Error{Op: opAttest, Err: err}
	}
	var report struct {
		Report string `json:"report"`
	}
	if err := c.azureCall(ctx, target, map[string]string{"request": request}, &report); err != nil {
		return Item{}, err
	}
	if _, err := Token(report.Report).Claims(); err != nil {
		return Item{}, &Error{Op: opAttest, URL: wire.Redact(target), HTTPStatus: http.StatusOK, Err: errors.New("the answer has no report that is a JWT")}
	}
	return Item{ItemAzureBlob, base64.StdEncoding.EncodeToString([]byte(report.Report))}, nil
}

// azureTarget checks the arguments of AttestAzure, and returns the URL of the
// service.
func azureTarget(d *Discovery, p *Policy, ev *AzureEvidence) (string, error) {
	switch {
	case d == nil || p == nil || p.Azure == nil:
		return "", errors.New("the policy names no service of Azure Attestation")
	case ev == nil || ev.Key == nil || ev.AIK == nil || ev.Certify == nil:
		return "", hresult.Errorf(codeKeyCreation, "Azure Attestation needs a key in a TPM and an attestation key of that TPM")
	}
	if _, ok := ev.Key.Public().(*rsa.PublicKey); !ok {
		return "", hresult.Errorf(codeKeyCreation, "the management key is %s: an enrollment needs an RSA key", wire.KeyKind(ev.Key.Public()))
	}
	if err := checkService(p.Azure.Endpoint, isPlain(d.PolicyURL)); err != nil {
		return "", fmt.Errorf("the policy's endpoint: %w", err)
	}
	u, err := url.Parse(p.Azure.Endpoint)
	if err != nil {
		return "", err
	}
	if !strings.HasSuffix(strings.ToLower(u.Path), strings.ToLower(azurePath)) {
		u.Path = strings.TrimSuffix(u.Path, "/") + azurePath
	}
	if u.RawQuery == "" {
		u.RawQuery = azureQuery
	}
	return u.String(), nil
}

// An azureChallenge is the first answer of the service.
type azureChallenge struct {
	Challenge string `json:"challenge"`       // base64url
	Context   string `json:"service_context"` // base64url; opaque
}

// An azureKey is a key and what is proven about it.
type azureKey struct {
	JWK  jwk       `json:"jwk"`
	Info azureInfo `json:"info"`
}

type azureInfo struct {
	Certify azureCertify `json:"tpm_certify"`
}

// An azureCertify is a Statement, each part in base64url.
type azureCertify struct {
	Public        string `json:"public"`
	Certification string `json:"certification"`
	Signature     string `json:"signature"`
}

// A jwk is an RSA key as a JSON Web Key (RFC 7517).
type jwk struct {
	Type string `json:"kty"`
	N    string `json:"n"`
	E    string `json:"e"`
}

var base64url = base64.RawURLEncoding.EncodeToString

func jwkOf(key *rsa.PublicKey) jwk {
	return jwk{"RSA", base64url(key.N.Bytes()), base64url(big.NewInt(int64(key.E)).Bytes())}
}

func azureKeyOf(key *rsa.PublicKey, s *Statement) (*azureKey, error) {
	if s == nil || len(s.PublicArea) == 0 || len(s.Attest) == 0 || len(s.Signature) == 0 {
		return nil, hresult.Errorf(codeKeyCreation, "a statement about a key is missing or has missing parts")
	}
	return &azureKey{jwkOf(key), azureInfo{azureCertify{base64url(s.PublicArea), base64url(s.Attest), base64url(s.Signature)}}}, nil
}

// request returns the JWS that proves the keys.
func (a *AzureAttestation) request(ctx context.Context, c *azureChallenge, ev *AzureEvidence) (string, error) {
	nonce, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(c.Challenge, "="))
	if err != nil || len(nonce) == 0 {
		return "", errors.New("the service's challenge is not base64url or empty")
	}
	if len(nonce) > maxNonce {
		sum := sha256.Sum256(nonce)
		nonce = sum[:]
	}
	own, device, err := ev.Certify(ctx, nonce)
	if err != nil {
		return "", fmt.Errorf("certifying the keys: %w", misuse.Of("AzureEvidence.Certify", err))
	}
	if own == nil || device == nil && ev.DeviceKey != nil {
		return "", misuse.Neither("AzureEvidence.Certify", "the statements")
	}
	key, err := azureKeyOf(ev.Key.Public().(*rsa.PublicKey), own)
	if err != nil {
		return "", err
	}
	evidence := map[string]any{"aik_pub": jwkOf(ev.AIK)}
	if ev.AIKCertificate != nil {
		evidence["aik_cert"] = base64url(ev.AIKCertificate.Raw)
	}
	data := map[string]any{
		"rp_id": a.RelyingPartyID, "rp_data": relyingData(a.Nonce), "challenge": c.Challenge, "service_context": c.Context,
		"tpm_att_data": evidence, "request_key": key,
	}
	if ev.DeviceKey != nil {
		other, err := azureKeyOf(ev.DeviceKey, device)
		if err != nil {
			return "", err
		}
		data["other_keys"] = []*azureKey{other}
	}
	payload, err := json.Marshal(map[string]any{"att_type": "tpm", "att_data": data})
	if err != nil {
		return "", err
	}
	text := base64url([]byte(`{"alg":"PS256","typ":"attReq"}`)) + "." + base64url(payload)
	digest := sha256.Sum256([]byte(text))
	signature, err := ev.Key.Sign(rand.Reader, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256})
	if err != nil {
		return "", fmt.Errorf("signing the request: %w", err)
	}
	return text + "." + base64url(signature), nil
}

// relyingData returns the nonce of a policy, base64 or else any text, in base64url.
func relyingData(nonce string) string {
	b, err := base64.StdEncoding.DecodeString(nonce)
	if err != nil {
		b = []byte(nonce)
	}
	return base64url(b)
}

// azureCall posts a message, and reads the one in the answer into to. Each is JSON
// in base64url, in a JSON object with the one member "data". Its errors are *Error.
func (c *Client) azureCall(ctx context.Context, target string, message, to any) error {
	inner, err := json.Marshal(message)
	if err != nil {
		return &Error{Op: opAttest, Err: err}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(`{"data":"`+base64url(inner)+`"}`))
	if err != nil {
		return &Error{Op: opAttest, Err: err}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	got, err := wire.Do(wire.NoRedirects(c.HTTPClient), req, maxAnswer)
	if err != nil {
		return &Error{Op: opAttest, URL: wire.Redact(target), Err: err}
	}
	debug(ctx, c.Logger, opAttest, target, got.Status)
	failed := c.failure(opAttest, target, got)
	if got.Status != http.StatusOK {
		failed.Message, failed.Err = wire.Said(got.Body), wire.Refusal(got)
		return failed
	}
	var outer struct {
		Data string `json:"data"`
	}
	err = json.Unmarshal(got.Body, &outer)
	if err == nil {
		if inner, err = base64.RawURLEncoding.DecodeString(strings.TrimRight(outer.Data, "=")); err == nil {
			err = json.Unmarshal(inner, to)
		}
	}
	if wire.IsHTML(got.Body) {
		failed.Message, failed.Err = wire.Page(got.Body), fmt.Errorf("%w, not JSON", wire.ErrWebPage)
		return failed
	}
	if err != nil {
		failed.Message, failed.Err = wire.Said(got.Body), fmt.Errorf("reading the answer: %w", err)
		return failed
	}
	return nil
}
