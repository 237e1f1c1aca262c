package scep_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// kinds are errors of which only one may be wrapped.
func kinds() []error {
	return []error{
		scep.ErrUntrusted, scep.ErrMalformed, scep.ErrMismatch, scep.ErrDecrypt,
		scep.ErrCapability, scep.ErrLegacy, scep.ErrAlgorithm,
	}
}

// TestQuirks enrolls at servers with one fault each.
func TestQuirks(t *testing.T) {
	ca, err := sceptest.NewAuthority("CA", mustRoot(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		quirks sceptest.Quirk
		legacy bool
		want   error
	}{
		"none":                    {0, false, nil},
		"wrong nonce":             {sceptest.QuirkWrongNonce, true, scep.ErrMismatch},
		"wrong transaction":       {sceptest.QuirkWrongTransaction, true, scep.ErrMismatch},
		"foreign signer":          {sceptest.QuirkForeignSigner, true, scep.ErrUntrusted},
		"wrong recipient":         {sceptest.QuirkWrongRecipient, true, scep.ErrDecrypt},
		"SHA-1":                   {sceptest.QuirkSHA1, false, scep.ErrLegacy},
		"SHA-1, permitted":        {sceptest.QuirkSHA1, true, nil},
		"DES":                     {sceptest.QuirkDES, false, scep.ErrLegacy},
		"DES, permitted":          {sceptest.QuirkDES, true, nil},
		"DES and SHA-1":           {sceptest.QuirkDES | sceptest.QuirkSHA1, true, nil},
		"trailing byte":           {sceptest.QuirkTrailing, true, scep.ErrMalformed},
		"truncated":               {sceptest.QuirkTruncated, true, scep.ErrMalformed},
		"oversized":               {sceptest.QuirkOversized, true, scep.ErrMalformed},
		"BER":                     {sceptest.QuirkBER, false, nil},
		"BER and a trailing byte": {sceptest.QuirkBER | sceptest.QuirkTrailing, false, scep.ErrMalformed},
		"BER, truncated":          {sceptest.QuirkBER | sceptest.QuirkTruncated, false, scep.ErrMalformed},
		"plain RSA":               {sceptest.QuirkPlainRSA, false, nil},
		"signed bag":              {sceptest.QuirkSignedBag, false, nil},
		"plain RSA with SHA-1":    {sceptest.QuirkPlainRSA | sceptest.QuirkSHA1, false, scep.ErrLegacy},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := &sceptest.Server{Authority: ca, Quirks: tt.quirks}
			c := start(t, server, server.Roots())
			c.AllowLegacy = tt.legacy
			_, err := c.Enroll(t.Context(), asked(t, c), &scep.Request{CSR: newCSR(t, testKey()), Signer: testKey()})
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if err == nil {
				return
			}
			for _, kind := range kinds() {
				if kind != tt.want && errors.Is(err, kind) {
					t.Errorf("%v is also %v", err, kind)
				}
			}
			if e := failed(t, err); e.Retryable() || e.Remedy() == "" || e.HRESULT() == 0 {
				t.Errorf("got %#v", e)
			}
		})
	}
}

func mustRoot(t testing.TB) *sceptest.Authority {
	t.Helper()
	root, err := sceptest.NewAuthority("root", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// TestSlow lets the context end while an answer is still being sent.
func TestSlow(t *testing.T) {
	server := &sceptest.Server{Quirks: sceptest.QuirkSlow}
	c := start(t, server, server.Roots())
	ca := asked(t, c)
	req := &scep.Request{CSR: newCSR(t, testKey()), Signer: testKey(), Certificate: selfSigned(t)}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := c.Enroll(ctx, ca, req)
	if e := failed(t, err); !errors.Is(err, context.DeadlineExceeded) || e.Retryable() || e.HRESULT() != 0x80072EE2 {
		t.Errorf("got %v", err)
	}
}

// TestEmptyContent reads a refusal in both forms that servers send.
func TestEmptyContent(t *testing.T) {
	for _, quirks := range []sceptest.Quirk{0, sceptest.QuirkEmptyContent, sceptest.QuirkEmptyContent | sceptest.QuirkPlainRSA} {
		server := &sceptest.Server{Password: "secret", Quirks: quirks}
		c := start(t, server, server.Roots())
		_, err := c.Enroll(t.Context(), asked(t, c), &scep.Request{CSR: newCSR(t, testKey()), Signer: testKey()})
		if e := failed(t, err); e.FailInfo != scep.BadRequest || e.Message != "wrong challengePassword" {
			t.Errorf("quirks %x: got %v", quirks, err)
		}
	}
}

// TestChallengeInDES has a challenge, which is secret, in single DES: it is never taken.
func TestChallengeInDES(t *testing.T) {
	server := &sceptest.Server{
		Caps: scep.Caps{"SCEPStandard", "TestAttestation"}, Quirks: sceptest.QuirkDES,
		Challenge: func(*sceptest.Request) ([]byte, error) { return []byte("secret"), nil },
		Check:     func(*sceptest.Request, []byte) error { return nil },
	}
	c := start(t, server, server.Roots())
	c.Challenge, c.AllowLegacy = "TestAttestation", true
	_, err := c.Enroll(t.Context(), asked(t, c), &scep.Request{CSR: newCSR(t, testKey()), Signer: testKey()})
	if !errors.Is(err, scep.ErrAlgorithm) || !strings.Contains(failed(t, err).Remedy(), "never accepted") {
		t.Errorf("got %v", err)
	}
}
