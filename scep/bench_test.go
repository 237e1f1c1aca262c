package scep_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// direct calls a handler without a network.
type direct struct{ http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w.Result(), nil
}

// BenchmarkEnroll measures a whole enrollment, client and server: capabilities,
// certificates, and the exchange of messages.
func BenchmarkEnroll(b *testing.B) {
	server := new(sceptest.Server)
	c := &scep.Client{
		URL: "https://ca.test/scep", Roots: server.Roots(), HTTPClient: &http.Client{Transport: direct{server}},
	}
	req := &scep.Request{CSR: newCSR(b, testKey()), Signer: testKey(), Certificate: selfSigned(b)}
	b.ReportAllocs()
	for b.Loop() {
		ca, err := c.CA(b.Context(), "")
		if err != nil {
			b.Fatal(err)
		}
		if _, err := c.Enroll(b.Context(), ca, req); err != nil {
			b.Fatal(err)
		}
	}
}

// fixed answers every request with the same bytes.
type fixed []byte

func (f fixed) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Header: make(http.Header), Body: io.NopCloser(bytes.NewReader(f)), Request: r,
	}, nil
}

// FuzzAnswers gives bytes from a server to every function that reads answers. No
// reply can be accepted, because none is signed for the current nonce.
func FuzzAnswers(f *testing.F) {
	server := &sceptest.Server{RA: true}
	var seeds [][]byte
	record := &recorder{RoundTripper: direct{server}, bodies: &seeds}
	c := &scep.Client{URL: "https://ca.test", Roots: server.Roots(), HTTPClient: &http.Client{Transport: record}}
	ca, err := c.CA(f.Context(), "")
	if err != nil {
		f.Fatal(err)
	}
	req := &scep.Request{CSR: newCSR(f, testKey()), Signer: testKey(), Certificate: selfSigned(f)}
	if _, err := c.Enroll(f.Context(), ca, req); err != nil {
		f.Fatal(err)
	}
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c := &scep.Client{URL: "https://ca.test", Roots: server.Roots(), HTTPClient: &http.Client{Transport: fixed(body)}}
		if _, err := c.GetCACaps(t.Context(), ""); err != nil && len(body) <= 256<<10 {
			t.Error(err)
		}
		_, _ = c.CA(t.Context(), "")
		if _, err := c.Enroll(t.Context(), ca, req); err == nil {
			t.Error("a reply that was taken")
		}
	})
}

// A recorder keeps the bodies of answers.
type recorder struct {
	http.RoundTripper
	mu     sync.Mutex // there may be two requests at the same time
	bodies *[][]byte
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := r.RoundTripper.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	*r.bodies = append(*r.bodies, body)
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, err
}

// A refuser answers every request with an error and costs nothing.
type refuser struct{}

func (refuser) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusTeapot, Header: make(http.Header), Body: http.NoBody, Request: r}, nil
}

// BenchmarkClient measures what the client does for one exchange with a known
// CA: it seals a message, with one RSA signature, and opens a reply, with one
// RSA decryption and two verifications.
func BenchmarkClient(b *testing.B) {
	server := new(sceptest.Server)
	base := campaignBase(b, "success", server)
	c := &scep.Client{URL: "https://ca.test", Roots: server.Roots(), HTTPClient: &http.Client{Transport: refuser{}}}
	ca := &scep.CA{
		Caps: scep.Caps{"SCEPStandard"}, Chain: server.Certificates(),
		Recipient: server.Recipient(), Signer: server.Certificates()[0],
	}
	req := &scep.Request{CSR: newCSR(b, testKey()), Signer: testKey(), Certificate: selfSigned(b)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Enroll(b.Context(), ca, req); err == nil {
			b.Fatal("no error")
		}
		if _, err := base.opener.Open(base.body); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRSA measures only the RSA operations of BenchmarkClient.
func BenchmarkRSA(b *testing.B) {
	key := testKey()
	digest := make([]byte, 32)
	wrapped, err := rsa.EncryptOAEP(crypto.SHA256.New(), rand.Reader, &key.PublicKey, digest, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		signature, err := key.Sign(rand.Reader, digest, crypto.SHA256)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := rsa.DecryptOAEP(crypto.SHA256.New(), nil, key, wrapped, nil); err != nil {
			b.Fatal(err)
		}
		for range 3 { // encrypting costs as much as verifying
			if err := rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, digest, signature); err != nil {
				b.Fatal(err)
			}
		}
	}
}
