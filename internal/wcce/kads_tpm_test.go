package wcce_test

import (
	"bytes"
	"crypto/rsa"
	"encoding/binary"
	"testing"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/internal/wcce"
)

// TestKADSOfTPM encodes a TPM's statement about a key as Windows does, with a bare
// signature, and verifies it after parsing.
func TestKADSOfTPM(t *testing.T) {
	emulator, err := attesttest.New(attesttest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer emulator.Close()
	tpm := &attest.TPM{Transport: emulator}
	ak, err := tpm.CreateKey(t.Context(), attest.Template{Usage: attest.Attest})
	if err != nil {
		t.Fatal(err)
	}
	key, err := tpm.CreateKey(t.Context(), attest.Template{Usage: attest.Decrypt})
	if err != nil {
		t.Fatal(err)
	}
	nonce := []byte("nonce")
	s, err := tpm.Certify(t.Context(), key, ak, nonce)
	if err != nil {
		t.Fatal(err)
	}
	pcp, err := (&wcce.PCPKey{PublicArea: s.PublicArea}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for name, sig := range map[string][]byte{"bare": wcce.RSASignature(s.Signature), "TPMT_SIGNATURE": s.Signature} {
		blob := (&wcce.KADS{Attest: s.Attest, Signature: sig, KeyBlob: pcp}).Marshal()
		got := statement(t, blob)
		if err := got.Verify(ak.Public(), nonce); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if pub, err := attest.PublicKey(got.PublicArea); err != nil || !pub.(*rsa.PublicKey).Equal(key.Public()) {
			t.Errorf("%s: it is about another key, %v", name, err)
		}
		blob[bytes.Index(blob, s.PublicArea)+len(s.PublicArea)-1] ^= 1
		if statement(t, blob).Verify(ak.Public(), nonce) == nil {
			t.Errorf("%s: another key is verified", name)
		}
	}
}

// statement reads a KADS whose attestation key signs with RSASSA and SHA-256.
func statement(t *testing.T, blob []byte) *attest.Statement {
	t.Helper()
	kads, err := wcce.ParseKADS(blob)
	if err != nil {
		t.Fatal(err)
	}
	key, err := wcce.ParsePCPKey(kads.KeyBlob)
	if err != nil {
		t.Fatal(err)
	}
	sig := wcce.RSASignature(kads.Signature)
	if len(sig) != 256 {
		t.Fatalf("signature of %d bytes", len(sig))
	}
	tpmt := append(binary.BigEndian.AppendUint16([]byte{0, 0x14, 0, 0x0b}, uint16(len(sig))), sig...)
	return &attest.Statement{PublicArea: key.PublicArea, Attest: kads.Attest, Signature: tpmt}
}
