package ekcerttest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/ekcert/ekcerttest"
)

// enrollment returns the Request of an emulated TPM with a seed.
func enrollment(ctx context.Context, seed string) (*ekcert.Request, error) {
	emulator, err := attesttest.New(attesttest.Config{Seed: seed, NoCertificate: true})
	if err != nil {
		return nil, err
	}
	tpm := &attest.TPM{Transport: emulator}
	ak, err := tpm.CreateKey(ctx, attest.Template{Usage: attest.Attest, Algorithm: attest.P256})
	if err != nil {
		return nil, err
	}
	for ek, err := range tpm.EKs(ctx) {
		if err != nil {
			return nil, err
		}
		return &ekcert.Request{
			Vendor: attesttest.Vendor, Model: "emulator", Version: "1.2.3.4",
			EK: ek.Public, AIKCreation: (*ekcert.Statement)(ak.Creation()),
			Activate: tpm.Activator(ek, ak),
		}, nil
	}
	return nil, errors.New("no endorsement key")
}

// A maker's CA that refuses one firmware version because of a weakness.
func Example() {
	ctx := context.Background()
	ca := &ekcerttest.Server{AnyEK: true, AtRisk: func(tpm ekcerttest.TPM) string {
		if tpm.Version == "id:00010002" {
			return "SIM-SA-0001"
		}
		return ""
	}}
	server := httptest.NewServer(ca)
	defer server.Close()

	show, err := enrollment(ctx, "")
	if err != nil {
		log.Fatal(err)
	}
	client := &ekcert.Client{SCEPURL: server.URL, Roots: ekcert.Roots{attesttest.Vendor: ca.Roots()}}
	_, err = client.Enroll(ctx, show)
	fmt.Println(errors.Is(err, ekcert.ErrAtRisk))
	// Output:
	// true
}

// A repeater sends the nth message twice and returns the second answer.
type repeater struct {
	mu   sync.Mutex
	n    int
	seen int
}

func (r *repeater) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodPost {
		return http.DefaultTransport.RoundTrip(req)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.seen++
	twice := r.seen == r.n
	r.mu.Unlock()
	if twice {
		first := req.Clone(req.Context())
		first.Body = io.NopCloser(bytes.NewReader(body))
		res, err := http.DefaultTransport.RoundTrip(first)
		if err != nil {
			return nil, err
		}
		res.Body.Close()
	}
	req = req.Clone(req.Context())
	req.Body = io.NopCloser(bytes.NewReader(body))
	return http.DefaultTransport.RoundTrip(req)
}

// TestAnswerIsGoodOnce repeats the answer to a challenge.
func TestAnswerIsGoodOnce(t *testing.T) {
	ca := &ekcerttest.Server{AnyEK: true}
	server := httptest.NewServer(ca)
	defer server.Close()
	show, err := enrollment(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	client := &ekcert.Client{
		SCEPURL: server.URL, Roots: ekcert.Roots{attesttest.Vendor: ca.Roots()},
		HTTPClient: &http.Client{Transport: &repeater{n: 2}},
	}
	if _, err := client.Enroll(t.Context(), show); err == nil {
		t.Error("an answer was good twice")
	}
	if r := ca.Refusals(); len(r) != 1 {
		t.Errorf("refusals %q", r)
	}
}

// TestChallengeExpires answers a challenge too late.
func TestChallengeExpires(t *testing.T) {
	var mu sync.Mutex
	now := time.Now()
	ca := &ekcerttest.Server{AnyEK: true, Now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}}
	server := httptest.NewServer(ca)
	defer server.Close()
	show, err := enrollment(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	activate := show.Activate
	show.Activate = func(ctx context.Context, blob, secret []byte) ([]byte, error) {
		mu.Lock()
		now = now.Add(11 * time.Minute)
		mu.Unlock()
		return activate(ctx, blob, secret)
	}
	client := &ekcert.Client{SCEPURL: server.URL, Roots: ekcert.Roots{attesttest.Vendor: ca.Roots()}}
	if _, err := client.Enroll(t.Context(), show); err == nil {
		t.Error("got a certificate")
	}
	if r := strings.Join(ca.Refusals(), "\n"); !strings.Contains(r, "no such challenge is open") {
		t.Errorf("refusals %q", r)
	}
}

// TestParallel enrolls TPMs at the same time.
func TestParallel(t *testing.T) {
	ca := &ekcerttest.Server{AnyEK: true}
	server := httptest.NewServer(ca)
	defer server.Close()
	client := &ekcert.Client{SCEPURL: server.URL, Roots: ekcert.Roots{attesttest.Vendor: ca.Roots()}}
	var wg sync.WaitGroup
	for _, seed := range []string{"one", "two", "three"} {
		wg.Go(func() {
			show, err := enrollment(t.Context(), seed)
			if err == nil {
				_, err = client.Enroll(t.Context(), show)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if r := ca.Refusals(); len(r) != 0 {
		t.Errorf("refusals %q", r)
	}
}

func TestCertificates(t *testing.T) {
	ca := &ekcerttest.Server{AnyEK: true}
	certs := ca.Certificates()
	if len(certs) != 2 || certs[0].CheckSignatureFrom(certs[1]) != nil || certs[1].CheckSignatureFrom(certs[1]) != nil {
		t.Fatalf("got %d certificates", len(certs))
	}
}
