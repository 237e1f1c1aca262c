package drstest_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/drs/drstest"
)

// A rig is a server, a client of it and an imported device.
type rig struct {
	t      testing.TB
	server *drstest.Server
	client *drs.Client
	tenant *drs.Discovery
	device *softTPM
	url    string
	now    time.Time
	later  atomic.Int64 // nanoseconds beyond now, for changes while a request is under way

	transport http.RoundTripper
	roots     *x509.CertPool // root of the server's TLS certificate; nil without TLS

	// change, if set, changes the JSON body of requests to a path.
	change func(path string, body map[string]any)
}

func newRig(t testing.TB) *rig {
	t.Helper()
	return startRig(t, func(h http.Handler) *httptest.Server { return httptest.NewServer(h) })
}

// newTLSRig returns a rig whose server uses TLS and requests client certificates.
func newTLSRig(t testing.TB) *rig {
	t.Helper()
	r := startRig(t, func(h http.Handler) *httptest.Server { return startTLS(h, tls.RequestClientCert) })
	r.client.MutualTLS = func(c *tls.Config) http.RoundTripper {
		c.RootCAs = r.roots
		return &http.Transport{TLSClientConfig: c, DisableKeepAlives: true}
	}
	return r
}

func startTLS(h http.Handler, auth tls.ClientAuthType) *httptest.Server {
	ts := httptest.NewUnstartedServer(h)
	ts.TLS = &tls.Config{ClientAuth: auth}
	ts.Config.ErrorLog = log.New(io.Discard, "", 0)
	ts.StartTLS()
	return ts
}

func startRig(t testing.TB, start func(http.Handler) *httptest.Server) *rig {
	t.Helper()
	r := &rig{t: t, server: new(drstest.Server), device: newSoftTPM(t, 0), now: time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)}
	clock := func() time.Time { return r.now.Add(time.Duration(r.later.Load())) }
	r.server.Now = clock
	ts := start(r.server)
	t.Cleanup(ts.Close)
	r.url, r.transport = ts.URL, ts.Client().Transport
	if cert := ts.Certificate(); cert != nil {
		r.roots = x509.NewCertPool()
		r.roots.AddCert(cert)
	}
	r.client = &drs.Client{BaseURL: ts.URL, Now: clock, HTTPClient: &http.Client{Transport: r}}
	var err error
	if r.tenant, err = r.client.Discover(t.Context(), drstest.DefaultTenant); err != nil {
		t.Fatal(err)
	}
	if _, err := r.server.Import(&r.device.ek.PublicKey); err != nil {
		t.Fatal(err)
	}
	return r
}

// RoundTrip sends a request after r.change has changed it.
func (r *rig) RoundTrip(req *http.Request) (*http.Response, error) {
	if r.change != nil && req.Header.Get("Content-Type") == "application/json" {
		raw, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		var body map[string]any
		if err := json.Unmarshal(raw, &body); err != nil {
			return nil, err
		}
		r.change(req.URL.Path, body)
		if raw, err = json.Marshal(body); err != nil {
			return nil, err
		}
		req = req.Clone(req.Context())
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
	}
	return r.transport.RoundTrip(req)
}

func (r *rig) authenticate() *drs.DeviceToken {
	r.t.Helper()
	token, err := r.client.Authenticate(r.t.Context(), r.tenant, r.device.proof())
	if err != nil {
		r.t.Fatal(err)
	}
	return token
}

func (r *rig) join(req *drs.Request) (*drs.Device, error) {
	return r.client.Join(r.t.Context(), r.tenant, req)
}

// refused checks that err is a refusal of the server with a subcode and a reason, that it is in
// Refusals, and that no device is enabled.
func (r *rig) refused(err error, op, subcode, reason string) {
	r.t.Helper()
	var e *drs.Error
	if !errors.As(err, &e) || e.Subcode != subcode || !strings.Contains(e.Message, reason) || e.RequestID == "" {
		r.t.Errorf("got %v", err)
	}
	log := r.server.Refusals()
	if len(log) == 0 || !strings.HasPrefix(log[len(log)-1], op+": ") || !strings.Contains(log[len(log)-1], reason) {
		r.t.Errorf("the server wrote down %q", log)
	}
	for _, o := range r.server.Objects() {
		if o.Enabled || len(o.Certificates) > 0 {
			r.t.Errorf("the object was enabled: %+v", o)
		}
	}
}
