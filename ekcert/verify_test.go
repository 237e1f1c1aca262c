package ekcert_test

import (
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/internal/wcce"
)

func TestVerify(t *testing.T) {
	in, other := newMaker(t, "Intel"), newMaker(t, "AMD")
	ek := ekKey(t).Public()
	good := in.issue(t, ek, intel)
	scoped := ekcert.Roots{"INTC": in.roots(), "AMD": other.roots()}
	unknown := pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}
	with := func(e ...pkix.Extension) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.ExtraExtensions = append(c.ExtraExtensions, e...) }
	}
	badName := pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Critical: true, Value: altName(t,
		pkix.RelativeDistinguishedNameSET{atv(1, "id:494E5443")},
		pkix.RelativeDistinguishedNameSET{atv(1, "id:414D4400")}).Value}

	for name, tt := range map[string]struct {
		cert  *x509.Certificate
		roots ekcert.Roots
		now   time.Time
		ek    any
		want  error
		code  uint32
	}{
		"good":                      {cert: good, roots: scoped},
		"trusted for any maker":     {cert: good, roots: ekcert.Roots{"": in.roots()}},
		"second pool trusts it":     {cert: good, roots: ekcert.Roots{"INTC": other.roots(), "": in.roots()}},
		"no roots":                  {cert: good, want: ekcert.ErrUntrusted, code: 0x800B0109},
		"foreign root":              {cert: good, roots: ekcert.Roots{"INTC": other.roots()}, want: ekcert.ErrUntrusted, code: 0x800B0109},
		"root of another maker":     {cert: good, roots: ekcert.Roots{"AMD": in.roots()}, want: ekcert.ErrUntrusted, code: 0x800B0109},
		"CA vouches for another":    {cert: in.issue(t, ek, amd), roots: scoped, want: ekcert.ErrUntrusted, code: 0x800B0109},
		"names no maker":            {cert: in.issue(t, ek, intel, func(c *x509.Certificate) { c.ExtraExtensions = nil }), roots: scoped, want: ekcert.ErrUntrusted, code: 0x800B0109},
		"names two makers":          {cert: in.issue(t, ek, intel, func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{badName} }), roots: ekcert.Roots{"": in.roots()}, want: ekcert.ErrMalformed, code: 0x8007000D},
		"unknown and critical":      {cert: in.issue(t, ek, intel, with(unknown)), roots: scoped, want: ekcert.ErrUntrusted, code: 0x800B0109},
		"of another key":            {cert: good, roots: scoped, ek: newECKey(t, elliptic.P256()).Public(), want: ekcert.ErrMismatch, code: 0x8007000D},
		"no key to compare with":    {cert: good, roots: scoped, ek: []byte(nil), want: ekcert.ErrMismatch, code: 0x8007000D},
		"expired":                   {cert: good, roots: scoped, now: time.Now().AddDate(11, 0, 0), want: ekcert.ErrExpired, code: 0x800B0101},
		"not yet valid":             {cert: good, roots: scoped, now: time.Now().AddDate(0, 0, -1), want: ekcert.ErrExpired, code: 0x800B0101},
		"expired, foreign root too": {cert: good, roots: ekcert.Roots{"": other.roots(), "INTC": in.roots()}, now: time.Now().AddDate(11, 0, 0), want: ekcert.ErrExpired, code: 0x800B0101},
		"without expiry": {cert: in.issue(t, ek, intel, func(c *x509.Certificate) {
			c.NotAfter = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
		}), roots: scoped},
	} {
		cert, err := ekcert.Parse(tt.cert.Raw)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		key := tt.ek
		if key == nil {
			key = ek
		}
		c := &ekcert.Client{Roots: tt.roots, Intermediates: pool(in.ca, other.ca)}
		if !tt.now.IsZero() {
			c.Now = func() time.Time { return tt.now }
		}
		unhandled := len(cert.UnhandledCriticalExtensions)
		report, err := c.Verify(t.Context(), cert, key)
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
			continue
		}
		if len(cert.UnhandledCriticalExtensions) != unhandled {
			t.Errorf("%s: the caller's certificate was changed", name)
		}
		if tt.want == nil {
			if len(report.Chain) != 3 || !report.Chain[0].Equal(tt.cert) || !report.Chain[2].Equal(in.root) || len(report.Findings) != 0 {
				t.Errorf("%s: %+v", name, report)
			}
			continue
		}
		var e *ekcert.Error
		if !errors.As(err, &e) || e.Op != "verify" || e.HRESULT() != tt.code || e.Retryable() || e.Remedy() == "" {
			t.Errorf("%s: %v, %#x", name, err, e.HRESULT())
		}
	}
}

