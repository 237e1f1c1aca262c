package aik_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/hex"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/attest"
)

// TestTemplates reads what keys of both templates are with another
// implementation.
func TestTemplates(t *testing.T) {
	for _, tt := range []struct {
		name     string
		template attest.Template
		hash     tpm2.TPMAlgID
		policy   string
	}{
		{"ours", rsaAIK, tpm2.TPMAlgSHA256, ""},
		{"Windows's", aik.WindowsTemplate(), tpm2.TPMAlgSHA1, "9dffcbf36c383ae699fb9868dc6dcb89d7153884be2803922c124158bfad22ae"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDevice(t, isRSA, tt.template)
			pub, err := tpm2.Unmarshal[tpm2.TPMTPublic](d.AIKCreation.PublicArea)
			if err != nil {
				t.Fatal(err)
			}
			parms, err := pub.Parameters.RSADetail()
			if err != nil {
				t.Fatal(err)
			}
			scheme, err := parms.Scheme.Details.RSASSA()
			if err != nil || parms.Scheme.Scheme != tpm2.TPMAlgRSASSA || scheme.HashAlg != tt.hash || parms.KeyBits != 2048 {
				t.Errorf("scheme %#x with %+v, %d bits, %v", parms.Scheme.Scheme, scheme, parms.KeyBits, err)
			}
			if got := hex.EncodeToString(pub.AuthPolicy.Buffer); got != tt.policy || pub.NameAlg != tpm2.TPMAlgSHA256 {
				t.Errorf("policy %s, name algorithm %#x", got, pub.NameAlg)
			}
			a := pub.ObjectAttributes
			if !a.FixedTPM || !a.FixedParent || !a.SensitiveDataOrigin || !a.UserWithAuth || !a.Restricted || !a.SignEncrypt || a.Decrypt {
				t.Errorf("attributes %+v", a)
			}
			if tt.hash == tpm2.TPMAlgSHA1 {
				checkSHA1(t, d.AIKCreation, d.key.Public())
			}
		})
	}
	// Nobody changes another's template.
	aik.WindowsTemplate().AuthPolicy[0]++
	if got := aik.WindowsTemplate().AuthPolicy[0]; got != 0x9d {
		t.Errorf("the policy begins with %#x", got)
	}
}

// checkSHA1 checks that a statement is signed with SHA-1.
func checkSHA1(t *testing.T, s *attest.Statement, pub crypto.PublicKey) {
	t.Helper()
	sig, err := tpm2.Unmarshal[tpm2.TPMTSignature](s.Signature)
	if err != nil {
		t.Fatal(err)
	}
	ssa, err := sig.Signature.RSASSA()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha1.Sum(s.Attest)
	if err := rsa.VerifyPKCS1v15(pub.(*rsa.PublicKey), crypto.SHA1, sum[:], ssa.Sig.Buffer); err != nil {
		t.Error(err)
	}
}
