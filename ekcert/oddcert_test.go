package ekcert_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/ekcert"
)

// specification returns subject directory attributes that name a family of TPMs.
func specification(t testing.TB, family string) pkix.Extension {
	t.Helper()
	type spec struct {
		Family          string `asn1:"utf8"`
		Level, Revision int
	}
	value, err := asn1.Marshal([]any{struct {
		ID     asn1.ObjectIdentifier
		Values []spec `asn1:"set"`
	}{asn1.ObjectIdentifier{2, 23, 133, 2, 16}, []spec{{family, 2, 116}}}})
	if err != nil {
		t.Fatal(err)
	}
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 9}, Value: value}
}

func tpm12(t testing.TB) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, specification(t, "1.2"))
	}
}

// attributeCertificate returns what looks like a platform certificate.
func attributeCertificate(t testing.TB) []byte {
	t.Helper()
	der, err := asn1.Marshal(struct {
		Info struct {
			Version int
			Holder  struct {
				Base asn1.RawValue `asn1:"tag:0"`
			}
			Issuer    asn1.RawValue
			Algorithm pkix.AlgorithmIdentifier
			Serial    int
		}
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{
		Info: struct {
			Version int
			Holder  struct {
				Base asn1.RawValue `asn1:"tag:0"`
			}
			Issuer    asn1.RawValue
			Algorithm pkix.AlgorithmIdentifier
			Serial    int
		}{1, struct {
			Base asn1.RawValue `asn1:"tag:0"`
		}{asn1.RawValue{Class: 2, Tag: 0, IsCompound: true, Bytes: []byte{0x02, 0x01, 0x05}}}, asn1.RawValue{Class: 2, Tag: 0, IsCompound: true}, pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 3}}, 7},
		Algorithm: pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 3}}, Signature: asn1.BitString{Bytes: []byte{1}, BitLength: 8},
	})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// TestPlainWords reads what people take for the certificate of a TPM 2.0's endorsement
// key, and looks at what the error says and advises.
func TestPlainWords(t *testing.T) {
	m := newMaker(t, "Intel")
	ek, other := ekKey(t).Public(), newECKey(t, elliptic.P256()).Public()
	old := m.issue(t, other, intel, tpm12(t)).Raw
	platform := attributeCertificate(t)
	parse := func(b []byte) error { _, err := ekcert.Parse(b); return err }
	find := func(b []byte) error {
		_, err := (&ekcert.Client{Services: nobody}).Find(t.Context(), &nvMemory{content: map[uint32][]byte{0x01C00002: b}}, "", ek)
		return err
	}
	verify := func(cert *x509.Certificate, key crypto.PublicKey) error {
		c := &ekcert.Client{Roots: ekcert.Roots{"INTC": m.roots()}}
		_, err := c.Verify(t.Context(), parsed(t, cert.Raw), key)
		return err
	}
	late := func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Date(2001, 2, 3, 4, 5, 0, 0, time.UTC), time.Date(2002, 2, 3, 4, 5, 0, 0, time.UTC)
	}
	for name, tt := range map[string]struct {
		err          error
		want         error
		says, advice string
	}{
		"TPM 1.2":             {find(old), ekcert.ErrMismatch, "certificate of a TPM 1.2", "Switch the TPM to version 2.0"},
		"TPM 1.2 in Verify":   {verify(m.issue(t, other, intel, tpm12(t)), ek), ekcert.ErrMismatch, "certificate of a TPM 1.2", "Switch"},
		"platform":            {parse(platform), ekcert.ErrMalformed, "attribute certificate, such as a platform certificate", "describes the machine"},
		"platform in NV":      {find(platform), ekcert.ErrMalformed, "nv:0x01C00002: certificate cannot be read: it is an attribute certificate", "describes"},
		"platform in PEM":     {parse(pem.EncodeToMemory(&pem.Block{Type: "ATTRIBUTE CERTIFICATE", Bytes: platform})), ekcert.ErrMalformed, "attribute certificate", "describes"},
		"blank":               {find(make([]byte, 700)), ekcert.ErrNotFound, "all 700 bytes are 00", "no certificate"},
		"of another key":      {verify(m.issue(t, other, intel), ek), ekcert.ErrMismatch, "for another key", "another key"},
		"unknown CA":          {verify(m.issue(t, ek, intel), ek), ekcert.ErrUntrusted, `the CA "CN=Intel CA"`, "Add the root"},
		"unknown CA's maker":  {verify(m.issue(t, ek, intel), ek), ekcert.ErrUntrusted, "roots for INTC", "Add the root"},
		"no root of the kind": {verify(m.issue(t, ek, amd), ek), ekcert.ErrUntrusted, "no root is configured for AMD", "Add the root"},
		"expired": {
			func() error {
				c := &ekcert.Client{Roots: ekcert.Roots{"INTC": m.roots()}, Intermediates: pool(m.ca)}
				_, err := c.Verify(t.Context(), parsed(t, m.issue(t, ek, intel, late).Raw), ek)
				return err
			}(), ekcert.ErrExpired,
			"the certificate of the endorsement key is valid from 2001-02-03 04:05 UTC to 2002-02-03 04:05 UTC", "clock",
		},
	} {
		var e *ekcert.Error
		if !errors.Is(tt.err, tt.want) || !errors.As(tt.err, &e) {
			t.Errorf("%s: %v", name, tt.err)
			continue
		}
		if !strings.Contains(e.Error(), tt.says) || !strings.Contains(e.Remedy(), tt.advice) || e.Retryable() {
			t.Errorf("%s: %v\n%s", name, e, e.Remedy())
		}
	}
}

