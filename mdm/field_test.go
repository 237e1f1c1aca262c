package mdm_test

import (
	"bytes"
	"crypto/x509"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
)

// A key that a TPM can make is sent to a server whose policy asks for more, if the
// caller says so.
func TestShortKeys(t *testing.T) {
	s := &mdmtest.Server{Quirks: mdmtest.Quirks{LongKeys: true}}
	discovery, h := startTLS(t, s)
	var logged bytes.Buffer
	c := &mdm.Client{HTTPClient: h, Logger: slog.New(slog.NewTextHandler(&logged, nil))}
	_, err := enroll(t, c, discovery)
	if e := failure(t, err); e.HRESULT() != 0x80180027 || !strings.Contains(e.Error(), "2048 bits, and the policy requires 4096") || !strings.Contains(e.Remedy(), "3072") {
		t.Errorf("%v; %s", e, e.Remedy())
	}
	c.ShortKeys = true
	if _, err := enroll(t, c, discovery); err != nil || !strings.Contains(logged.String(), "shorter") {
		t.Errorf("%v; log %s; %q", err, &logged, s.Refusals())
	}
}

// A document without roots is accepted if the caller has them.
func TestDocumentWithoutRoots(t *testing.T) {
	made := madeDocument(t, &mdmKey().PublicKey)
	start := strings.Index(made, `<characteristic type="Root">`)
	if start < 0 {
		t.Fatal("the document has no root")
	}
	doc, err := mdm.ParseDocument([]byte(made))
	if err != nil {
		t.Fatal(err)
	}
	certs, err := doc.Certificates()
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	for _, c := range certs {
		if c.Store == "Root" {
			roots.AddCert(c.Certificate)
		}
	}
	without := strings.Replace(made, `type="Root"`, `type="Elsewhere"`, 1)
	for _, pool := range []*x509.CertPool{nil, roots, x509.NewCertPool()} {
		c := &mdm.Client{Device: mdm.Device{ID: testDevice}, Roots: pool, HTTPClient: &http.Client{Transport: canned{Status: 200, Body: answered([]byte(without))}}}
		_, err := c.Enroll(t.Context(), &mdm.Discovery{EnrollURL: "https://mdm.test/e"}, nil, &mdm.Request{Credential: mdm.Token("a.b.c"), Key: mdmKey()})
		if (err == nil) != (pool == roots) {
			t.Errorf("%v", err)
		}
	}
}
