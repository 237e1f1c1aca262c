package drstest_test

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/drs/drstest"
)

// joined joins the rig's device.
func (r *rig) joined() *drs.Device {
	r.t.Helper()
	dev, err := r.join(r.device.request(r.authenticate()))
	if err != nil {
		r.t.Fatal(err)
	}
	return dev
}

func TestLeave(t *testing.T) {
	r := newTLSRig(t)
	dev := r.joined()
	// An *http.Transport is copied.
	c := &drs.Client{BaseURL: r.url, HTTPClient: &http.Client{Transport: r.transport}}
	if err := c.Leave(t.Context(), r.tenant, dev, r.device.dk); err != nil {
		t.Fatal(err, r.server.Refusals())
	}
	if o := r.server.Objects(); len(o) != 1 || o[0].Enabled || o[0].ZTDID == "" || len(o[0].Identities) != 0 {
		t.Errorf("left as %+v", o)
	}
	// The object of a device that was not imported is deleted.
	cert, err := r.server.AddDevice(&r.device.dk.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	if dev, err = drs.ParseDevice(cert); err != nil {
		t.Fatal(err)
	}
	if err := c.Leave(t.Context(), r.tenant, dev, r.device.dk); err != nil || len(r.server.Objects()) != 1 {
		t.Errorf("%v, %d objects", err, len(r.server.Objects()))
	}
	// The first device can join again with a new token.
	if _, err = r.join(r.device.request(r.authenticate())); err != nil {
		t.Error(err)
	}
}

func TestLeaveRefused(t *testing.T) {
	r := newTLSRig(t)
	dev := r.joined()
	foreign, err := new(drstest.Server).AddDevice(&r.device.dk.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		do   func(d *drs.Device)
		err  error
		want string
	}{
		{"another directory's certificate", func(d *drs.Device) { d.Certificate = foreign }, drs.ErrGone, "no device has this certificate"},
		{"another device's name", func(d *drs.Device) { d.ID = drstest.DefaultTenantID }, nil, "of another device"},
		{"no name", func(d *drs.Device) { d.ID = "../x" }, nil, "is not a GUID"},
		{"no certificate", func(d *drs.Device) { d.Certificate = nil }, nil, "without certificate"},
	} {
		own := *dev
		c.do(&own)
		err := r.client.Leave(t.Context(), r.tenant, &own, r.device.dk)
		if err == nil || c.err != nil && !errors.Is(err, c.err) || c.err == nil && errors.Is(err, drs.ErrGone) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if err := r.client.Leave(t.Context(), r.tenant, dev, newSoftKey(t, 6, deviceAttributes)); err == nil || !strings.Contains(err.Error(), "not that of the device's certificate") {
		t.Errorf("another key: %v", err)
	}
	// A request of another client without a certificate.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, r.url+"/EnrollmentServer/device/"+dev.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := (&http.Client{Transport: r.transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a certificate: %d", res.StatusCode)
	}
	// An expired certificate.
	r.now = r.now.AddDate(11, 0, 0)
	if err := r.client.Leave(t.Context(), r.tenant, dev, r.device.dk); !errors.Is(err, drs.ErrGone) {
		t.Errorf("expired: %v", err)
	}
	if o := r.server.Objects(); !o[0].Enabled || len(o[0].Certificates) != 1 {
		t.Errorf("left as %+v", o)
	}
}

// Leave fails if the server did not request the certificate, or if the connection is not TLS.
func TestLeaveNotAsked(t *testing.T) {
	r := newTLSRig(t)
	dev := r.joined()
	for _, status := range []int{http.StatusOK, http.StatusUnauthorized} {
		liar := startTLS(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }), tls.NoClientCert)
		c := &drs.Client{HTTPClient: liar.Client()}
		err := c.Leave(t.Context(), &drs.Discovery{JoinEndpoint: liar.URL + "/EnrollmentServer/device/"}, dev, r.device.dk)
		var e *drs.Error
		if !errors.Is(err, drs.ErrNotAsked) || errors.Is(err, drs.ErrGone) || !errors.As(err, &e) || e.Remedy() == "" {
			t.Errorf("%d without asking: %v", status, err)
		}
		liar.Close()
	}
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	c := &drs.Client{BaseURL: plain.URL}
	if err := c.Leave(t.Context(), nil, dev, r.device.dk); !errors.Is(err, drs.ErrEndpoint) {
		t.Errorf("without TLS: %v", err)
	}
	// Leave fails with a transport that cannot be copied.
	c = &drs.Client{HTTPClient: &http.Client{Transport: r}}
	if err := c.Leave(t.Context(), r.tenant, dev, r.device.dk); err == nil || !strings.Contains(err.Error(), "MutualTLS") {
		t.Errorf("another transport: %v", err)
	}
	// A function that returns no transport is not taken for the default, which shows nothing.
	c.MutualTLS = func(*tls.Config) http.RoundTripper { return nil }
	if err := c.Leave(t.Context(), r.tenant, dev, r.device.dk); err == nil || !strings.Contains(err.Error(), "Client.MutualTLS returned no transport") {
		t.Errorf("no transport: %v", err)
	}
}

// Leave accepts any body with a success, and the handshake has the documented version and
// signature.
func TestLeaveHandshake(t *testing.T) {
	r := newTLSRig(t)
	dev := r.joined()
	var state tls.ConnectionState
	for _, body := range []string{"", "{}", `{"AttestationResult":{"KeyId":"AAAA"}}`, "<html>"} {
		ts := startTLS(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			state = *req.TLS
			w.Write([]byte(body))
		}), tls.RequireAnyClientCert)
		c := &drs.Client{HTTPClient: ts.Client()}
		if err := c.Leave(t.Context(), &drs.Discovery{JoinEndpoint: ts.URL + "/EnrollmentServer/device"}, dev, r.device.dk); err != nil {
			t.Errorf("%q: %v", body, err)
		}
		if state.Version != tls.VersionTLS12 || len(state.PeerCertificates) != 1 || !state.PeerCertificates[0].Equal(dev.Certificate) {
			t.Errorf("%q: version %#x, %d certificates", body, state.Version, len(state.PeerCertificates))
		}
		ts.Close()
	}
}

func TestLeaveLost(t *testing.T) {
	r := newTLSRig(t)
	dev := r.joined()
	r.server.SetFault("Leave", drstest.FaultLost)
	err := r.client.Leave(t.Context(), r.tenant, dev, r.device.dk)
	var e *drs.Error
	if !errors.As(err, &e) || !e.Retryable() || errors.Is(err, drs.ErrGone) {
		t.Errorf("lost: %v", err)
	}
	r.server.SetFault("Leave", drstest.FaultNone)
	if err := r.client.Leave(t.Context(), r.tenant, dev, r.device.dk); !errors.Is(err, drs.ErrGone) {
		t.Errorf("repeated: %v", err)
	}
	r.server.SetFault("Leave", drstest.FaultBusy)
	if err = r.client.Leave(t.Context(), r.tenant, dev, r.device.dk); !errors.As(err, &e) || e.HRESULT() != 0x801C0025 || e.RetryAfter != 5*time.Minute {
		t.Errorf("busy: %v", err)
	}
}
