package attesttest_test

import (
	"context"
	"crypto"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
)

// stopwatch returns a chip and the time that it has taken since it was asked before.
func stopwatch() (*attesttest.Chip, func() time.Duration) {
	var total time.Duration
	c := attesttest.SLB9672()
	c.Command = time.Nanosecond
	c.Sleep = func(d time.Duration) { total += d }
	return c, func() time.Duration {
		t := total
		total = 0
		return t.Truncate(time.Microsecond)
	}
}

// Each operation takes what the chip takes for the keys that it has.
func TestChip(t *testing.T) {
	ctx := context.Background()
	c, took := stopwatch()
	chip := emulator(t, attesttest.Config{Chip: c, FastKeys: true})
	tpm := &attest.TPM{Transport: chip}
	release := tpm.Keep()
	defer release(ctx)
	want := func(what string, times ...time.Duration) {
		t.Helper()
		var sum time.Duration
		for _, d := range times {
			sum += d
		}
		if got := took(); got != sum {
			t.Errorf("%s took %v, not %v", what, got, sum)
		}
	}
	newKey := func(alg attest.Algorithm, usage attest.Usage) *attest.Key {
		t.Helper()
		k, err := tpm.CreateKey(ctx, attest.Template{Algorithm: alg, Usage: usage})
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	want("nothing")
	aik := newKey(attest.RSA2048, attest.Attest)
	want("an RSA attestation key in a salted session, and its creation statement", c.RSAPrivate, c.RSAKey, c.RSAPrivate)
	dk := newKey(attest.P256, attest.Sign)
	want("a device key on P-256", c.P256Key)
	if _, err := tpm.Certify(ctx, dk, aik, []byte("nonce")); err != nil {
		t.Fatal(err)
	}
	want("its certification by the RSA key", c.RSAPrivate)
	digest := make([]byte, 32)
	if _, err := dk.Sign(nil, digest, crypto.SHA256); err != nil {
		t.Fatal(err)
	}
	want("a signature on P-256", c.P256Sign)
	rsaKey := newKey(attest.RSA2048, attest.Sign)
	took()
	if _, err := rsaKey.Sign(nil, digest, crypto.SHA256); err != nil {
		t.Fatal(err)
	}
	want("an RSA signature", c.RSAPrivate)
	chip.Send([]byte{0x80, 1, 0, 0, 0, 10, 0, 0, 1, 0x5d}) // a command without its parameters
	chip.Send([]byte{1, 2, 3})
	want("commands that are refused")
}

// The model sleeps unless it is told otherwise.
func TestChipSleeps(t *testing.T) {
	chip := emulator(t, attesttest.Config{Chip: &attesttest.Chip{Command: 20 * time.Millisecond}})
	start := time.Now()
	chip.Send([]byte{0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x7b, 0, 8}) // TPM2_GetRandom
	if took := time.Since(start); took < 20*time.Millisecond {
		t.Errorf("%v", took)
	}
}

// Any bytes may be sent to a TPM with a model.
func FuzzChip(f *testing.F) {
	f.Add([]byte{0x80, 2, 0, 0, 0, 27, 0, 0, 1, 0x31, 0x40, 0, 0, 1, 0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0x23})
	f.Add([]byte{0x80, 1, 0, 0, 0, 10, 0, 0, 1, 0x5d})
	chip, err := attesttest.New(attesttest.Config{Chip: &attesttest.Chip{RSAKey: 1, Sleep: func(time.Duration) {}}, FastKeys: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, command []byte) {
		if _, err := chip.Send(command); err != nil {
			t.Error(err)
		}
	})
}
