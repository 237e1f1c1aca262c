package mdmtest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/internal/jose"
	"github.com/whiteglove/whiteglove/internal/refusal"
	"github.com/whiteglove/whiteglove/internal/rsapool"
)

// An AttestationServer is a service in the form of Azure Attestation's TPM endpoint,
// for [Server].Azure. It is an [http.Handler] for POST to AttestationPath. It gives
// each device a challenge, which can be answered once and within five minutes; it
// checks that the request is signed by the key that it is about, that an attestation
// key which it believes has certified that key, and any other one, for the challenge,
// and that the keys cannot leave the TPM; and it answers with a report, a JWT that
// its own key has signed. Other evidence, such as boot logs, it does not read.
//
// The zero value is ready to use. It is safe for concurrent use as long as its
// fields do not change.
type AttestationServer struct {
	// BaseURL is the URL of the service, without a slash at its end, as the policy
	// of a Server names it. The reports are issued (iss) by it.
	BaseURL string

	// AIKRoots, if not nil, are the roots that must have issued the certificate
	// of the attestation key, or a CA of AIKIssuers, as for a Server. If AIKRoots is
	// nil, a certificate is not needed, and a report proves nothing of a TPM.
	AIKRoots   *x509.CertPool
	AIKIssuers func() []*x509.Certificate

	// Now returns the current time. If it is nil, it is [time.Now].
	Now func() time.Time

	// Logger receives refusals. If it is nil, nothing is logged.
	Logger *slog.Logger

	log refusal.Log

	mu         sync.Mutex
	key        *rsa.PrivateKey
	challenges map[string]time.Time // when each ends, by its text
}

// AttestationPath is the path of an [AttestationServer] below its BaseURL.
const AttestationPath = "/attest/Tpm"

// How long a challenge and a report are good.
const (
	challengeTime = 5 * time.Minute
	reportTime    = 10 * time.Minute
)

// An azureMessage is a message of a client: the first has a type, the second a
// request.
type azureMessage struct {
	Type    string `json:"type"`
	Request string `json:"request"`
}

// An azureRequest is the payload of a request.
type azureRequest struct {
	Type string `json:"att_type"`
	Data struct {
		RelyingParty string `json:"rp_id"`
		RelyingData  string `json:"rp_data"`
		Challenge    string `json:"challenge"`
		Context      string `json:"service_context"`
		TPM          struct {
			AIKCert string `json:"aik_cert"`
			AIKPub  jwk    `json:"aik_pub"`
		} `json:"tpm_att_data"`
		Key    azureKey   `json:"request_key"`
		Others []azureKey `json:"other_keys"`
	} `json:"att_data"`
}

// An azureKey is a key with the attestation key's statement about it.
type azureKey struct {
	JWK  jwk `json:"jwk"`
	Info struct {
		Certify struct {
			Public        string `json:"public"`
			Certification string `json:"certification"`
			Signature     string `json:"signature"`
		} `json:"tpm_certify"`
	} `json:"info"`
}

// A jwk is an RSA key as a JSON Web Key (RFC 7517).
type jwk struct {
	Type string `json:"kty"`
	N    string `json:"n"`
	E    string `json:"e"`
}

// key returns the key.
func (j jwk) key() (*rsa.PublicKey, error) {
	n, err := base64.RawURLEncoding.DecodeString(j.N)
	e, err2 := base64.RawURLEncoding.DecodeString(j.E)
	if err := errors.Join(err, err2); err != nil || j.Type != "RSA" || len(n) < 128 || len(n) > 1024 || len(e) == 0 || len(e) > 4 {
		return nil, fmt.Errorf("a key of type %.20q is not RSA, or its numbers are not base64url", j.Type)
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}, nil
}

