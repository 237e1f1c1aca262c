package mdm_test

import (
	"context"
	"crypto"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
)

// A cutter counts the bytes of answers and ends the context of the caller before
// byte n of them. Bodies then fail as those of net/http do.
type cutter struct {
	next   http.RoundTripper
	cancel context.CancelFunc
	left   int // bytes before the end; below 0 never
	read   int
	cut    bool
	asked  int // requests
	late   int // requests after the end
}

func (c *cutter) RoundTrip(r *http.Request) (*http.Response, error) {
	c.asked++
	if c.cut {
		c.late++
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	res, err := c.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	res.Body = &cutBody{res.Body, c, r.Context()}
	return res, nil
}

type cutBody struct {
	io.ReadCloser
	c   *cutter
	ctx context.Context
}

func (b *cutBody) Read(p []byte) (int, error) {
	if b.c.left == b.c.read && !b.c.cut {
		b.c.cut = true
		b.c.cancel()
	}
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	if b.c.left > b.c.read {
		p = p[:min(len(p), b.c.left-b.c.read)]
	}
	n, err := b.ReadCloser.Read(p)
	b.c.read += n
	return n, err
}

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
			got, err := (&mdm.Client{Device: device, HTTPClient: h}).Enroll(ctx, d, nil, &mdm.Request{Token: mdm.Token("a.b.c"), Key: key})
			return got == nil, err
		}},
		{"Recover", []string{"200 " + enrolled}, func(ctx context.Context, h *http.Client, key crypto.Signer) (bool, error) {
			got, err := (&mdm.Client{Device: device, HTTPClient: h}).Recover(ctx, d, nil, &mdm.Request{Token: mdm.Token("a.b.c"), Key: key})
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
			run := func(at int) (*cutter, int32, bool, error) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				key.signs.Store(0)
				cut := &cutter{next: newScript(c.answers), cancel: cancel, left: at}
				nothing, err := c.do(ctx, &http.Client{Transport: cut}, key)
				return cut, key.signs.Load(), nothing, err
			}
			whole, signs, nothing, err := run(-1)
			if err != nil || nothing {
				t.Fatal(err)
			}
			requests := 0
			for at := 0; at < whole.read; at += 1 + whole.read/200 {
				cut, signed, nothing, err := run(at)
				if !errors.Is(err, context.Canceled) || !nothing || failure(t, err).Retryable() {
					t.Fatalf("byte %d of %d: %v", at, whole.read, err)
				}
				// A discovery begins its POST although its GET has failed, but that is not sent.
				if cut.late > 0 && c.name != "Discover" || cut.late > 1 || signed > signs || cut.asked < requests {
					t.Errorf("byte %d of %d: %d requests, %d after the end; %d signatures of %d", at, whole.read, cut.asked, cut.late, signed, signs)
				}
				requests = cut.asked
				if c.name == "Exchange" && cut.asked == 1 && signed > 0 {
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
		cut := &cutter{next: h.Transport, cancel: cancel, left: at}
		client := &mdm.Client{Device: mdm.Device{ID: testDevice}, HTTPClient: &http.Client{Transport: cut}}
		before := len(server.Enrolled())
		d, err := client.Discover(ctx, discovery, "")
		var e *mdm.Enrollment
		if err == nil {
			e, err = client.Enroll(ctx, d, nil, &mdm.Request{Token: token, Key: mdmKey(), Context: extra()})
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
