package ekcert_test

import (
	"bytes"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net/http/httptest"
	"testing"

	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/ekcert/ekcerttest"
)

// FuzzNVChain splits bytes that may be a chain in NV memory.
func FuzzNVChain(f *testing.F) {
	m := newMaker(f, "Intel")
	f.Add(join(m.ca.Raw, []byte{0, 0, 0xFF}, m.root.Raw, make([]byte, 40)))
	f.Add(join([]byte{0x30, 0x03, 0x02, 0x01, 0x05}, m.root.Raw))
	f.Add([]byte{0x44, 0x43, 0x01, 0x30})
	f.Fuzz(func(t *testing.T, b []byte) {
		certs := ekcert.SplitChain(b)
		size := 0
		for _, cert := range certs {
			size += len(cert.Raw)
			if !bytes.Contains(b, cert.Raw) {
				t.Error("a certificate that is not in the input")
			}
		}
		if len(certs) > 16 || size > len(b) {
			t.Errorf("%d certificates of %d bytes in %d bytes", len(certs), size, len(b))
		}
	})
}

// FuzzCRL looks for a certificate in bytes that may be a CRL.
func FuzzCRL(f *testing.F) {
	var cert *ekcert.Certificate
	for _, quirk := range []string{"crl-indirect", "crl-entry", "crl-reasons", "crl-delta", "crl-pem", "crl-ca-only"} {
		m := &ekcerttest.Maker{Quirks: []string{quirk}, BaseURL: "http://maker.test"}
		der, err := m.Certify(newECKey(f, elliptic.P256()).Public())
		if err != nil {
			f.Fatal(err)
		}
		if cert, err = ekcert.Parse(der); err != nil {
			f.Fatal(err)
		}
		m.Revoke(cert.SerialNumber)
		for _, name := range []string{"issuing", "indirect"} {
			w := httptest.NewRecorder()
			m.ServeHTTP(w, httptest.NewRequest("GET", "/crl/"+name+".crl", nil))
			f.Add(w.Body.Bytes())
		}
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		if err := ekcert.ParseCRL(der, cert.Certificate); err != nil && err.Error() == "" {
			t.Error("an error without words")
		}
	})
}

// FuzzCRLPoints reads bytes that may be CRL distribution points. All URLs that
// crypto/x509 finds must be found, in the same order. (It stops at a name that is not a
// URL.)
func FuzzCRLPoints(f *testing.F) {
	f.Add([]byte{0x30, 0x0E, 0x30, 0x0C, 0xA0, 0x0A, 0xA0, 0x08, 0x86, 0x06, 'h', 't', 't', 'p', ':', '/'})
	f.Add([]byte{0x30, 0x08, 0x30, 0x06, 0xA2, 0x04, 0xA4, 0x02, 0x30, 0x00})
	f.Add([]byte{0x30, 0x06, 0x30, 0x04, 0x81, 0x02, 0x01, 0x40})
	m := newMaker(f, "Intel")
	key := newECKey(f, elliptic.P256())
	id := asn1.ObjectIdentifier{2, 5, 29, 31}
	f.Fuzz(func(t *testing.T, value []byte) {
		cert := &x509.Certificate{Extensions: []pkix.Extension{{Id: id, Value: value}}}
		urls, err := ekcert.CRLPoints(cert)
		tmpl := profile(t, intel)
		tmpl.ExtraExtensions = append(tmpl.ExtraExtensions, pkix.Extension{Id: id, Value: value})
		der, failed := x509.CreateCertificate(rand.Reader, tmpl, m.ca, key.Public(), m.key)
		if failed != nil {
			return
		}
		other, failed := x509.ParseCertificate(der)
		if err != nil || failed != nil {
			return
		}
		if len(urls) < 16 && !within(other.CRLDistributionPoints, urls) {
			t.Errorf("%q, and Go finds %q", urls, other.CRLDistributionPoints)
		}
	})
}

// within reports whether whole has all elements of part, in the same order.
func within(part, whole []string) bool {
	for _, s := range whole {
		if len(part) > 0 && part[0] == s {
			part = part[1:]
		}
	}
	return len(part) == 0
}
