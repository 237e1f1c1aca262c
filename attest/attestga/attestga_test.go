package attestga_test

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"testing"

	ga "github.com/google/go-attestation/attest"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attestga"
	"github.com/whiteglove/whiteglove/attest/attesttest"
)

// channel gives go-attestation a transport.TPM as the stream it wants.
type channel struct {
	tpm    transport.TPM
	answer bytes.Reader
}

func (c *channel) Write(b []byte) (int, error) {
	answer, err := c.tpm.Send(b)
	if err != nil {
		return 0, err
	}
	c.answer.Reset(answer)
	return len(b), nil
}

func (c *channel) Read(b []byte) (int, error) {
	n, err := c.answer.Read(b)
	if errors.Is(err, io.EOF) {
		return n, nil
	}
	return n, err
}

func (c *channel) Close() error                    { return nil }
func (c *channel) MeasurementLog() ([]byte, error) { return nil, errors.New("no log") }

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newTPM(t testing.TB) *attesttest.TPM {
	t.Helper()
	tr, err := attesttest.New(attesttest.Config{})
	check(t, err)
	t.Cleanup(func() { check(t, tr.Close()) })
	return tr
}

// go-attestation's verifier takes what our side makes, for both kinds of key.
func TestOurs(t *testing.T) {
	ctx := context.Background()
	tpm := &attest.TPM{Transport: newTPM(t)}
	for ek, err := range tpm.EKs(ctx) {
		check(t, err)
		if ek.CertificateIndex == 0x01C00016 {
			break // go-attestation's challenges are for RSA 2048 and P-256
		}
		for _, alg := range []attest.Algorithm{attest.RSA2048, attest.P256} {
			aik, err := tpm.CreateKey(ctx, attest.Template{Algorithm: alg, Usage: attest.Attest})
			check(t, err)
			p := attestga.ToActivation(ek.Public, aik.Creation())
			check(t, p.CheckAKParameters())
			secret, ec, err := p.Generate()
			check(t, err)
			c, err := attestga.FromCredential(ec)
			check(t, err)
			got, err := tpm.ActivateCredential(ctx, ek, aik, c)
			if err != nil || !bytes.Equal(got, secret) {
				t.Errorf("activation: %v", err)
			}
			if again := attestga.ToCredential(c); !bytes.Equal(again.Credential, ec.Credential) || !bytes.Equal(again.Secret, ec.Secret) {
				t.Error("another challenge came back")
			}
			dk, err := tpm.CreateKey(ctx, attest.Template{Algorithm: alg, Usage: attest.Sign})
			check(t, err)
			s, err := tpm.Certify(ctx, dk, aik, nil)
			check(t, err)
			cp := attestga.ToCertification(s)
			check(t, cp.Verify(ga.VerifyOpts{Public: aik.Public(), Hash: crypto.SHA256}))
			q, err := tpm.Quote(ctx, aik, []byte("nonce"), crypto.SHA256)
			check(t, err)
			pub, err := ga.ParseAKPublic(aik.PublicArea())
			check(t, err)
			gq, pcrs := attestga.ToQuote(q)
			check(t, pub.Verify(gq, pcrs, []byte("nonce")))
			some, err := tpm.Quote(ctx, aik, []byte("nonce"), crypto.SHA256, 0, 7)
			check(t, err)
			gq, pcrs = attestga.ToQuote(some)
			check(t, pub.Verify(gq, pcrs, []byte("nonce")))
			back, err := attestga.FromQuote(gq, pcrs)
			check(t, err)
			check(t, back.Verify(aik.Public(), []byte("nonce")))
		}
	}
}

// Ours takes what go-attestation makes.
func TestTheirs(t *testing.T) {
	dev, err := ga.OpenTPM(&ga.OpenConfig{CommandChannel: &channel{tpm: newTPM(t)}})
	check(t, err)
	ak, err := dev.NewAK(nil)
	check(t, err)
	creation := attestga.FromAttestation(ak.AttestationParameters())
	check(t, creation.Verify(ak.Public(), nil))
	if back := attestga.ToAttestation(creation); !bytes.Equal(back.CreateData, ak.AttestationParameters().CreateData) {
		t.Error("another statement came back")
	}
	eks, err := dev.EKs()
	check(t, err)
	area, err := attest.EKPublicArea(eks[0].Public)
	check(t, err)
	name, err := attest.Name(creation.PublicArea)
	check(t, err)
	c, err := attest.MakeCredential(area, name, []byte("secret"))
	check(t, err)
	got, err := ak.ActivateCredential(dev, *attestga.ToCredential(c))
	if err != nil || string(got) != "secret" {
		t.Errorf("activation: %q, %v", got, err)
	}
	k, err := dev.NewKey(ak, &ga.KeyConfig{Algorithm: ga.ECDSA, Size: 256})
	check(t, err)
	s := attestga.FromCertification(k.CertificationParameters())
	check(t, s.Verify(ak.Public(), nil))
	s.Attest = append(bytes.Clone(s.Attest[:len(s.Attest)-1]), s.Attest[len(s.Attest)-1]^1)
	if err := s.Verify(ak.Public(), nil); !errors.Is(err, attest.ErrProof) {
		t.Errorf("changed: %v", err)
	}
	gq, err := ak.Quote(dev, []byte("nonce"), ga.HashSHA256)
	check(t, err)
	pcrs, err := dev.PCRs(ga.HashSHA256)
	check(t, err)
	q, err := attestga.FromQuote(*gq, pcrs)
	check(t, err)
	check(t, q.Verify(ak.Public(), []byte("nonce")))
	q, err = attestga.FromQuote(*gq, pcrs[1:])
	check(t, err)
	if err := q.Verify(ak.Public(), []byte("nonce")); !errors.Is(err, attest.ErrProof) {
		t.Errorf("a PCR less: %v", err)
	}
	other := pcrs[0]
	other.DigestAlg = crypto.SHA1
	for name, p := range map[string]ga.PCR{"twice": pcrs[3], "25th": {Index: 24, DigestAlg: crypto.SHA256}, "negative": {Index: -1, DigestAlg: crypto.SHA256}, "another bank": other} {
		if _, err := attestga.FromQuote(*gq, append(pcrs[1:], p)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	check(t, k.Close())
	check(t, ak.Close(dev))
}

func TestCredentialRefused(t *testing.T) {
	for name, c := range map[string]*ga.EncryptedCredential{
		"none":  nil,
		"empty": {},
		"short": {Credential: []byte{0, 2, 1}, Secret: []byte{0, 1, 1}},
		"long":  {Credential: []byte{0, 1, 1}, Secret: []byte{0, 1, 1, 1}},
	} {
		if _, err := attestga.FromCredential(c); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// A server that has go-attestation judges a key made with package attest.
func Example() {
	ctx := context.Background()
	tr, err := attesttest.New(attesttest.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	tpm := &attest.TPM{Transport: tr}
	aik, err := tpm.CreateKey(ctx, attest.Template{Usage: attest.Attest})
	if err != nil {
		fmt.Println(err)
		return
	}
	dk, err := tpm.CreateKey(ctx, attest.Template{Algorithm: attest.P256, Usage: attest.Sign})
	if err != nil {
		fmt.Println(err)
		return
	}
	s, err := tpm.Certify(ctx, dk, aik, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	p := attestga.ToCertification(s)
	fmt.Println(p.Verify(ga.VerifyOpts{Public: aik.Public(), Hash: crypto.SHA256}))
	// Output: <nil>
}
