package drs_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/drs"
)

// A hybrid join that is not valid is not sent, and an answer for another computer is
// refused.
func TestHybridRefused(t *testing.T) {
	sent := 0
	cert := sign(t, entraCertificate(), &key(t).PublicKey)
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent++
		io.WriteString(w, joinAnswer(cert))
	}))
	defer ts.Close()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &drs.Client{BaseURL: ts.URL, Now: func() time.Time { return clock }}
	for _, v := range []struct {
		name   string
		change func(*drs.Discovery, *drs.Computer, *drs.Request)
		sent   int
		err    error
	}{
		{"none", func(*drs.Discovery, *drs.Computer, *drs.Request) {}, 1, nil},
		{"another computer", func(_ *drs.Discovery, m *drs.Computer, _ *drs.Request) { m.ID = tenantID }, 1, drs.ErrDevice},
		{"no identifier", func(_ *drs.Discovery, m *drs.Computer, _ *drs.Request) { m.ID = "../x" }, 0, nil},
		{"no SID", func(_ *drs.Discovery, m *drs.Computer, _ *drs.Request) { m.SID = "" }, 0, nil},
		{"no key", func(_ *drs.Discovery, m *drs.Computer, _ *drs.Request) { m.Key = nil }, 0, nil},
		{"EC key", func(_ *drs.Discovery, m *drs.Computer, _ *drs.Request) { m.Key = ec }, 0, nil},
		{"no tenant", func(d *drs.Discovery, _ *drs.Computer, _ *drs.Request) { d.TenantID = "" }, 0, nil},
		{"token", func(_ *drs.Discovery, _ *drs.Computer, r *drs.Request) { r.UserToken = "t0ken" }, 0, nil},
		{"attestation", func(_ *drs.Discovery, _ *drs.Computer, r *drs.Request) { r.Attestation = new(drs.Attestation) }, 0, nil},
		{"no transport key", func(_ *drs.Discovery, _ *drs.Computer, r *drs.Request) { r.TransportKey = nil }, 0, nil},
	} {
		sent = 0
		d, m, req := discovery(ts.URL), &drs.Computer{ID: deviceID, SID: "S-1-5-21-1-2-3-4", Key: key(t)}, request(t)
		req.DeviceToken = nil
		v.change(d, m, req)
		_, err := c.JoinHybrid(t.Context(), d, m, req)
		var e *drs.Error
		if v.name == "none" && err != nil || v.name != "none" && !errors.As(err, &e) || sent != v.sent || v.err != nil && !errors.Is(err, v.err) {
			t.Errorf("%s: %v, sent %d", v.name, err, sent)
		}
	}
}