// ServeHTTP implements [http.Handler].
func (a *AttestationServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer, status, err := a.serve(w, r)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if err != nil {
		a.log.Add(a.Logger, "Attest", err)
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]string{"code": "InvalidParameter", "message": refusal.Text(err)}})
		return
	}
	inner, err := json.Marshal(answer)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]string{"data": base64.RawURLEncoding.EncodeToString(inner)})
}

// serve answers a request, or returns the status and the reason of its refusal.
func (a *AttestationServer) serve(w http.ResponseWriter, r *http.Request) (map[string]string, int, error) {
	switch {
	case !strings.HasSuffix(strings.ToLower(r.URL.Path), strings.ToLower(AttestationPath)):
		return nil, http.StatusNotFound, fmt.Errorf("no service at %.100q", r.URL.Path)
	case r.Method != http.MethodPost:
		return nil, http.StatusMethodNotAllowed, fmt.Errorf("method %.20q", r.Method)
	case r.URL.Query().Get("api-version") == "":
		return nil, http.StatusBadRequest, errors.New("no api-version")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		return nil, http.StatusRequestEntityTooLarge, err
	}
	m := new(azureMessage)
	if err := readData(body, m); err != nil {
		return nil, http.StatusBadRequest, err
	}
	if m.Type == "aikcert" && m.Request == "" {
		return a.challenge(), 0, nil
	}
	report, err := a.attest(m.Request)
	if err != nil {
		return nil, http.StatusBadRequest, err
	}
	return map[string]string{"report": report}, 0, nil
}

// readData reads a message: JSON in base64url in a JSON object.
func readData(body []byte, m any) error {
	var outer struct {
		Data string `json:"data"`
	}
	if err := json.Unmarshal(body, &outer); err != nil {
		return err
	}
	inner, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(outer.Data, "="))
	if err != nil {
		return err
	}
	return json.Unmarshal(inner, m)
}

// challenge makes a challenge. The context says nothing; the server keeps its own.
func (a *AttestationServer) challenge() map[string]string {
	random := make([]byte, 32)
	rand.Read(random)
	text := base64.RawURLEncoding.EncodeToString(random)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.challenges == nil {
		a.challenges = make(map[string]time.Time)
	}
	now := a.now()
	for old, end := range a.challenges {
		if now.After(end) {
			delete(a.challenges, old)
		}
	}
	a.challenges[text] = now.Add(challengeTime)
	return map[string]string{"challenge": text, "service_context": base64.RawURLEncoding.EncodeToString([]byte("context of " + text[:8]))}
}

// attest checks a request and returns a report.
func (a *AttestationServer) attest(text string) (string, error) {
	q := new(azureRequest)
	key, err := q.read(text)
	if err != nil {
		return "", err
	}
	nonce, err := base64.RawURLEncoding.DecodeString(q.Data.Challenge)
	if err != nil {
		return "", errors.New("the challenge is not base64url")
	}
	a.mu.Lock()
	end, known := a.challenges[q.Data.Challenge]
	delete(a.challenges, q.Data.Challenge)
	a.mu.Unlock()
	if !known || a.now().After(end) {
		return "", errors.New("the challenge is not known, was used before or has ended")
	}
	aik, err := a.believe(q)
	if err != nil {
		return "", err
	}
	for _, k := range append([]azureKey{q.Data.Key}, q.Data.Others...) {
		if err := k.check(aik, nonce); err != nil {
			return "", err
		}
	}
	return a.report(q, key)
}

