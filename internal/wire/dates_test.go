package wire_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/internal/wire"
)

// A dated certificate of a chain.
type dated struct {
	name        string
	from, until int // years from now
}

// chain returns certificates of which each has issued the one before it; the last
// is a root.
func chain(t *testing.T, now time.Time, of ...dated) []*x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	certs := make([]*x509.Certificate, len(of))
	for i := len(of) - 1; i >= 0; i-- {
		c := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{CommonName: of[i].name},
			NotBefore: now.AddDate(of[i].from, 0, 0), NotAfter: now.AddDate(of[i].until, 0, 0),
			IsCA: i > 0, BasicConstraintsValid: true, DNSNames: []string{"mdm.test"},
		}
		parent := c
		if i+1 < len(of) {
			parent = certs[i+1]
		}
		der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		if certs[i], err = x509.ParseCertificate(der); err != nil {
			t.Fatal(err)
		}
	}
	return certs
}

// The certificate at fault is named, with its dates and who can replace it.
func TestDated(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name  string
		chain []dated
		at    int    // index of the certificate at fault; -1 for none
		says  string // of the error
		cure  string
	}{
		{"root ended", []dated{{"leaf", -1, 1}, {"mid", -9, 9}, {"root", -20, -2}}, 2, `the root certificate "CN=root" has expired: it is valid from 2006-11-28 12:00 UTC to 2024-11-28 12:00 UTC`, "the operator must replace the root certificate."},
		{"CA ended", []dated{{"leaf", -1, 1}, {"mid", -9, -1}, {"root", -20, 2}}, 1, `the CA certificate "CN=mid" has expired`, "Check the device's clock. If it is right, the operator must replace the CA certificate."},
		{"both ended", []dated{{"leaf", -1, 1}, {"mid", -9, -1}, {"root", -20, -2}}, 1, `"CN=mid"`, "replace"},
		{"leaf ended", []dated{{"leaf", -3, -1}, {"mid", -9, 9}, {"root", -20, 9}}, 0, `the certificate "CN=leaf" has expired`, "replace"},
		{"root to come", []dated{{"leaf", -1, 1}, {"root", 1, 2}}, 1, `the root certificate "CN=root" is not valid yet`, "Check the device's clock. If it is right, the operator"},
		{"none", []dated{{"leaf", -1, 1}, {"root", -2, 2}}, -1, "unknown", ""},
	} {
		certs := chain(t, now, c.chain...)
		roots, between := x509.NewCertPool(), x509.NewCertPool()
		if c.at >= 0 {
			roots.AddCert(certs[len(certs)-1])
		}
		for _, m := range certs[1 : len(certs)-1] {
			between.AddCert(m)
		}
		_, err := certs[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now})
		err = wire.Dated(err, certs[0], certs, now, "the operator")
		date := wire.DateOf(err)
		if err == nil || (date == nil) != (c.at < 0) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if date == nil {
			continue
		}
		var invalid x509.CertificateInvalidError
		if !date.Cert.Equal(certs[c.at]) || !strings.Contains(date.Remedy(), c.cure) || !errors.As(err, &invalid) || invalid.Reason != x509.Expired || errors.Unwrap(date) == nil {
			t.Errorf("%s: %v; %s", c.name, err, date.Remedy())
		}
	}
	if wire.Dated(nil, nil, nil, now, "") != nil || wire.DateOf(errors.New("x")) != nil {
		t.Error("something is wrong with nothing")
	}
	// Certificates that claim to have issued one another are not followed for ever.
	certs := chain(t, now, dated{"a", -1, 1}, dated{"a", -1, 1})
	if err := errors.New("x"); wire.Dated(err, certs[0], certs, now, "") != err {
		t.Error("a date is blamed")
	}
}

// A server whose certificate has expired is named by the error of the request.
func TestDatedTLS(t *testing.T) {
	h := httptest.NewTLSServer(http.NotFoundHandler())
	defer h.Close()
	certs := chain(t, time.Now(), dated{"mdm.test", -3, -1}, dated{"root", -9, 9})
	for i := range h.TLS.Certificates {
		h.TLS.Certificates[i].Certificate = [][]byte{certs[0].Raw, certs[1].Raw}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = wire.Do(h.Client(), req, 10)
	if date := wire.DateOf(err); date == nil || !date.Cert.Equal(certs[0]) || !strings.Contains(err.Error(), `"CN=mdm.test" has expired`) {
		t.Errorf("%v", err)
	}
}

// A certificate without a subject is named by its serial number and its issuer.
func TestDateWithoutSubject(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(42), Issuer: pkix.Name{CommonName: "AIK CA"}, RawIssuer: []byte{1}, RawSubject: []byte{2},
		NotBefore: now.AddDate(0, 0, 1), NotAfter: now.AddDate(1, 0, 0),
	}
	err := wire.Dated(errors.New("x"), cert, nil, now, "the operator of the CA")
	const name = `the certificate with the serial number 42 of "CN=AIK CA"`
	if date := wire.DateOf(err); date == nil || !strings.HasPrefix(err.Error(), name+" is not valid yet") || strings.Contains(date.Remedy(), "42") || !strings.Contains(date.Remedy(), "must correct the certificate.") {
		t.Errorf("%v", err)
	}
}
