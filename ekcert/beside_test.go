package ekcert_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/ekcert/ekcerttest"
	"github.com/whiteglove/whiteglove/internal/challenge"
)

// held is a transport that holds requests until a channel is closed.
type held struct {
	until <-chan struct{}
	next  http.RoundTripper
}

func (h held) RoundTrip(req *http.Request) (*http.Response, error) {
	select {
	case <-h.until:
		return h.next.RoundTrip(req)
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
}

// The key of the SCEP messages is made while the CA is asked: here the CA answers only
// when that has begun.
func TestSignerBesideCA(t *testing.T) {
	d := theDevice(t)
	ca := &ekcerttest.Server{AnyEK: true}
	server := serve(t, ca)
	begun := make(chan struct{})
	generate := challenge.NewSigner
	t.Cleanup(func() { challenge.NewSigner = generate })
	challenge.NewSigner = func() (challenge.Signer, error) {
		close(begun)
		return generate()
	}
	c := &ekcert.Client{
		SCEPURL: server.URL + "/ek", Roots: ekcert.Roots{attesttest.Vendor: ca.Roots()},
		HTTPClient: &http.Client{Transport: held{begun, http.DefaultTransport}, Timeout: 20 * time.Second},
	}
	if _, err := c.Enroll(t.Context(), d.enrollment(d.eks[0])); err != nil {
		t.Errorf("%v, the CA: %q", err, ca.Refusals())
	}
}
