package judge_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/internal/judge"
	"github.com/whiteglove/whiteglove/internal/wcce"
)

// TestJudge checks an attestation key of a TPM and opens challenges for each of its
// endorsement keys. go-attestation cannot make a challenge for the P-384 key.
func TestJudge(t *testing.T) {
	emulator, err := attesttest.New(attesttest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer emulator.Close()
	tpm := &attest.TPM{Transport: emulator}
	ak, err := tpm.CreateKey(t.Context(), attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
	if err != nil {
		t.Fatal(err)
	}
	s := ak.Creation()
	good := wcce.IDBinding{PublicArea: s.PublicArea, CreationData: s.CreationData, Attest: s.Attest, Signature: s.Signature}
	if err := judge.Check(&good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*wcce.IDBinding){
		"attributes": func(b *wcce.IDBinding) { b.PublicArea = slices.Clone(b.PublicArea); b.PublicArea[5] &^= 1 },
		"creation":   func(b *wcce.IDBinding) { b.CreationData = flipped(b.CreationData) },
		"signature":  func(b *wcce.IDBinding) { b.Signature = flipped(b.Signature) },
		"nothing":    func(b *wcce.IDBinding) { *b = wcce.IDBinding{} },
	} {
		bad := good
		change(&bad)
		if judge.Check(&bad) == nil {
			t.Errorf("%s: the key is taken", name)
		}
	}
	count := 0
	for ek, err := range tpm.EKs(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		count++
		secret, tach, err := judge.Challenge(ek.Public, &good)
		if err != nil {
			t.Fatalf("%T: %v", ek.Public, err)
		}
		got, err := tpm.ActivateCredential(t.Context(), ek, ak, &attest.Credential{Blob: tach.Blob, EncryptedSecret: tach.EncryptedSecret})
		if err != nil || !bytes.Equal(got, secret) || len(secret) == 0 {
			t.Errorf("%T: opened %x, not %x, %v", ek.Public, got, secret, err)
		}
	}
	if count < 3 {
		t.Errorf("only %d endorsement keys", count)
	}
}

func flipped(b []byte) []byte {
	b = slices.Clone(b)
	b[len(b)-1] ^= 1
	return b
}
