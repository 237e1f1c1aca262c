package bench

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"testing"
	"time"

	goattest "github.com/google/go-attestation/attest"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
)

// BenchmarkEnroll makes what an enrollment needs of a TPM: the EK, an attestation key whose
// credential it activates, a device key that signs, and a transport key, both certified. On a
// fresh TPM there is no persistent key. go-attestation has no keys that decrypt, so that its
// second one is one that signs, and its bus is not protected. chip-ms is the time of a chip.
func BenchmarkEnroll(b *testing.B) {
	for _, state := range []string{"ready", "fresh"} {
		for _, c := range []struct {
			by     string
			enroll func(testing.TB, transport.TPM)
		}{{"whiteglove", enroll}, {"go-attestation", goEnroll}} {
			b.Run("tpm="+state+"/by="+c.by, func(b *testing.B) {
				for b.Loop() {
					b.StopTimer()
					model, busy := attesttest.SLB9672(), time.Duration(0)
					model.Sleep = func(d time.Duration) { busy += d }
					chip, err := attesttest.New(attesttest.Config{Fresh: state == "fresh", FastKeys: true, Chip: model})
					if err != nil {
						b.Fatal(err)
					}
					counter := attesttest.Counter(chip)
					b.StartTimer()
					c.enroll(b, counter)
					to, from := counter.Bytes()
					b.ReportMetric(float64(counter.Total()), "commands/op")
					b.ReportMetric(float64(to+from), "bus-B/op")
					b.ReportMetric(float64(busy.Milliseconds()), "chip-ms/op")
					if err := chip.Close(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// firstEK returns the first endorsement key of a TPM.
func firstEK(t testing.TB, tpm *attest.TPM) *attest.EK {
	t.Helper()
	for ek, err := range tpm.EKs(context.Background()) {
		must(t, err)
		return ek
	}
	t.Fatal("no endorsement key")
	return nil
}

// enroll is the enrollment with this module.
func enroll(t testing.TB, tr transport.TPM) {
	t.Helper()
	ctx := context.Background()
	tpm := &attest.TPM{Transport: tr}
	release := tpm.Keep()
	defer func() { must(t, release(ctx)) }()
	ek := firstEK(t, tpm)
	aik, err := tpm.CreateKey(ctx, attest.Template{Usage: attest.Attest})
	must(t, err)
	secret := random(32)
	credential, err := attest.MakeCredential(ek.PublicArea, aik.Name(), secret)
	must(t, err)
	got, err := tpm.ActivateCredential(ctx, ek, aik, credential)
	if must(t, err); !bytes.Equal(got, secret) {
		t.Fatal("wrong secret")
	}
	for _, usage := range []attest.Usage{attest.Sign, attest.Decrypt} {
		key, err := tpm.CreateKey(ctx, attest.Template{Usage: usage})
		must(t, err)
		_, err = tpm.Certify(ctx, key, aik, []byte("nonce"))
		must(t, err)
		if usage == attest.Sign {
			digest := sha256.Sum256([]byte("message"))
			_, err = key.Sign(nil, digest[:], crypto.SHA256)
			must(t, err)
		}
	}
}

// goEnroll is the enrollment with go-attestation.
func goEnroll(t testing.TB, tr transport.TPM) {
	t.Helper()
	dev, err := goattest.OpenTPM(&goattest.OpenConfig{CommandChannel: &channel{tpm: tr}})
	must(t, err)
	eks, err := dev.EKs()
	must(t, err)
	ak, err := dev.NewAK(nil)
	must(t, err)
	p := goattest.ActivationParameters{EK: eks[0].Public, AK: ak.AttestationParameters(), Rand: rand.Reader}
	secret, credential, err := p.Generate()
	must(t, err)
	got, err := ak.ActivateCredential(dev, *credential)
	if must(t, err); !bytes.Equal(got, secret) {
		t.Fatal("wrong secret")
	}
	for i := range 2 {
		key, err := dev.NewKey(ak, &goattest.KeyConfig{Algorithm: goattest.RSA, Size: 2048})
		must(t, err)
		if i == 0 {
			private, err := key.Private(key.Public())
			must(t, err)
			digest := sha256.Sum256([]byte("message"))
			_, err = private.(crypto.Signer).Sign(rand.Reader, digest[:], crypto.SHA256)
			must(t, err)
		}
		must(t, key.Close())
	}
	must(t, ak.Close(dev))
	must(t, dev.Close())
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// channel gives go-attestation a transport.TPM as the stream that it wants: one write is a
// command, and reads give its answer, without an io.EOF.
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
