package mdm_test

import (
	"context"
	"crypto"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/whiteglove/whiteglove/internal/canceltest"
	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
)

// A countedKey counts signatures.
type countedKey struct {
	crypto.Signer
	signs atomic.Int32
}

func (k *countedKey) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	k.signs.Add(1)
	return k.Signer.Sign(r, digest, opts)
}

// A context that ends at any byte of any answer ends the call with its error:
// nothing comes back, nothing more is sent, and no key signs any more.
func TestCanceledAtEachByte(t *testing.T) {
	enrolled, cert := answered([]byte(madeDocument(t, &mdmKey().PublicKey))), deviceCertificate(t)
	d := &mdm.Discovery{PolicyURL: "https://mdm.test/p", EnrollURL: "https://mdm.test/e"}
	device := mdm.Device{ID: testDevice}
	type call func(ctx context.Context, h *http.Client, key crypto.Signer) (nothing bool, err error)
	for _, c := range []struct {
		name    string
		answers []string // of a script
		do      call
	}{
		{"Discover", []string{"405 ", "200 " + discovered("<EnrollmentServiceUrl>https://mdm.test/e</EnrollmentServiceUrl>")}, func(ctx context.Context, h *http.Client, _ crypto.Signer) (bool, error) {
			got, err := (&mdm.Client{Device: device, HTTPClient: h}).Discover(ctx, "https://mdm.test/d", "")
			return got == nil, err
		}},
		{"Policy", []string{"200 " + policies("<policySchema>3</policySchema>", oid("1.2", "1", "1"))}, func(ctx context.Context, h *http.Client, _ crypto.Signer) (bool, error) {
			got, err := (&mdm.Client{Device: device, HTTPClient: h}).Policy(ctx, d, mdm.Token("a.b.c"))
			return got == nil, err
		}},
		{"Enroll", []string{"200 " + enrolled}, func(ctx context.Context, h *http.Client, key crypto.Signer) (bool, error) {
			got, err := (&mdm.Client{Device: device, HTTPClient: h}).Enroll(ctx, d, nil, &mdm.Request{Credential: mdm.Token("a.b.c"), Key: key})
			return got == nil, err
		}},
		{"Recover", []string{"200 " + enrolled}, func(ctx context.Context, h *http.Client, key crypto.Signer) (bool, error) {
			got, err := (&mdm.Client{Device: device, HTTPClient: h}).Recover(ctx, d, nil, &mdm.Request{Credential: mdm.Token("a.b.c"), Key: key})
			return got == nil, err
		}},
		{"Renew", []string{"200 " + enrolled}, func(ctx context.Context, h *http.Client, key crypto.Signer) (bool, error) {
			got, err := (&mdm.Client{Device: device, HTTPClient: h}).Renew(ctx, d, nil, &mdm.Renewal{Certificate: cert, Key: key})
			return got == nil, err
		}},
		{"Exchange", []string{`200 {"Nonce":"abc"}`, `200 {"token_type":"Bearer","access_token":"a.b.c"}`}, func(ctx context.Context, h *http.Client, key crypto.Signer) (bool, error) {
			got, err := (&mdm.TokenClient{Endpoint: "https://login.test/token", HTTPClient: h}).Exchange(ctx, &mdm.TokenRequest{Certificate: cert, DeviceKey: key})
			return got == "", err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			key := &countedKey{Signer: &memory{Signer: mdmKey()}}
			run := func(at int) (*canceltest.Transport, int32, bool, error) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				key.signs.Store(0)
				cut := &canceltest.Transport{Next: newScript(c.answers), Cancel: cancel, At: at}
				nothing, err := c.do(ctx, &http.Client{Transport: cut}, key)
				return cut, key.signs.Load(), nothing, err
			}
			whole, signs, nothing, err := run(-1)
			if err != nil || nothing {
				t.Fatal(err)
			}
			requests := 0
			for at := 0; at < whole.Read; at += 1 + whole.Read/200 {
				cut, signed, nothing, err := run(at)
				if !errors.Is(err, context.Canceled) || !nothing || failure(t, err).Retryable() {
					t.Fatalf("byte %d of %d: %v", at, whole.Read, err)
				}
				// A discovery begins its POST although its GET has failed, but that is not sent.
				if cut.Late > 0 && c.name != "Discover" || cut.Late > 1 || signed > signs || cut.Asked < requests {
					t.Errorf("byte %d of %d: %d requests, %d after the end; %d signatures of %d", at, whole.Read, cut.Asked, cut.Late, signed, signs)
				}
				requests = cut.Asked
				if c.name == "Exchange" && cut.Asked == 1 && signed > 0 {
					t.Errorf("byte %d: signed without a nonce", at)
				}
			}
		})
	}
}

// The same over a network, with a server that counts what it has done.
func TestCanceledOverNetwork(t *testing.T) {
	server := &mdmtest.Server{}
	discovery, h := startTLS(t, server)
	token := newToken(t)
	for _, at := range []int{0, 1, 100, 1000, 2000, 3000, 5000} {
		ctx, cancel := context.WithCancel(t.Context())
		cut := &canceltest.Transport{Next: h.Transport, Cancel: cancel, At: at}
		client := &mdm.Client{Device: mdm.Device{ID: testDevice}, HTTPClient: &http.Client{Transport: cut}}
		before := len(server.Enrolled())
		d, err := client.Discover(ctx, discovery, "")
		var e *mdm.Enrollment
		if err == nil {
			e, err = client.Enroll(ctx, d, nil, &mdm.Request{Credential: token, Key: mdmKey(), Context: extra()})
		}
		cancel()
		if !errors.Is(err, context.Canceled) || e != nil || len(server.Enrolled())-before > 1 {
			t.Errorf("byte %d: %v; %d certificates", at, err, len(server.Enrolled())-before)
		}
	}
	if r := server.Refusals(); len(r) > 0 {
		t.Errorf("refused: %q", r)
	}
}
