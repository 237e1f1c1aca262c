package attesttest_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"testing"

	"github.com/google/go-attestation/attest"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest/attesttest"
)

// channel gives go-attestation a transport.TPM as the stream it wants: one
// write is a command, reads give its response, without an io.EOF.
type channel struct {
	tpm transport.TPM
	rsp bytes.Reader
}

func (c *channel) Write(b []byte) (int, error) {
	rsp, err := c.tpm.Send(b)
	if err != nil {
		return 0, err
	}
	c.rsp.Reset(rsp)
	return len(b), nil
}

func (c *channel) Read(b []byte) (int, error) {
	n, err := c.rsp.Read(b)
	if errors.Is(err, io.EOF) {
		return n, nil
	}
	return n, err
}

func (c *channel) Close() error                    { return nil }
func (c *channel) MeasurementLog() ([]byte, error) { return nil, errors.New("no log") }

// The whole enrollment that go-attestation offers, judged by its own verifier.
// One at a time: go-attestation's NewKey writes to its package's templates.
func TestGoAttestation(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  attesttest.Config
	}{
		{"ready", attesttest.Config{}},
		{"fresh", attesttest.Config{Fresh: true}},
		{"fast keys", attesttest.Config{FastKeys: true, Seed: "fast", Fresh: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tpm, err := attesttest.New(c.cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer tpm.Close()
			enroll(t, tpm)
			if o, s := tpm.Loaded(); o != 0 || s != 0 {
				t.Errorf("left loaded: %d objects, %d sessions", o, s)
			}
		})
	}
}

func enroll(t *testing.T, tpm transport.TPM) {
	t.Helper()
	dev, err := attest.OpenTPM(&attest.OpenConfig{CommandChannel: &channel{tpm: tpm}})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	eks, err := dev.EKs()
	if err != nil || len(eks) == 0 {
		t.Fatalf("EKs: %d, %v", len(eks), err)
	}
	ek := eks[0]
	if ek.Certificate == nil {
		t.Fatal("EK without a certificate")
	}
	ak, err := dev.NewAK(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ak.Close(dev)
	activate(t, dev, ak, ek)
	certifyKey(t, dev, ak, &attest.KeyConfig{Algorithm: attest.ECDSA, Size: 256})
	certifyKey(t, dev, ak, &attest.KeyConfig{Algorithm: attest.RSA, Size: 2048})
	quote(t, dev, ak)
}

func activate(t *testing.T, dev *attest.TPM, ak *attest.AK, ek attest.EK) {
	t.Helper()
	params := attest.ActivationParameters{EK: ek.Public, AK: ak.AttestationParameters(), Rand: rand.Reader}
	secret, challenge, err := params.Generate()
	if err != nil {
		t.Fatalf("challenge: %v", err)
	}
	got, err := ak.ActivateCredential(dev, *challenge)
	if err != nil || !bytes.Equal(got, secret) {
		t.Fatalf("activate: %x, want %x: %v", got, secret, err)
	}
}

func certifyKey(t *testing.T, dev *attest.TPM, ak *attest.AK, cfg *attest.KeyConfig) {
	t.Helper()
	key, err := dev.NewKey(ak, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer key.Close()
	p := key.CertificationParameters()
	hash := crypto.SHA256
	if err := p.Verify(attest.VerifyOpts{Public: ak.Public(), Hash: hash}); err != nil {
		t.Errorf("certification of a %s key: %v", cfg.Algorithm, err)
	}
	priv, err := key.Private(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte("message"))
	if _, err := priv.(crypto.Signer).Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
		t.Errorf("sign with a %s key: %v", cfg.Algorithm, err)
	}
}

func quote(t *testing.T, dev *attest.TPM, ak *attest.AK) {
	t.Helper()
	nonce := []byte("nonce of the verifier")
	for _, alg := range []attest.HashAlg{attest.HashSHA1, attest.HashSHA256} {
		q, err := ak.Quote(dev, nonce, alg)
		if err != nil {
			t.Fatal(err)
		}
		pcrs, err := dev.PCRs(alg)
		if err != nil || len(pcrs) != 24 {
			t.Fatalf("PCRs of %v: %d, %v", alg, len(pcrs), err)
		}
		pub, err := attest.ParseAKPublic(ak.AttestationParameters().Public)
		if err != nil {
			t.Fatal(err)
		}
		if err := pub.Verify(*q, pcrs, nonce); err != nil {
			t.Errorf("quote over %v: %v", alg, err)
		}
		if err := pub.Verify(*q, pcrs, []byte("another nonce")); err == nil {
			t.Error("quote passes with another nonce")
		}
	}
}
