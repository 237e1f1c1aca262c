package attesttest_test

import (
	"slices"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/attest/attesttest"
)

func TestRecorder(t *testing.T) {
	t.Parallel()
	r := attesttest.Counter(emulator(t, attesttest.Config{}))
	k := makeKey(t, r, shape{sign: true}.ecc(tpm2.TPMECCNistP256), "")
	flush(t, r, k.Handle)
	if want := []string{"TPM2_ReadPublic", "TPM2_CreateLoaded", "TPM2_FlushContext"}; !slices.Equal(r.Commands(), want) {
		t.Errorf("commands %q, want %q", r.Commands(), want)
	}
	if r.Total() != 3 || r.Count("TPM2_CreateLoaded") != 1 || r.Counts()["TPM2_FlushContext"] != 1 {
		t.Errorf("counts %v", r.Counts())
	}
	if to, from := r.Bytes(); to < 80 || from < 400 {
		t.Errorf("%d bytes to, %d bytes from the TPM", to, from)
	}
	r.Reset()
	if _, err := r.Send(raw(0x8001, 0x1FF)); err != nil || r.Count("0x000001FF") != 1 || r.Total() != 1 {
		t.Errorf("after Reset: %v, %v", r.Counts(), err)
	}
	check(t, r.Close())
}
