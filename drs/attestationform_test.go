package drs_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/drs"
)

func TestAttestationFormFor(t *testing.T) {
	asks := &drs.Discovery{ProofEndpoint: "https://drs.test/"}
	for _, c := range []struct {
		form drs.AttestationForm
		d    *drs.Discovery
		want drs.AttestationForm
	}{
		{drs.FormDefault, asks, drs.FormBundle},
		{drs.FormDefault, &drs.Discovery{}, drs.FormNone},
		{drs.FormDefault, nil, drs.FormNone},
		{drs.FormKADS, &drs.Discovery{}, drs.FormKADS},
		{drs.FormNone, asks, drs.FormNone},
	} {
		if got := c.form.For(c.d); got != c.want {
			t.Errorf("form %d for %+v: %d, not %d", c.form, c.d, got, c.want)
		}
	}
}

// A service that does not ask for an attestation gets none unless the caller chose a form.
func TestAttestationNotSent(t *testing.T) {
	var body string
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		body = string(b)
		w.WriteHeader(http.StatusForbidden)
	}))
	defer ts.Close()
	c := &drs.Client{BaseURL: ts.URL}
	for _, v := range []struct {
		form drs.AttestationForm
		asks bool // the service has TPM challenges
		sent bool
	}{
		{drs.FormDefault, false, false},
		{drs.FormDefault, true, true},
		{drs.FormNone, true, false},
		{drs.FormBundle, false, true},
	} {
		body = ""
		req, asked := request(t), 0
		certify := attesting(8, 0).Certify
		req.Attestation = attesting(8, 0)
		req.Attestation.Form = v.form
		req.Attestation.Certify = func(ctx context.Context, usage string, data []byte) (*drs.Statement, error) {
			asked++
			return certify(ctx, usage, data)
		}
		d := discovery(ts.URL)
		if v.asks {
			d.ProofEndpoint = ts.URL + "/challenge"
		}
		_, err := c.Join(t.Context(), d, req)
		var e *drs.Error
		if !errors.As(err, &e) || e.HTTPStatus != http.StatusForbidden {
			t.Fatal(err)
		}
		if sent := strings.Contains(body, "AttestationData"); sent != v.sent || (asked > 0) != v.sent {
			t.Errorf("form %d, asks %t: sent %t, certified %d", v.form, v.asks, sent, asked)
		}
	}
}

// A nonce is requested with the token for the join, if there is one.
func TestNonceToken(t *testing.T) {
	var got string
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("Authorization")
		io.WriteString(w, `{"Value":"n"}`)
	}))
	defer ts.Close()
	c := &drs.Client{BaseURL: ts.URL}
	device := &drs.DeviceToken{Token: "ticket"}
	for want, req := range map[string]*drs.Request{
		"": nil, "Bearer t0ken": {UserToken: "t0ken", DeviceToken: device}, "Bearer ticket": {DeviceToken: device},
	} {
		if _, err := c.Nonce(t.Context(), &drs.Discovery{TenantID: tenantID}, req); err != nil || got != want {
			t.Errorf("%q, %v", got, err)
		}
	}
}

func TestPublic(t *testing.T) {
	for base, want := range map[string]bool{
		"": true, "https://enterpriseregistration.windows.net": true, "https://EnterpriseRegistration.Windows.net:443/": true,
		"https://enterpriseregistration.microsoftonline.us": true, "https://enterpriseregistration.partner.microsoftonline.cn": true,
		"https://127.0.0.1:1": false, "https://drs.contoso.com": false, "https://windows.net": false, ":": false,
	} {
		if got := (&drs.Client{BaseURL: base}).Public(); got != want {
			t.Errorf("%q: %t", base, got)
		}
	}
}