// TestOldCertificateIsReported verifies a certificate for TPM 1.2 that is for the key,
// and one with other data behind it.
func TestOldCertificateIsReported(t *testing.T) {
	m := newMaker(t, "Intel")
	ek := ekKey(t).Public()
	c := &ekcert.Client{Roots: ekcert.Roots{"INTC": m.roots()}, Intermediates: pool(m.ca)}
	for want, der := range map[string][]byte{
		"tpm-1.2":       m.issue(t, ek, intel, tpm12(t)).Raw,
		"trailing-data": join(m.issue(t, ek, intel).Raw, []byte("more")),
	} {
		report, err := c.Verify(t.Context(), parsed(t, der), ek)
		if err != nil || len(report.Findings) != 1 || report.Findings[0].ID != want || report.Findings[0].Severity != ekcert.Warning {
			t.Errorf("%s: %+v, %v", want, report, err)
		}
	}
}

// TestEveryPlaceIsNamed fills the places where a certificate may be, and looks at what
// the error says of each.
func TestEveryPlaceIsNamed(t *testing.T) {
	m := newMaker(t, "Intel")
	ek := ekKey(t).Public()
	foreign := m.issue(t, newECKey(t, elliptic.P256()).Public(), intel).Raw
	none := func(context.Context) ([][]byte, error) { return nil, nil } // this machine may keep some
	down := errors.New("HTTP status 503")
	failing := map[string]ekcert.Fetcher{"INTC": asker(func() ([]byte, error) {
		return nil, &ekcert.Error{Op: "fetch", HTTPStatus: 503, Err: down}
	})}
	nv := &nvMemory{content: map[uint32][]byte{0x01C00002: foreign, 0x01C00012: foreign[:80]}}
	_, err := (&ekcert.Client{Services: nobody, SystemStore: none}).Find(t.Context(), nv, "INTC", ek)
	if !errors.Is(err, ekcert.ErrMismatch) || !errors.Is(err, ekcert.ErrMalformed) ||
		!strings.Contains(err.Error(), "nv:0x01C00002: certificate is for another key (nv:0x01C00012: certificate cannot be read: certificate is truncated") {
		t.Error(err)
	}
	_, err = (&ekcert.Client{Services: failing, SystemStore: none}).Find(t.Context(), nv, "INTC", ek)
	var e *ekcert.Error
	if !errors.Is(err, down) || errors.Is(err, ekcert.ErrMismatch) || !errors.As(err, &e) || !e.Retryable() || e.Origin != "service" ||
		!strings.Contains(err.Error(), "service: HTTP status 503 (nv:0x01C00002: certificate is for another key; nv:0x01C00012:") {
		t.Error(err)
	}
	nv = &nvMemory{content: map[uint32][]byte{0x01C00012: make([]byte, 9)}}
	_, err = (&ekcert.Client{Services: failing, SystemStore: none}).Find(t.Context(), nv, "INTC", ek)
	if err == nil || !strings.Contains(err.Error(), "503 (nv:0x01C00002: none; nv:0x01C00012: certificate cannot be read: it is blank: all 9 bytes are 00)") {
		t.Error(err)
	}
}

// TestNoMaker pins the root of a CA whose certificates name no maker.
func TestNoMaker(t *testing.T) {
	m := newMaker(t, "Cloud")
	ek := ekKey(t).Public()
	nameless := m.issue(t, ek, intel, func(c *x509.Certificate) { c.ExtraExtensions = nil })
	pins := func(maker string) map[string][][32]byte {
		return map[string][][32]byte{maker: {sha256.Sum256(m.root.Raw)}}
	}
	for name, tt := range map[string]struct {
		cert *x509.Certificate
		pins map[string][][32]byte
		want error
	}{
		"pinned for its cloud":     {nameless, pins("GOOG"), nil},
		"pinned for all":           {nameless, pins(""), nil},
		"another root is pinned":   {nameless, map[string][][32]byte{"GOOG": {{1}}}, ekcert.ErrUntrusted},
		"nothing is pinned":        {nameless, nil, ekcert.ErrUntrusted},
		"it names another maker":   {m.issue(t, ek, intel), pins("GOOG"), ekcert.ErrUntrusted},
		"roots of a maker are not": {nameless, nil, ekcert.ErrUntrusted},
	} {
		c := &ekcert.Client{Roots: ekcert.Roots{"INTC": m.roots()}, Pins: tt.pins}
		if tt.want != nil && tt.pins != nil {
			c.Roots = nil
		}
		report, err := c.Verify(t.Context(), parsed(t, tt.cert.Raw, m.ca, m.root), ek)
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && (len(report.Findings) != 1 || report.Findings[0].ID != "no-manufacturer") {
			t.Errorf("%s: %+v", name, report.Findings)
		}
	}
}

