package ekcert_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/ekcert/ekcerttest"
	"github.com/whiteglove/whiteglove/internal/canceltest"
)

// TestCancelAtEachRead cancels Verify and Enroll while an answer comes.
func TestCancelAtEachRead(t *testing.T) {
	ek := ekKey(t).Public()
	m := open(t, "IFX")
	cert := parsed(t, certify(t, m, ek))
	canceltest.Everywhere(t, 40, nil, func(ctx context.Context, h *http.Client) error {
		c := client(m)
		c.HTTPClient = h
		_, err := c.Verify(ctx, cert, ek)
		return err
	})
	intel := open(t, "INTC")
	certify(t, intel, ek)
	canceltest.Everywhere(t, 40, nil, func(ctx context.Context, h *http.Client) error {
		service := &ekcert.Service{URL: intel.BaseURL + "/ekcertservice/", Vendor: "INTC", HTTPClient: h}
		_, err := (&ekcert.Client{Services: map[string]ekcert.Fetcher{"INTC": service}}).Find(ctx, nil, "INTC", ek)
		return err
	})
	d := theDevice(t)
	ca := &ekcerttest.Server{AnyEK: true}
	server := serve(t, ca)
	canceltest.Everywhere(t, 40, nil, func(ctx context.Context, h *http.Client) error {
		c := &ekcert.Client{SCEPURL: server.URL, Roots: ekcert.Roots{attesttest.Vendor: ca.Roots()}, HTTPClient: h}
		ch, err := c.Begin(ctx, d.enrollment(d.eks[0]))
		if err != nil {
			return err
		}
		secret, err := d.tpm.Activator(d.eks[0], d.ak)(context.WithoutCancel(ctx), ch.Blob, ch.EncryptedSecret)
		if err != nil {
			return err
		}
		_, err = c.Complete(ctx, ch, secret)
		return err
	})
}
