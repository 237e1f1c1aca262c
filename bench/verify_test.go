package bench

import (
	"context"
	"crypto"
	"crypto/rand"
	"testing"

	goattest "github.com/google/go-attestation/attest"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
)

// device returns a TPM that is turned off in the end.
func device(b *testing.B) *attest.TPM {
	b.Helper()
	chip, err := attesttest.New(attesttest.Config{FastKeys: true})
	must(b, err)
	b.Cleanup(func() { must(b, chip.Close()) })
	return &attest.TPM{Transport: chip}
}

var algorithms = []struct {
	name string
	attest.Algorithm
}{{"rsa", attest.RSA2048}, {"p256", attest.P256}}

// BenchmarkVerify checks a key's certification by an attestation key.
func BenchmarkVerify(b *testing.B) {
	ctx, tpm := context.Background(), device(b)
	for _, alg := range algorithms {
		aik, err := tpm.CreateKey(ctx, attest.Template{Algorithm: alg.Algorithm, Usage: attest.Attest})
		must(b, err)
		key, err := tpm.CreateKey(ctx, attest.Template{Algorithm: alg.Algorithm, Usage: attest.Sign})
		must(b, err)
		s, err := tpm.Certify(ctx, key, aik, []byte("nonce"))
		must(b, err)
		b.Run("key="+alg.name+"/by=whiteglove", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				must(b, s.Verify(aik.Public(), []byte("nonce")))
			}
		})
		p := goattest.CertificationParameters{Public: s.PublicArea, CreateAttestation: s.Attest, CreateSignature: s.Signature}
		b.Run("key="+alg.name+"/by=go-attestation", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				must(b, p.Verify(goattest.VerifyOpts{Public: aik.Public(), Hash: crypto.SHA256}))
			}
		})
	}
}

// BenchmarkChallenge checks the creation of an attestation key and makes a credential for
// it, to an endorsement key of each kind.
func BenchmarkChallenge(b *testing.B) {
	ctx, tpm := context.Background(), device(b)
	aik, err := tpm.CreateKey(ctx, attest.Template{Usage: attest.Attest})
	must(b, err)
	c := aik.Creation()
	for ek, err := range tpm.EKs(ctx) {
		must(b, err)
		name := map[uint32]string{0x01C00002: "rsa", 0x01C0000A: "p256"}[ek.CertificateIndex]
		if name == "" {
			continue
		}
		b.Run("ek="+name+"/by=whiteglove", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				must(b, c.Verify(aik.Public(), nil))
				n, err := attest.Name(c.PublicArea)
				must(b, err)
				_, err = attest.MakeCredential(ek.PublicArea, n, random(32))
				must(b, err)
			}
		})
		b.Run("ek="+name+"/by=go-attestation", func(b *testing.B) {
			b.ReportAllocs()
			p := goattest.ActivationParameters{EK: ek.Public, Rand: rand.Reader, AK: goattest.AttestationParameters{
				Public: c.PublicArea, CreateData: c.CreationData, CreateAttestation: c.Attest, CreateSignature: c.Signature,
			}}
			for b.Loop() {
				_, _, err := p.Generate()
				must(b, err)
			}
		})
	}
}