// TestMakerByIssuer verifies certificates that name no maker or another number, under the
// roots of the maker that they are of.
func TestMakerByIssuer(t *testing.T) {
	key := newECKey(t, elliptic.P256())
	cloud := func(organization string) (*maker, *x509.CertPool) {
		tmpl := authority(t, "EK/AK CA", key, nil, key)
		tmpl.Subject.Organization, tmpl.RawSubject = []string{organization}, nil
		root := sign(t, tmpl, tmpl, key.Public(), key)
		return &maker{root: root, ca: root, key: key}, pool(root)
	}
	ek := ekKey(t).Public()
	nameless := func(c *x509.Certificate) { c.ExtraExtensions = nil }
	for name, tt := range map[string]struct {
		organization, vendor, roots string
		edit                        func(*x509.Certificate)
		want                        error
	}{
		"Google's cloud":               {"Google LLC", "", "GOOG", nameless, nil},
		"another cloud":                {"Other LLC", "", "GOOG", nameless, ekcert.ErrUntrusted},
		"Google's roots for another":   {"Google LLC", intel, "GOOG", func(*x509.Certificate) {}, ekcert.ErrUntrusted},
		"Google's name, Intel's roots": {"Google LLC", "", "INTC", nameless, ekcert.ErrUntrusted},
		"Pluton":                       {"Microsoft Corporation", "id:000a0005", "MSFT", func(*x509.Certificate) {}, nil},
		"another number":               {"Microsoft Corporation", "id:000a0006", "MSFT", func(*x509.Certificate) {}, ekcert.ErrUntrusted},
	} {
		m, roots := cloud(tt.organization)
		c := &ekcert.Client{Roots: ekcert.Roots{tt.roots: roots}}
		cert := parsed(t, m.issue(t, ek, tt.vendor, tt.edit).Raw)
		if _, err := c.Verify(t.Context(), cert, ek); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
		if tt.want == nil && cert.Vendor() != tt.roots {
			t.Errorf("%s: maker %q", name, cert.Vendor())
		}
	}
}

// A serial number that is no DER excuses nothing else.
func TestPaddedSerialAlone(t *testing.T) {
	m := open(t, "INTC", "padded-serial")
	der := certify(t, m, ekKey(t).Public())
	for name, tt := range map[string]struct {
		der  []byte
		want error
	}{"alone": {der, nil}, "bytes behind it": {append(bytes.Clone(der), 5, 0), ekcert.ErrMalformed}} {
		if _, err := ekcert.Parse(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: tt.der})); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestIssuerOf has CAs of the same name, and one of the same key.
func TestIssuerOf(t *testing.T) {
	m, other := newMaker(t, "Intel"), newMaker(t, "Intel")
	leaf := m.issue(t, ekKey(t).Public(), intel)
	renamed := authority(t, "Another CA", m.key, nil, m.key)
	if got := ekcert.IssuerOf(leaf, []*x509.Certificate{other.ca, renamed, m.ca}); got != m.ca {
		t.Errorf("%v", got)
	}
	if got := ekcert.IssuerOf(leaf, []*x509.Certificate{other.ca, renamed}); got != nil {
		t.Errorf("%v", got)
	}
}

// TestOtherRefusals verifies certificates that crypto/x509 refuses for other reasons
// than their validity, and with SHA-1.
func TestOtherRefusals(t *testing.T) {
	ek := ekKey(t).Public()
	key := newECKey(t, elliptic.P256())
	tmpl := authority(t, "Intel root", key, nil, key)
	tmpl.MaxPathLen, tmpl.MaxPathLenZero = 0, true
	root := sign(t, tmpl, tmpl, key.Public(), key)
	m := &maker{root: root, ca: authority(t, "Intel CA", key, root, key), key: key}
	c := &ekcert.Client{Roots: ekcert.Roots{"INTC": pool(root)}, Intermediates: pool(m.ca)}
	_, err := c.Verify(t.Context(), parsed(t, m.issue(t, ek, intel).Raw), ek)
	if !errors.Is(err, ekcert.ErrUntrusted) || errors.Is(err, ekcert.ErrExpired) {
		t.Errorf("too many CAs: %v", err)
	}
	old := open(t, "IFX", "sha1-signature")
	_, err = client(old).Verify(t.Context(), parsed(t, certify(t, old, ek)), ek)
	var e *ekcert.Error
	if !errors.As(err, &e) || !strings.Contains(e.Error(), "it is signed with SHA-1") || strings.Contains(e.Error(), "TPM 1.2") || !strings.Contains(e.Remedy(), "newer signature") {
		t.Errorf("SHA-1: %v", err)
	}
}
