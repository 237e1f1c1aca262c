package ekcert_test

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/ekcert/ekcerttest"
)

// TestCertificateQuirks finds odd certificates in NV memory and verifies them, with
// issuers and CRLs from the network.
func TestCertificateQuirks(t *testing.T) {
	ek, ecKey := ekKey(t).Public(), newECKey(t, elliptic.P256()).Public()
	for quirk, tt := range map[string]struct {
		find, verify error
		findings     string // IDs with severity
		revocation   string // part of the detail; empty if good
		length       int    // of the chain; 0 means 3
		key          crypto.PublicKey
	}{
		"":                     {},
		"ecc-key-encipherment": {key: ecKey, findings: "key-usage info"},
		"signing-ek":           {verify: ekcert.ErrNotEK},
		"no-eku":               {findings: "no-eku info"},
		"three-rdns":           {},
		"printable-string":     {},
		"short-version":        {findings: "version-format info"},
		"lower-case-vendor":    {},
		"uncritical-alt-name":  {findings: "alt-name-not-critical info"},
		"subject-unknown":      {},
		"security-assertions":  {},
		"critical-unknown":     {verify: ekcert.ErrUntrusted},
		"critical-attributes":  {},
		"issued-by-root":       {length: 2},
		"no-expiry":            {},
		"expired":              {verify: ekcert.ErrExpired},
		"negative-serial":      {find: ekcert.ErrNegativeSerial},
		"padded-serial":        {findings: "serial-encoding info"},
		"oaep-key":             {find: ekcert.ErrMalformed},
		"sha1-signature":       {verify: ekcert.ErrUntrusted},
		"forged-signature":     {verify: ekcert.ErrUntrusted},
		"ca-eku":               {},
		"ca-unsorted-name":     {},

		"fill-ff": {}, "fill-00": {}, "fill-11": {}, "header-5": {}, "header-7": {}, "joined": {},

		"no-aia":      {verify: ekcert.ErrUntrusted},
		"aia-pem":     {},
		"aia-p7b":     {},
		"aia-spaces":  {},
		"aia-root":    {verify: ekcert.ErrUntrusted},
		"aia-missing": {verify: ekcert.ErrUntrusted},
		"aia-scheme":  {verify: ekcert.ErrUntrusted},

		"no-crl":      {revocation: "certificate 1 of the chain: names no CRL; certificate 2 of the chain: names no CRL"},
		"crl-pem":     {},
		"crl-missing": {revocation: "HTTP status 404"},
		"crl-stale":   {revocation: "out of date"},
		"crl-forged":  {revocation: "verification failure"},
		"crl-delta":   {revocation: "critical extension 2.5.29.27"},
		"crl-reasons": {revocation: "covers only some reasons"},
		"crl-ca-only": {revocation: "covers other kinds of certificates"},
		"crl-entry":   {revocation: "an entry with the critical extension"},
		// There is no certificate of the CRL's signer:
		"crl-indirect": {revocation: "no certificate of its issuer"},
	} {
		if tt.key == nil {
			tt.key = ek
		}
		var quirks []string
		if quirk != "" {
			quirks = []string{quirk}
		}
		m := open(t, "IFX", quirks...)
		if quirk == "short-version" {
			m.Vendor = "STM"
		}
		der := certify(t, m, tt.key)
		index := uint32(0x01C00002)
		if tt.key == ecKey {
			index = 0x01C0000A
		}
		c := client(m)
		cert, err := c.Find(t.Context(), &nvMemory{content: map[uint32][]byte{index: m.NV(der)}}, "", tt.key)
		if !errors.Is(err, tt.find) {
			t.Errorf("%s: find: %v", quirk, err)
		}
		if err != nil {
			continue
		}
		if !bytes.Equal(cert.Raw, der) {
			t.Errorf("%s: another certificate", quirk)
		}
		report, err := c.Verify(t.Context(), cert, tt.key)
		if !errors.Is(err, tt.verify) {
			t.Errorf("%s: verify: %v", quirk, err)
		}
		if err != nil {
			continue
		}
		var got []string
		for _, f := range report.Findings {
			got = append(got, f.ID+" "+f.Severity.String())
		}
		if tt.revocation != "" {
			tt.findings = "revocation-unknown warning"
		}
		if s := strings.Join(got, ", "); s != tt.findings {
			t.Errorf("%s: findings %q", quirk, s)
		}
		good := report.Revocation == ekcert.RevocationGood && report.RevocationDetail == ""
		unknown := report.Revocation == ekcert.RevocationUnknown && strings.Contains(report.RevocationDetail, tt.revocation)
		if tt.revocation == "" && !good || tt.revocation != "" && !unknown {
			t.Errorf("%s: revocation %v: %s", quirk, report.Revocation, report.RevocationDetail)
		}
		if want := max(tt.length, 2); len(report.Chain) != want && (tt.length != 0 || len(report.Chain) != 3) {
			t.Errorf("%s: chain of %d", quirk, len(report.Chain))
		}
	}
}

// TestEveryQuirkIsTested checks that the source of the test above and of
// TestServiceQuirks names every quirk.
func TestEveryQuirkIsTested(t *testing.T) {
	names, what := ekcerttest.Quirks()
	if len(names) < 40 || len(what) != len(names) || !slices.IsSorted(names) {
		t.Fatalf("%d quirks", len(names))
	}
	if _, err := (&ekcerttest.Maker{Quirks: []string{"no-such"}}).Certify(ekKey(t).Public()); err == nil {
		t.Error("an unknown quirk is accepted")
	}
	source := readSource(t, "quirks_test.go") + readSource(t, "sources_test.go")
	for _, name := range names {
		if !strings.Contains(source, `"`+name+`"`) {
			t.Errorf("quirk %s is not tested", name)
		}
	}
}

// TestFindingsAreClean verifies a certificate whose names a terminal would obey.
func TestFindingsAreClean(t *testing.T) {
	m := newMaker(t, "Intel")
	ek := ekKey(t).Public()
	leaf := m.issue(t, ek, "id:494E5443", func(c *x509.Certificate) {
		c.ExtraExtensions[0] = oneRDN(t, "id:494E5443", "PTT", "\x1b[2J")
	})
	c := &ekcert.Client{Roots: ekcert.Roots{"INTC": m.roots()}, Intermediates: pool(m.ca)}
	report, err := c.Verify(t.Context(), parsed(t, leaf.Raw), ek)
	if err != nil || len(report.Findings) != 1 || report.Findings[0].Detail != "\ufffd[2J" {
		t.Errorf("%+v, %v", report, err)
	}
}
