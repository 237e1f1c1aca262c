package aik_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"testing"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/scep"
)

// carry returns a challenge as somebody else reads it.
func carry(t testing.TB, ch *aik.Challenge) *aik.Challenge {
	t.Helper()
	text, err := json.Marshal(ch)
	if err != nil {
		t.Fatal(err)
	}
	var out aik.Challenge
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return &out
}

// TestCarried completes what another process began. The machine of the TPM knows
// the credential alone, in JSON too.
func TestCarried(t *testing.T) {
	d, s := newDevice(t, isRSA, rsaAIK), server()
	c := start(t, s, s.Roots())
	ch, err := c.Begin(t.Context(), d.Request)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // carried twice is the same
		ch = carry(t, ch)
	}
	text, err := json.Marshal(ch.Credential)
	if err != nil {
		t.Fatal(err)
	}
	var credential attest.Credential
	if err := json.Unmarshal(text, &credential); err != nil {
		t.Fatal(err)
	}
	secret, err := d.activate(t.Context(), &credential)
	if err != nil {
		t.Fatal(err)
	}
	other := &aik.Client{Roots: s.Roots()} // a URL is not needed any more
	chain, err := other.Complete(t.Context(), ch, secret)
	if err != nil || len(chain) != 3 {
		t.Fatalf("%d certificates, %v; refusals %q", len(chain), err, s.Refusals())
	}
	if !d.key.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(chain[0].PublicKey) {
		t.Error("the certificate is for another key")
	}
}

// opaque is a key whose inside is not to be had.
type opaque struct{ key *rsa.PrivateKey }

func (o opaque) Public() crypto.PublicKey { return o.key.Public() }
func (o opaque) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return o.key.Sign(r, digest, opts)
}

func (o opaque) Decrypt(r io.Reader, msg []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	return o.key.Decrypt(r, msg, opts)
}

// TestCarriedWithoutKey is for a key of messages that cannot leave its place.
func TestCarriedWithoutKey(t *testing.T) {
	d, s := newDevice(t, isRSA, rsaAIK), server()
	c := start(t, s, s.Roots())
	key, err := signer()
	if err != nil {
		t.Fatal(err)
	}
	d.Signer = opaque{key}
	ch, err := c.Begin(t.Context(), d.Request)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(ch)
	if err != nil || bytes.Contains(text, []byte("signerKey")) {
		t.Errorf("%s, %v", text, err)
	}
	if value, err := json.Marshal(*ch); err != nil || !bytes.Equal(value, text) {
		t.Errorf("by value it is %s, %v", value, err)
	}
	ch = carry(t, ch)
	secret, err := d.activate(t.Context(), ch.Credential)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Complete(t.Context(), ch, secret); !errors.Is(err, aik.ErrRequest) {
		t.Errorf("without the key: %v", err)
	}
	if len(s.Refusals()) != 0 {
		t.Errorf("refusals %q", s.Refusals())
	}
	ch.Signer = opaque{key}
	if _, err := c.Complete(t.Context(), ch, secret); err != nil {
		t.Errorf("with the key: %v", err)
	}
}

// TestCarriedToStranger has a challenge completed by somebody who does not trust
// the CA in it. He must not tell it the secret.
func TestCarriedToStranger(t *testing.T) {
	d, s := newDevice(t, isRSA, rsaAIK), server()
	posted := 0
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			posted++
		}
		s.ServeHTTP(w, r)
	})
	ch, err := start(t, h, s.Roots()).Begin(t.Context(), d.Request)
	if err != nil {
		t.Fatal(err)
	}
	stranger := &aik.Client{Roots: x509.NewCertPool()}
	_, err = stranger.Complete(t.Context(), carry(t, ch), []byte("secret"))
	var e *aik.Error
	if !errors.Is(err, scep.ErrUntrusted) || !errors.As(err, &e) || e.Op != "answer" || posted != 1 {
		t.Errorf("error is %v after %d messages", err, posted)
	}
}

// TestCarriedChanged reads challenges that somebody changed.
func TestCarriedChanged(t *testing.T) {
	text, stranger := carriedText(t), carriedStranger(t)
	for name, change := range map[string]func(map[string]any){
		"version":            func(m map[string]any) { m["version"] = 2 },
		"no URL":             func(m map[string]any) { delete(m, "url") },
		"relative URL":       func(m map[string]any) { m["url"] = "/scep" },
		"file URL":           func(m map[string]any) { m["url"] = "file://host/scep" },
		"no blob":            func(m map[string]any) { delete(m, "credentialBlob") },
		"no secret":          func(m map[string]any) { delete(m, "encryptedSecret") },
		"no context":         func(m map[string]any) { delete(m, "context") },
		"no transaction":     func(m map[string]any) { delete(m, "transactionId") },
		"no request":         func(m map[string]any) { delete(m, "csr") },
		"no certificates":    func(m map[string]any) { delete(m, "certificates") },
		"bad certificate":    func(m map[string]any) { m["certificates"] = [][]byte{{1}} },
		"many certificates":  func(m map[string]any) { m["certificates"] = slices.Repeat(m["certificates"].([]any), 9) },
		"no recipient":       func(m map[string]any) { delete(m, "recipient") },
		"foreign recipient":  func(m map[string]any) { m["recipient"] = m["certificate"] },
		"foreign replier":    func(m map[string]any) { m["replier"] = m["certificate"] },
		"no own certificate": func(m map[string]any) { delete(m, "certificate") },
		"another's key":      func(m map[string]any) { m["signerKey"] = stranger },
		"large key":          func(m map[string]any) { m["signerKey"] = make([]byte, 9<<10) },
		"no key":             func(m map[string]any) { m["signerKey"] = []byte{1} },
		"large":              func(m map[string]any) { m["more"] = make([]byte, 256<<10) },
	} {
		var m map[string]any
		if err := json.Unmarshal(text, &m); err != nil {
			t.Fatal(err)
		}
		change(m)
		changed, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var ch aik.Challenge
		var e *aik.Error
		if err := json.Unmarshal(changed, &ch); !errors.Is(err, aik.ErrChallenge) || !errors.As(err, &e) || e.Op != "challenge" {
			t.Errorf("%s: %v", name, err)
		}
		if ch.Credential != nil {
			t.Errorf("%s: something is read", name)
		}
	}
	// An empty one is neither carried nor completed.
	if _, err := json.Marshal(new(aik.Challenge)); !errors.Is(err, aik.ErrRequest) {
		t.Errorf("marshalling nothing: %v", err)
	}
	if _, err := new(aik.Client).Complete(t.Context(), new(aik.Challenge), []byte("s")); !errors.Is(err, aik.ErrRequest) {
		t.Errorf("completing nothing: %v", err)
	}
}

// carriedText returns a challenge in JSON.
func carriedText(t testing.TB) []byte {
	t.Helper()
	d, s := newDevice(t, isRSA, rsaAIK), server()
	ch, err := start(t, s, s.Roots()).Begin(t.Context(), d.Request)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(ch)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// carriedStranger returns somebody else's key in PKCS #8.
func carriedStranger(t testing.TB) []byte {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
