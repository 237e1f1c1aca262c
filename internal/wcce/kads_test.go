package wcce_test

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"testing"

	"github.com/whiteglove/whiteglove/internal/wcce"
)

func TestKADS(t *testing.T) {
	want := wcce.KADS{Attest: []byte{1, 2}, Signature: []byte{3}, KeyBlob: []byte{4, 5, 6}}
	raw := want.Marshal()
	if known := unhex(t, "4b414453"+"02000000"+"18000000"+"020000000100000003000000"+"010203040506"); !bytes.Equal(raw, known) {
		t.Errorf("got %x", raw)
	}
	got, err := wcce.ParseKADS(raw)
	if err != nil || got.Platform != 2 || !bytes.Equal(got.Attest, want.Attest) ||
		!bytes.Equal(got.Signature, want.Signature) || !bytes.Equal(got.KeyBlob, want.KeyBlob) {
		t.Errorf("got %+v, %v", got, err)
	}
	for name, change := range map[string]func([]byte) []byte{
		"short":      func(b []byte) []byte { return b[:23] },
		"magic":      func(b []byte) []byte { b[3] = 'T'; return b }, // KADT
		"a KAST":     func(b []byte) []byte { return (&wcce.KAST{KeyAttestation: b}).Marshal() },
		"platform":   func(b []byte) []byte { b[4] = 3; return b },
		"header":     func(b []byte) []byte { b[8]++; return b },
		"length":     func(b []byte) []byte { b[12]++; return b },
		"big length": func(b []byte) []byte { b[15] = 0xff; return b },
		"trailing":   func(b []byte) []byte { return append(b, 0) },
		"no attest":  func([]byte) []byte { return (&wcce.KADS{Signature: []byte{1}, KeyBlob: []byte{1}}).Marshal() },
		"unsigned":   func([]byte) []byte { return (&wcce.KADS{Attest: []byte{1}, KeyBlob: []byte{1}}).Marshal() },
		"no key":     func([]byte) []byte { return (&wcce.KADS{Attest: []byte{1}, Signature: []byte{1}}).Marshal() },
	} {
		if _, err := wcce.ParseKADS(change(bytes.Clone(raw))); !errors.Is(err, wcce.ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestKADSInKAST builds and parses a whole statement about a key, as Windows makes it.
func TestKADSInKAST(t *testing.T) {
	kads := wcce.KADS{Attest: []byte{1}, Signature: []byte{2}, KeyBlob: []byte{3}}
	kast, err := wcce.ParseKAST((&wcce.KAST{KeyAttestation: kads.Marshal()}).Marshal())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := wcce.ParseKADS(kast.KeyAttestation); err != nil || !bytes.Equal(got.KeyBlob, kads.KeyBlob) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestRSASignature(t *testing.T) {
	bare := bytes.Repeat([]byte{0xaa}, 256)
	tpmt := append(unhex(t, "0014000b0100"), bare...)
	for name, sig := range map[string][]byte{"bare": bare, "TPMT_SIGNATURE": tpmt} {
		if got := wcce.RSASignature(sig); !bytes.Equal(got, bare) {
			t.Errorf("%s: %x", name, got)
		}
	}
	starts := append(unhex(t, "0014000b00fa"), bare[:250]...) // a bare signature that begins like a TPMT_SIGNATURE
	if got := wcce.RSASignature(starts); !bytes.Equal(got, starts) {
		t.Errorf("a bare signature is cut to %d bytes", len(got))
	}
}

// withBank returns a PCP key with the longer header.
func withBank(key []byte) []byte {
	out := append(bytes.Clone(key[:52]), 0x0b, 0)
	out[4] = 54
	return append(out, key[52:]...)
}

func TestPCPKey(t *testing.T) {
	want := wcce.PCPKey{PublicArea: []byte{1, 2, 3}, Private: []byte{9}}
	raw, err := want.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	known := "5043504d" + "34000000" + "02000000" + "00000000" + "05000000" + "01000000" +
		"00000000000000000000000000000000000000000000000000000000" + "0003010203" + "09"
	if !bytes.Equal(raw, unhex(t, known)) {
		t.Errorf("got %x", raw)
	}
	for name, in := range map[string][]byte{"as written": raw, "with a PCR bank": withBank(raw)} {
		got, err := wcce.ParsePCPKey(in)
		if err != nil || !bytes.Equal(got.PublicArea, want.PublicArea) || !bytes.Equal(got.Private, want.Private) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for name, change := range map[string]func([]byte) []byte{
		"short":       func(b []byte) []byte { return b[:51] },
		"magic":       func(b []byte) []byte { b[0]++; return b },
		"header":      func(b []byte) []byte { b[4]++; return b },
		"TPM 1.2":     func(b []byte) []byte { b[8] = 1; return b },
		"length":      func(b []byte) []byte { b[16]++; return b },
		"last length": func(b []byte) []byte { b[51] = 0xff; return b },
		"trailing":    func(b []byte) []byte { return append(b, 0) },
		"public size": func(b []byte) []byte { b[53]--; return b },
		"no public":   func([]byte) []byte { b, _ := (&wcce.PCPKey{}).Marshal(); return b },
	} {
		if _, err := wcce.ParsePCPKey(change(bytes.Clone(raw))); !errors.Is(err, wcce.ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := (&wcce.PCPKey{PublicArea: make([]byte, 1<<16)}).Marshal(); err == nil {
		t.Error("64 KiB fit a TPM structure")
	}
}

func TestIsTPMKey(t *testing.T) {
	for name, tt := range map[string]struct {
		cert x509.Certificate
		want bool
	}{
		"endorsement key": {x509.Certificate{UnknownExtKeyUsage: []asn1.ObjectIdentifier{{1, 2}, wcce.OIDKeyPurposeEK}}, true},
		"attestation key": {x509.Certificate{UnknownExtKeyUsage: []asn1.ObjectIdentifier{wcce.OIDKeyPurposeAIK}}, true},
		"also an RA":      {x509.Certificate{UnknownExtKeyUsage: []asn1.ObjectIdentifier{wcce.OIDRAEncryption, wcce.OIDKeyPurposeEK}}, true},
		"RA":              {x509.Certificate{UnknownExtKeyUsage: []asn1.ObjectIdentifier{wcce.OIDRAEncryption}}, false},
		"CA":              {x509.Certificate{IsCA: true, UnknownExtKeyUsage: []asn1.ObjectIdentifier{wcce.OIDKeyPurposeAIK}}, false},
		"anything":        {x509.Certificate{}, false},
	} {
		if got := wcce.IsTPMKey(&tt.cert); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
