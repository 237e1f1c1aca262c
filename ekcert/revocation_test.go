package ekcert_test

import (
	"context"
	"crypto"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/ekcert/ekcerttest"
)

func readSource(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func parsed(t *testing.T, der []byte, issuers ...*x509.Certificate) *ekcert.Certificate {
	t.Helper()
	cert, err := ekcert.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	cert.Issuers = issuers
	return cert
}

// TestRevoked revokes the certificate, its CA, and others.
func TestRevoked(t *testing.T) {
	ek := ekKey(t).Public()
	for name, tt := range map[string]struct {
		quirk  string
		serial func(leaf, ca *x509.Certificate) *big.Int
		want   error
	}{
		"certificate":        {"", func(leaf, _ *x509.Certificate) *big.Int { return leaf.SerialNumber }, ekcert.ErrRevoked},
		"CA":                 {"", func(_, ca *x509.Certificate) *big.Int { return ca.SerialNumber }, ekcert.ErrRevoked},
		"another":            {"", func(leaf, _ *x509.Certificate) *big.Int { return new(big.Int).Add(leaf.SerialNumber, big.NewInt(9)) }, nil},
		"in an indirect CRL": {"crl-indirect", func(leaf, _ *x509.Certificate) *big.Int { return leaf.SerialNumber }, ekcert.ErrRevoked},
		"other issuer's one": {"crl-indirect", func(leaf, _ *x509.Certificate) *big.Int { return new(big.Int).Sub(leaf.SerialNumber, big.NewInt(1)) }, nil},
		"with an odd entry":  {"crl-entry", func(leaf, _ *x509.Certificate) *big.Int { return leaf.SerialNumber }, ekcert.ErrRevoked},
		"issued by the root": {"issued-by-root", func(leaf, _ *x509.Certificate) *big.Int { return leaf.SerialNumber }, ekcert.ErrRevoked},
		"CRL is PEM":         {"crl-pem", func(leaf, _ *x509.Certificate) *big.Int { return leaf.SerialNumber }, ekcert.ErrRevoked},
	} {
		var quirks []string
		if tt.quirk != "" {
			quirks = []string{tt.quirk}
		}
		m := open(t, "IFX", quirks...)
		cert := parsed(t, certify(t, m, ek), m.CRLSigner())
		m.Revoke(tt.serial(cert.Certificate, m.Certificates()[0]))
		report, err := client(m).Verify(t.Context(), cert, ek)
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, %+v", name, err, report)
			continue
		}
		if err == nil && report.Revocation != ekcert.RevocationGood {
			t.Errorf("%s: %v: %s", name, report.Revocation, report.RevocationDetail)
		}
		var e *ekcert.Error
		if err != nil && (!errors.As(err, &e) || e.HRESULT() != 0x800B010C || e.Retryable() || e.Remedy() == "") {
			t.Errorf("%s: %#x", name, e.HRESULT())
		}
	}
}

// TestIndirectSignerIsChecked uses an indirect CRL whose signer leads to another maker's
// root.
func TestIndirectSignerIsChecked(t *testing.T) {
	ek := ekKey(t).Public()
	m := open(t, "IFX", "crl-indirect")
	other := open(t, "IFX", "crl-indirect") // same names, other keys
	cert := parsed(t, certify(t, m, ek), other.CRLSigner())
	report, err := client(m).Verify(t.Context(), cert, ek)
	if err != nil || report.Revocation != ekcert.RevocationUnknown {
		t.Errorf("%v, %+v", err, report)
	}
}

