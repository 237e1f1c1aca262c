package attest_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"testing"

	goattest "github.com/google/go-attestation/attest"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
)

// channel gives go-attestation a transport.TPM as the stream it wants: one
// write is a command, reads give its answer, without an io.EOF.
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

// goEnroll does with go-attestation what enroll does, as far as that can: it
// has no keys that decrypt, so the second one signs.
func goEnroll(t testing.TB, tr transport.TPM) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	dev, err := goattest.OpenTPM(&goattest.OpenConfig{CommandChannel: &channel{tpm: tr}})
	must(err)
	eks, err := dev.EKs()
	must(err)
	ak, err := dev.NewAK(nil)
	must(err)
	p := goattest.ActivationParameters{EK: eks[0].Public, AK: ak.AttestationParameters(), Rand: rand.Reader}
	secret, ec, err := p.Generate()
	must(err)
	got, err := ak.ActivateCredential(dev, *ec)
	if must(err); !bytes.Equal(got, secret) {
		t.Fatal("wrong secret")
	}
	for range 2 {
		k, err := dev.NewKey(ak, &goattest.KeyConfig{Algorithm: goattest.RSA, Size: 2048})
		must(err)
		priv, err := k.Private(k.Public())
		must(err)
		d := sha256.Sum256([]byte("message"))
		_, err = priv.(crypto.Signer).Sign(rand.Reader, d[:], crypto.SHA256)
		must(err)
		must(k.Close())
	}
	must(ak.Close(dev))
	must(dev.Close())
}

// A gauge sees how many transient objects there are at a time.
type gauge struct {
	*attesttest.TPM
	objects int
}

func (g *gauge) Send(command []byte) ([]byte, error) {
	answer, err := g.TPM.Send(command)
	objects, _ := g.Loaded()
	g.objects = max(g.objects, objects)
	return answer, err
}

// BenchmarkCommands counts the commands of an enrollment, ours with creation
// statement and protected bus, beside go-attestation's with neither, and the
// transient objects there are at a time.
func BenchmarkCommands(b *testing.B) {
	for _, c := range []struct {
		state, name string
		enroll      func(testing.TB, transport.TPM)
	}{
		{"ready", "whiteglove", enroll},
		{"ready", "go-attestation", goEnroll},
		{"fresh", "whiteglove", enroll},
		{"fresh", "whiteglove-PersistSRK", enrollPersisting},
		{"fresh", "go-attestation", goEnroll},
	} {
		b.Run(c.state+"/"+c.name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				g := &gauge{TPM: emulator(b, c.state)}
				r := attesttest.Counter(g)
				b.StartTimer()
				c.enroll(b, r)
				to, from := r.Bytes()
				b.ReportMetric(float64(r.Total()), "commands")
				b.ReportMetric(float64(g.objects), "objects")
				b.ReportMetric(float64(to), "B-sent")
				b.ReportMetric(float64(from), "B-received")
			}
		})
	}
}

// BenchmarkVerify checks the same statements with this package and with
// go-attestation.
func BenchmarkVerify(b *testing.B) {
	all, by := proofs(b, benchTPM(b))
	for i, name := range []string{"RSA creation", "RSA certify", "P-256 creation", "P-256 certify"} {
		b.Run(name+"/whiteglove", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := all[i].Verify(by[i], nonceOf(all[i])); err != nil {
					b.Fatal(err)
				}
			}
		})
		if all[i].CreationData != nil {
			continue
		}
		p := goattest.CertificationParameters{Public: all[i].PublicArea, CreateAttestation: all[i].Attest, CreateSignature: all[i].Signature}
		b.Run(name+"/go-attestation", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := p.Verify(goattest.VerifyOpts{Public: by[i], Hash: crypto.SHA256}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// challenges gives f an attestation key's creation statement, the key, and
// each of the endorsement keys that go-attestation can do, with its name.
func challenges(t testing.TB, tr transport.TPM, f func(name string, ek *attest.EK, k *attest.Key)) {
	t.Helper()
	tpm := &attest.TPM{Transport: tr}
	k := create(t, tpm, attest.Template{Usage: attest.Attest})
	for ek, err := range tpm.EKs(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		name := map[uint32]string{0x01C00002: "RSA", 0x01C0000A: "P-256"}[ek.CertificateIndex]
		if name == "" {
			return
		}
		f(name, ek, k)
	}
}

// challenge checks an attestation key and makes a credential for it.
func challenge(ek *attest.EK, k *attest.Key, c *attest.Statement, secret []byte) error {
	if err := c.Verify(k.Public(), nil); err != nil {
		return err
	}
	n, err := attest.Name(c.PublicArea)
	if err != nil {
		return err
	}
	_, err = attest.MakeCredential(ek.PublicArea, n, secret)
	return err
}

func BenchmarkChallenge(b *testing.B) {
	secret := make([]byte, 32)
	challenges(b, benchTPM(b), func(name string, ek *attest.EK, k *attest.Key) {
		c := k.Creation()
		b.Run(name+"/whiteglove", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := challenge(ek, k, c, secret); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/go-attestation", func(b *testing.B) {
			b.ReportAllocs()
			p := goattest.ActivationParameters{EK: ek.Public, AK: goattest.AttestationParameters{
				Public: c.PublicArea, CreateData: c.CreationData, CreateAttestation: c.Attest, CreateSignature: c.Signature,
			}}
			for b.Loop() {
				if _, _, err := p.Generate(); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

// TestChallengeAllocations bounds the allocations of a challenge.
func TestChallengeAllocations(t *testing.T) {
	secret := make([]byte, 32)
	challenges(t, emulator(t, "ready"), func(name string, ek *attest.EK, k *attest.Key) {
		c := k.Creation()
		n := testing.AllocsPerRun(100, func() {
			if err := challenge(ek, k, c, secret); err != nil {
				t.Error(err)
			}
		})
		t.Logf("%s: %v allocations", name, n)
		if n > 60 {
			t.Errorf("%s: %v allocations, more than 60", name, n)
		}
	})
}

// TestVerifyAllocations bounds the allocations of a check.
func TestVerifyAllocations(t *testing.T) {
	all, by := proofs(t, emulator(t, "ready"))
	for i, name := range []string{"RSA creation", "RSA certify", "P-256 creation", "P-256 certify"} {
		n := testing.AllocsPerRun(100, func() {
			if all[i].Verify(by[i], nonceOf(all[i])) != nil {
				t.Error("refused")
			}
		})
		t.Logf("%s: %v allocations", name, n)
		if n > 20 {
			t.Errorf("%s: %v allocations, more than 20", name, n)
		}
	}
}
