package attest_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
)

// An ECC key that decrypts agrees with a peer in software on the same secret, also after it
// was stored, and the secret does not cross the bus.
func TestExchange(t *testing.T) {
	forBackends(t, "ready", func(t *testing.T, tr transport.TPM) {
		bus := &listener{TPM: tr}
		tpm := &attest.TPM{Transport: bus}
		for _, c := range []struct {
			alg   attest.Algorithm
			usage attest.Usage
			curve ecdh.Curve
		}{{attest.P256, attest.Decrypt, ecdh.P256()}, {attest.P256, attest.Sign | attest.Decrypt, ecdh.P256()}, {attest.P384, attest.Decrypt, ecdh.P384()}} {
			made, err := tpm.CreateKey(t.Context(), attest.Template{Algorithm: c.alg, Usage: c.usage})
			if err != nil {
				t.Fatal(err)
			}
			text, err := made.MarshalText()
			if err != nil {
				t.Fatal(err)
			}
			loaded, err := tpm.LoadKey(t.Context(), text)
			if err != nil {
				t.Fatal(err)
			}
			peer, err := c.curve.GenerateKey(rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range []*attest.Key{made, loaded} {
				e, err := k.Exchanger()
				if err != nil {
					t.Fatal(err)
				}
				want, err := peer.ECDH(e.PublicKey())
				if err != nil {
					t.Fatal(err)
				}
				bus.secret = want
				if got, err := e.ECDH(peer.PublicKey()); err != nil || !bytes.Equal(got, want) || e.Curve() != c.curve {
					t.Errorf("%v: %x, not %x: %v", c.curve, got, want, err)
				}
				if bus.heard {
					t.Error("the secret crossed the bus in the clear")
				}
			}
			if c.usage&attest.Sign != 0 {
				digest := sha256.Sum256([]byte("message"))
				sig, err := made.Sign(nil, digest[:], crypto.SHA256)
				if pub, ok := made.Public().(*ecdsa.PublicKey); err != nil || !ok || !ecdsa.VerifyASN1(pub, digest[:], sig) {
					t.Errorf("signature: %v", err)
				}
			}
		}
		noneLoaded(t, tr)
	})
}

// A listener looks for a secret on the bus.
type listener struct {
	transport.TPM
	secret []byte
	heard  bool
}

func (l *listener) Send(cmd []byte) ([]byte, error) {
	rsp, err := l.TPM.Send(cmd)
	l.heard = l.heard || len(l.secret) > 0 && (bytes.Contains(cmd, l.secret) || bytes.Contains(rsp, l.secret))
	return rsp, err
}

func TestExchangeRefused(t *testing.T) {
	tpm := &attest.TPM{Transport: emulator(t, "ready")}
	for _, tmpl := range []attest.Template{{Usage: attest.Decrypt}, {Algorithm: attest.P256, Usage: attest.Sign}, {Algorithm: attest.P256, Usage: attest.Attest}} {
		k, err := tpm.CreateKey(t.Context(), tmpl)
		if err != nil {
			t.Fatal(err)
		}
		var e *attest.Error
		if _, err := k.Exchanger(); !errors.As(err, &e) {
			t.Errorf("%+v: %v", tmpl, err)
		}
	}
	if _, err := (*attest.Key)(nil).Exchanger(); err == nil {
		t.Error("no key: no error")
	}
	k, err := tpm.CreateKey(t.Context(), attest.Template{Algorithm: attest.P256, Usage: attest.Decrypt})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e, err := k.WithContext(ctx).Exchanger()
	if err != nil {
		t.Fatal(err)
	}
	peer, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.ECDH(peer.PublicKey()); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	other, err := ecdh.P384().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []*ecdh.PublicKey{nil, other.PublicKey()} {
		if _, err := e.ECDH(p); err == nil {
			t.Errorf("%v: no error", p)
		}
	}
}