// TestNothingIsFetchedUnasked counts requests.
func TestNothingIsFetchedUnasked(t *testing.T) {
	m := &ekcerttest.Maker{}
	requests := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		m.ServeHTTP(w, r)
	}))
	defer server.Close()
	m.BaseURL = server.URL
	ek := ekKey(t).Public()
	cert := parsed(t, certify(t, m, ek))
	c := &ekcert.Client{Roots: ekcert.Roots{"INTC": m.Roots()}}
	if _, err := c.Verify(t.Context(), cert, ek); !errors.Is(err, ekcert.ErrUntrusted) {
		t.Errorf("%v", err)
	}
	cert.Issuers = m.Certificates()[:1]
	report, err := c.Verify(t.Context(), cert, ek)
	if err != nil || report.Revocation != ekcert.RevocationUnchecked || requests != 0 {
		t.Errorf("%v, %+v, %d requests", err, report, requests)
	}
	c.FetchIssuers, c.CheckRevocation, c.AllowPrivateHosts, c.Cache = true, true, true, new(ekcert.MemoryCache)
	cert.Issuers = nil
	for range 3 {
		if report, err := c.Verify(t.Context(), cert, ek); err != nil || report.Revocation != ekcert.RevocationGood {
			t.Errorf("%v, %+v", err, report)
		}
	}
	if requests != 3 { // the issuer, and a CRL for each of two
		t.Errorf("%d requests", requests)
	}
	// Two months later the issuer and the CRLs are fetched again. The CRLs are out of
	// date even in a cache with another clock.
	c.Now = func() time.Time { return time.Now().AddDate(0, 2, 0) }
	m.Now = c.Now
	if report, err := c.Verify(t.Context(), cert, ek); err != nil || report.Revocation != ekcert.RevocationGood || requests != 5 {
		t.Errorf("%v, %+v, %d requests", err, report, requests)
	}
	c.Cache = &ekcert.MemoryCache{Now: c.Now}
	for range 2 {
		if _, err := c.Verify(t.Context(), cert, ek); err != nil || requests != 8 {
			t.Errorf("%v, %d requests", err, requests)
		}
	}
	c.Now = func() time.Time { return time.Now().AddDate(0, 2, 2) }
	c.Cache.(*ekcert.MemoryCache).Now = c.Now
	if report, err := c.Verify(t.Context(), cert, ek); err != nil || requests != 9 {
		t.Errorf("%v, %+v, %d requests", err, report, requests)
	}
	// A revoked certificate stays revoked without a network.
	m.Revoke(cert.SerialNumber)
	c.Cache = new(ekcert.MemoryCache)
	for range 2 {
		if _, err := c.Verify(t.Context(), cert, ek); !errors.Is(err, ekcert.ErrRevoked) {
			t.Errorf("%v", err)
		}
		server.Close()
	}
}

// TestWrongIssuerIsNotKept uses an attacker on the path to the maker's server who sends
// another certificate once.
func TestWrongIssuerIsNotKept(t *testing.T) {
	ek := ekKey(t).Public()
	m, liar := open(t, "INTC"), newMaker(t, "Intel")
	honest := http.DefaultTransport
	lies := 1
	c := client(m)
	c.Cache = new(ekcert.MemoryCache)
	c.HTTPClient = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		if !strings.HasPrefix(r.URL.Path, "/ca/") || lies == 0 {
			return honest.RoundTrip(r)
		}
		lies--
		w := httptest.NewRecorder()
		w.Write(liar.ca.Raw)
		return w.Result(), nil
	})}
	cert := parsed(t, certify(t, m, ek))
	if _, err := c.Verify(t.Context(), cert, ek); !errors.Is(err, ekcert.ErrUntrusted) {
		t.Errorf("with a wrong issuer: %v", err)
	}
	if _, err := c.Verify(t.Context(), cert, ek); err != nil {
		t.Errorf("with the right one: %v", err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestWalkEnds uses a certificate with many URLs of its issuer, none of which has it.
func TestWalkEnds(t *testing.T) {
	m := newMaker(t, "Intel")
	requests := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		w.Write(m.root.Raw) // never the right one
	}))
	defer server.Close()
	ek := ekKey(t).Public()
	leaf := m.issue(t, ek, intel, func(c *x509.Certificate) {
		for i := range 20 {
			c.IssuingCertificateURL = append(c.IssuingCertificateURL, server.URL+"/"+strings.Repeat("x", i))
		}
	})
	c := &ekcert.Client{Roots: ekcert.Roots{"INTC": m.roots()}, FetchIssuers: true, AllowPrivateHosts: true}
	_, err := c.Verify(t.Context(), parsed(t, leaf.Raw), ek)
	if !errors.Is(err, ekcert.ErrUntrusted) || requests != 10 || !strings.Contains(err.Error(), "over 10 fetches") {
		t.Errorf("%v after %d requests", err, requests)
	}
}