func TestVerifyUsesSignedFields(t *testing.T) {
	m := newMaker(t, "Intel")
	cert, err := ekcert.Parse(m.issue(t, ekKey(t).Public(), intel).Raw)
	if err != nil {
		t.Fatal(err)
	}
	cert.Manufacturer = amd // a value that the caller sets must not count
	c := &ekcert.Client{Roots: ekcert.Roots{"AMD": m.roots()}, Intermediates: pool(m.ca)}
	if _, err := c.Verify(t.Context(), cert, ekKey(t).Public()); !errors.Is(err, ekcert.ErrUntrusted) {
		t.Errorf("got %v", err)
	}
}

// TestVerifyRefusesOtherKinds uses certificates of an endorsement key, by the maker's own
// CA, that say they are for something else.
func TestVerifyRefusesOtherKinds(t *testing.T) {
	m := newMaker(t, "Intel")
	ek := ekKey(t).Public()
	for name, edit := range map[string]func(*x509.Certificate){
		"attestation key": func(c *x509.Certificate) {
			c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{wcce.OIDKeyPurposeAIK}
			c.KeyUsage = x509.KeyUsageDigitalSignature
		},
		"attestation key that opens": func(c *x509.Certificate) { c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{wcce.OIDKeyPurposeAIK} },
		"server and code": func(c *x509.Certificate) {
			c.UnknownExtKeyUsage, c.ExtKeyUsage = nil, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageCodeSigning}
		},
		"CA":                       func(c *x509.Certificate) { c.IsCA = true },
		"Google's signing EK":      func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature },
		"signs, does not say what": func(c *x509.Certificate) { c.UnknownExtKeyUsage, c.KeyUsage = nil, x509.KeyUsageDigitalSignature },
	} {
		c := &ekcert.Client{Roots: ekcert.Roots{"INTC": m.roots()}, Intermediates: pool(m.ca)}
		_, err := c.Verify(t.Context(), parsed(t, m.issue(t, ek, intel, edit).Raw), ek)
		var e *ekcert.Error
		if !errors.Is(err, ekcert.ErrNotEK) || !errors.As(err, &e) || e.HRESULT() != 0x800B0110 || e.Retryable() || e.Remedy() == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestIssuersForOtherPurposes uses CAs that are limited to purposes.
func TestIssuersForOtherPurposes(t *testing.T) {
	rootKey, caKey := newECKey(t, elliptic.P256()), newECKey(t, elliptic.P256())
	root := authority(t, "root", rootKey, nil, rootKey)
	ek := ekKey(t).Public()
	for name, tt := range map[string]struct {
		purposes []asn1.ObjectIdentifier
		known    []x509.ExtKeyUsage
		want     error
	}{
		"none said":        {nil, nil, nil},
		"endorsement keys": {[]asn1.ObjectIdentifier{{1, 3, 6, 1, 4, 1, 311, 122, 2}, wcce.OIDKeyPurposeEK}, nil, nil}, // as AMD's Pluton
		"any":              {nil, []x509.ExtKeyUsage{x509.ExtKeyUsageAny}, nil},
		"attestation keys": {[]asn1.ObjectIdentifier{wcce.OIDKeyPurposeAIK}, nil, ekcert.ErrUntrusted},
		"servers":          {nil, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, ekcert.ErrUntrusted},
	} {
		tmpl := *authority(t, name, caKey, nil, caKey)
		tmpl.UnknownExtKeyUsage, tmpl.ExtKeyUsage = tt.purposes, tt.known
		m := &maker{root: root, ca: sign(t, &tmpl, root, caKey.Public(), rootKey), key: caKey}
		c := &ekcert.Client{Roots: ekcert.Roots{"INTC": m.roots()}, Intermediates: pool(m.ca), KnownCAs: new(ekcert.KnownCAs)}
		cert := parsed(t, m.issue(t, ek, intel).Raw)
		for range 2 { // Known or not
			if _, err := c.Verify(t.Context(), cert, ek); !errors.Is(err, tt.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestVerifyNothing leaves out the certificate or the key.
func TestVerifyNothing(t *testing.T) {
	m := newMaker(t, "Intel")
	ek := ekKey(t).Public()
	c := &ekcert.Client{Roots: ekcert.Roots{"INTC": m.roots()}}
	for name, cert := range map[string]*ekcert.Certificate{"nil": nil, "empty": {}} {
		if _, err := c.Verify(t.Context(), cert, ek); !errors.Is(err, ekcert.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.Verify(t.Context(), parsed(t, m.issue(t, ek, intel).Raw, nil, m.ca), ek); err != nil {
		t.Errorf("with a gap among the issuers: %v", err)
	}
}

// TestFindings checks the deviations that real certificates have.
func TestFindings(t *testing.T) {
	m := newMaker(t, "Intel")
	rsaKey, ecKey := ekKey(t).Public(), newECKey(t, elliptic.P256()).Public()
	named := func(e pkix.Extension) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{e} }
	}
	uncritical := oneRDN(t, intel, "PTT", "id:00070055")
	uncritical.Critical = false
	badAttributes := pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 9}, Value: []byte{0x30, 0x01, 0x00}}
	for name, tt := range map[string]struct {
		key  any
		edit func(*x509.Certificate)
		want []string
	}{
		"by the profile":          {rsaKey, func(*x509.Certificate) {}, nil},
		"ECC by the profile":      {ecKey, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement }, nil},
		"Intel Comet Lake ECC":    {ecKey, func(*x509.Certificate) {}, []string{"key-usage"}},
		"RSA for key agreement":   {rsaKey, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement }, []string{"key-usage"}},
		"signs too, as swtpm may": {rsaKey, func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageDigitalSignature }, nil},
		"another purpose too":     {rsaKey, func(c *x509.Certificate) { c.UnknownExtKeyUsage = append(c.UnknownExtKeyUsage, wcce.OIDKeyPurposeAIK) }, nil},
		"any purpose": {rsaKey, func(c *x509.Certificate) {
			c.UnknownExtKeyUsage, c.ExtKeyUsage = nil, []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
		}, []string{"no-eku"}},
		"Infineon SLB9670":        {rsaKey, named(oneRDN(t, "id:49465800", "SLB9670", "id:0728")), []string{"version-format", "firmware-advisory"}},
		"swtpm":                   {rsaKey, named(oneRDN(t, "id:00001014", "swtpm", "id:20191023")), []string{"unknown-manufacturer"}},
		"lower case":              {rsaKey, named(oneRDN(t, "id:49424d00", "NVChip", "id:00000001")), nil},
		"name instead of an ID":   {rsaKey, named(oneRDN(t, "INTC", "PTT", "id:00000001")), []string{"manufacturer-format"}},
		"no version":              {rsaKey, named(altName(t, pkix.RelativeDistinguishedNameSET{atv(1, intel), atv(2, "x")})), []string{"no-manufacturer"}},
		"name is not critical":    {rsaKey, named(uncritical), []string{"alt-name-not-critical"}},
		"no EKU":                  {rsaKey, func(c *x509.Certificate) { c.UnknownExtKeyUsage = nil }, []string{"no-eku"}},
		"no constraints, no uses": {rsaKey, func(c *x509.Certificate) { c.BasicConstraintsValid, c.KeyUsage = false, 0 }, []string{"no-basic-constraints", "key-usage"}},
		"odd attributes": {rsaKey, func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, badAttributes)
		}, []string{"malformed-extension"}},
	} {
		cert, err := ekcert.Parse(m.issue(t, tt.key, intel, tt.edit).Raw)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		c := &ekcert.Client{Roots: ekcert.Roots{"": m.roots()}, Intermediates: pool(m.ca)}
		report, err := c.Verify(t.Context(), cert, tt.key)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, f := range report.Findings {
			got = append(got, f.ID)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