// read reads a request, which the key in it must have signed, and returns the key.
func (q *azureRequest) read(text string) (*rsa.PublicKey, error) {
	header, rest, _ := strings.Cut(text, ".")
	payload, signature, ok := strings.Cut(rest, ".")
	var head struct{ Alg, Typ string }
	h, err := base64.RawURLEncoding.DecodeString(header)
	b, err2 := base64.RawURLEncoding.DecodeString(payload)
	sig, err3 := base64.RawURLEncoding.DecodeString(signature)
	if err := errors.Join(err, err2, err3); err != nil || !ok {
		return nil, errors.New("the request is not a JWS")
	}
	if err := json.Unmarshal(h, &head); err != nil || head.Alg != "PS256" || head.Typ != "attReq" {
		return nil, fmt.Errorf("the request has algorithm %.20q and type %.20q", head.Alg, head.Typ)
	}
	if err := json.Unmarshal(b, q); err != nil {
		return nil, err
	}
	if q.Type != "tpm" {
		return nil, fmt.Errorf("att_type %.20q", q.Type)
	}
	key, err := q.Data.Key.JWK.key()
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte(header + "." + payload))
	if err := rsa.VerifyPSS(key, crypto.SHA256, digest[:], sig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}); err != nil {
		return nil, errors.New("the request is not signed by its request_key")
	}
	return key, nil
}

// believe returns the attestation key, if its certificate makes it one of a TPM or
// none is needed.
func (a *AttestationServer) believe(q *azureRequest) (*rsa.PublicKey, error) {
	aik, err := q.Data.TPM.AIKPub.key()
	if err != nil {
		return nil, fmt.Errorf("aik_pub: %w", err)
	}
	if a.AIKRoots == nil && q.Data.TPM.AIKCert == "" {
		return aik, nil
	}
	der, err := base64.RawURLEncoding.DecodeString(q.Data.TPM.AIKCert)
	if err != nil {
		return nil, fmt.Errorf("aik_cert: %w", err)
	}
	cert, err := checkAIK(der, a.AIKRoots, a.AIKIssuers, a.now())
	if err != nil {
		return nil, fmt.Errorf("aik_cert: %w", err)
	}
	if !aik.Equal(cert.PublicKey) {
		return nil, errors.New("aik_cert is of another key than aik_pub")
	}
	return aik, nil
}

// check checks the attestation key's statement about a key.
func (k *azureKey) check(aik *rsa.PublicKey, nonce []byte) error {
	key, err := k.JWK.key()
	if err != nil {
		return err
	}
	c := k.Info.Certify
	var parts [3][]byte
	for i, text := range []string{c.Public, c.Certification, c.Signature} {
		if parts[i], err = base64.RawURLEncoding.DecodeString(text); err != nil || len(parts[i]) == 0 {
			return errors.New("a part of tpm_certify is missing or not base64url")
		}
	}
	pub, err := attest.PublicKey(parts[0])
	if err != nil {
		return err
	}
	if !key.Equal(pub) {
		return errors.New("tpm_certify is about another key than jwk")
	}
	return (&attest.Statement{PublicArea: parts[0], Attest: parts[1], Signature: parts[2]}).Verify(aik, nonce)
}

// report returns the report on a request.
func (a *AttestationServer) report(q *azureRequest, _ *rsa.PublicKey) (string, error) {
	key, err := a.signingKey()
	if err != nil {
		return "", err
	}
	now := a.now()
	return jose.Sign(key, nil, jwt.MapClaims{
		"iss": a.BaseURL, "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(reportTime).Unix(), "jti": newGUID(), "x-ms-ver": "1.0", "x-ms-attestation-type": "tpm",
		"rp_id": q.Data.RelyingParty, "rp_data": q.Data.RelyingData, "x-ms-tpm-request-key": q.Data.Key, "x-ms-tpm-other-keys": q.Data.Others,
	})
}

func (a *AttestationServer) signingKey() (*rsa.PrivateKey, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.key == nil {
		key, err := rsapool.ServerKey()
		if err != nil {
			return nil, err
		}
		a.key = key
	}
	return a.key, nil
}

func (a *AttestationServer) now() time.Time {
	if a.Now != nil {
		return a.Now()
	}
	return time.Now()
}

// Refusals returns the reasons of everything that the server has refused, the
// oldest first, in the form "Attest: reason".
func (a *AttestationServer) Refusals() []string { return a.log.Refusals() }