// TestCRLsEnd uses a CA that names more CRLs than are fetched.
func TestCRLsEnd(t *testing.T) {
	m := newMaker(t, "Intel")
	server := serve(t, http.NotFoundHandler())
	ek := ekKey(t).Public()
	leaf := m.issue(t, ek, intel, func(c *x509.Certificate) {
		for i := range 15 {
			c.CRLDistributionPoints = append(c.CRLDistributionPoints, server.URL+"/"+strings.Repeat("x", i))
		}
	})
	c := &ekcert.Client{Roots: ekcert.Roots{"INTC": m.roots()}, Intermediates: pool(m.ca), CheckRevocation: true, AllowPrivateHosts: true}
	report, err := c.Verify(t.Context(), parsed(t, leaf.Raw), ek)
	if err != nil {
		t.Fatal(err)
	}
	if report.Revocation != ekcert.RevocationUnknown || server.all != 10 || !strings.Contains(report.RevocationDetail, "over 10 fetches") {
		t.Errorf("%v after %d requests: %s", report.Revocation, server.all, report.RevocationDetail)
	}
}

// TestFetchedIsNotTrusted uses a service that offers its own root.
func TestFetchedIsNotTrusted(t *testing.T) {
	ek := ekKey(t).Public()
	liar, honest := open(t, "INTC", "aia-p7b"), open(t, "INTC")
	c := client(liar)
	c.Roots = ekcert.Roots{"INTC": honest.Roots()}
	if _, err := c.Verify(t.Context(), parsed(t, certify(t, liar, ek)), ek); !errors.Is(err, ekcert.ErrUntrusted) {
		t.Errorf("%v", err)
	}
}

// TestPins trusts a root by its digest, wherever the root comes from.
func TestPins(t *testing.T) {
	ek := ekKey(t).Public()
	m := open(t, "INTC", "aia-p7b") // with the root
	other := open(t, "INTC")
	pin := func(m *ekcerttest.Maker) [32]byte { return sha256.Sum256(m.Certificates()[1].Raw) }
	leaf, all := certify(t, m, ek), m.Certificates()
	for name, tt := range map[string]struct {
		pins    map[string][][32]byte
		issuers []*x509.Certificate
		offline bool
		want    error
	}{
		"fetched":              {pins: map[string][][32]byte{"INTC": {pin(other), pin(m)}}},
		"given":                {pins: map[string][][32]byte{"INTC": {pin(m)}}, issuers: all, offline: true},
		"for any maker":        {pins: map[string][][32]byte{"": {pin(m)}}},
		"for another maker":    {pins: map[string][][32]byte{"AMD": {pin(m)}}, want: ekcert.ErrUntrusted},
		"another root":         {pins: map[string][][32]byte{"INTC": {pin(other)}}, want: ekcert.ErrUntrusted},
		"another root is here": {pins: map[string][][32]byte{"INTC": {pin(other)}}, issuers: other.Certificates(), want: ekcert.ErrUntrusted},
		"root is nowhere":      {pins: map[string][][32]byte{"INTC": {pin(m)}}, issuers: all[:1], offline: true, want: ekcert.ErrUntrusted},
	} {
		c := client(m)
		c.Roots, c.Pins, c.FetchIssuers = nil, tt.pins, !tt.offline
		report, err := c.Verify(t.Context(), parsed(t, leaf, tt.issuers...), ek)
		if !errors.Is(err, tt.want) || err == nil && (len(report.Chain) != 3 || report.Revocation != ekcert.RevocationGood) {
			t.Errorf("%s: %v, %+v", name, err, report)
		}
	}
}

// Without a root or a pin for the maker, nothing is fetched: nothing could be trusted.
func TestNothingFetchedForNobody(t *testing.T) {
	ek := ekKey(t).Public()
	m := open(t, "INTC", "aia-p7b")
	cert := parsed(t, certify(t, m, ek))
	for name, pins := range map[string]map[string][][32]byte{"no pin": {"INTC": nil}, "another's pin": {"AMD": {{1}}}} {
		c := client(m)
		c.Roots, c.Pins = nil, pins
		c.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			t.Errorf("%s: %s is fetched", name, r.URL)
			return nil, io.ErrUnexpectedEOF
		})}
		if _, err := c.Verify(t.Context(), cert, ek); !errors.Is(err, ekcert.ErrUntrusted) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Each CA names where its issuer is, and all are fetched, one after the other.
func TestIssuersOfIssuers(t *testing.T) {
	files := make(map[string][]byte)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(files[r.URL.Path]) }))
	defer server.Close()
	rootKey, upperKey, key := newECKey(t, elliptic.P256()), newECKey(t, elliptic.P256()), newECKey(t, elliptic.P256())
	root := authority(t, "Intel root", rootKey, nil, rootKey)
	issue := func(name string, pub crypto.PublicKey, parent *x509.Certificate, by crypto.Signer, at string) *x509.Certificate {
		return sign(t, &x509.Certificate{
			SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(20, 0, 0),
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, IssuingCertificateURL: []string{server.URL + at},
		}, parent, pub, by)
	}
	upper := issue("Intel upper CA", upperKey.Public(), root, rootKey, "/root")
	m := &maker{root: root, ca: issue("Intel CA", key.Public(), upper, upperKey, "/upper"), key: key}
	files["/ca"], files["/upper"], files["/root"] = m.ca.Raw, upper.Raw, root.Raw
	ek := ekKey(t).Public()
	leaf := m.issue(t, ek, intel, func(c *x509.Certificate) { c.IssuingCertificateURL = []string{server.URL + "/ca"} })
	c := &ekcert.Client{Pins: map[string][][32]byte{"INTC": {sha256.Sum256(root.Raw)}}, FetchIssuers: true, AllowPrivateHosts: true}
	if report, err := c.Verify(t.Context(), parsed(t, leaf.Raw), ek); err != nil || len(report.Chain) != 4 {
		t.Errorf("%v, %+v", err, report)
	}
}

// TestMissingIssuerMayPass distinguishes a network that is down from an issuer that does
// not exist.
func TestMissingIssuerMayPass(t *testing.T) {
	ek := ekKey(t).Public()
	down := &ekcerttest.Maker{Vendor: "INTC"}
	server := httptest.NewServer(down)
	down.BaseURL = server.URL
	for name, tt := range map[string]struct {
		maker     *ekcerttest.Maker
		retryable bool
	}{
		"network is down": {down, true}, "not there": {open(t, "INTC", "aia-missing"), false}, "names none": {open(t, "INTC", "no-aia"), false},
	} {
		cert := parsed(t, certify(t, tt.maker, ek))
		server.Close()
		_, err := client(tt.maker).Verify(t.Context(), cert, ek)
		var e *ekcert.Error
		if !errors.As(err, &e) || !errors.Is(err, ekcert.ErrUntrusted) || e.Retryable() != tt.retryable {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRevocationMustBeKnown uses a maker whose CRLs cannot be had.
func TestRevocationMustBeKnown(t *testing.T) {
	ek := ekKey(t).Public()
	for quirk, want := range map[string]bool{"": true, "crl-pem": true, "crl-missing": false, "no-crl": false, "crl-stale": false} {
		var quirks []string
		if quirk != "" {
			quirks = []string{quirk}
		}
		m := open(t, "IFX", quirks...)
		c := client(m)
		c.CheckRevocation, c.RequireRevocation = false, true
		cert := parsed(t, certify(t, m, ek))
		report, err := c.Verify(t.Context(), cert, ek)
		if want {
			if err != nil || report.Revocation != ekcert.RevocationGood || len(report.Findings) != 0 {
				t.Errorf("%s: %v, %+v", quirk, err, report)
			}
			continue
		}
		var e *ekcert.Error
		if !errors.As(err, &e) || e.HRESULT() != 0x80092013 || e.Retryable() || e.Remedy() == "" {
			t.Errorf("%s: %v, %+v", quirk, err, report)
		}
		c.CheckRevocation, c.RequireRevocation = true, false
		report, err = c.Verify(t.Context(), cert, ek)
		if err != nil || len(report.Findings) != 1 {
			t.Errorf("%s: %v, %+v", quirk, err, report)
			continue
		}
		if f := report.Findings[0]; f.ID != "revocation-unknown" || f.Severity != ekcert.Warning || f.Detail != report.RevocationDetail {
			t.Errorf("%s: %+v", quirk, f)
		}
	}
}

// TestRevocationEndsWithContext cancels the context while a CRL is fetched.
func TestRevocationEndsWithContext(t *testing.T) {
	ek := ekKey(t).Public()
	m := open(t, "IFX")
	cert := parsed(t, certify(t, m, ek), m.Certificates()[0])
	ctx, cancel := context.WithCancel(t.Context())
	c := client(m)
	c.HTTPClient = &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
		cancel()
		return nil, errors.New("down")
	})}
	if report, err := c.Verify(ctx, cert, ek); !errors.Is(err, context.Canceled) {
		t.Errorf("%+v, %v", report, err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
