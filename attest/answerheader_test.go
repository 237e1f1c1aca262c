package attest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"
)

// The header of an answer, and the handle behind it.
func TestAnswerHeader(t *testing.T) {
	sessions, none := []byte{0x80, 0x02}, []byte{0x80, 0x01}
	answer := func(tag []byte, size, code uint32, rest ...byte) []byte {
		b := append([]byte{tag[0], tag[1], byte(size >> 24), byte(size >> 16), byte(size >> 8), byte(size)}, byte(code>>24), byte(code>>16), byte(code>>8), byte(code))
		return append(b, rest...)
	}
	handle := []byte{0x80, 0, 0, 7}
	for name, tt := range map[string]struct {
		command, answer []byte
		code            tpm2.TPMRC
		made            tpm2.TPMHandle
		fails           error
	}{
		"nothing":                  {none, nil, 0, 0, errAnswer},
		"nine bytes":               {none, answer(none, 9, 0)[:9], 0, 0, errAnswer},
		"a header":                 {none, answer(none, 10, 0), 0, 0, nil},
		"a header with a handle":   {none, answer(none, 14, 0, handle...), 0, 0x80000007, nil},
		"half a handle":            {none, answer(none, 13, 0, handle[:3]...), 0, 0, nil},
		"says less than it has":    {none, answer(none, 13, 0, handle...), 0, 0x80000007, errAnswer},
		"says more than it has":    {none, answer(none, 15, 0, handle...), 0, 0x80000007, errAnswer},
		"the largest":              {none, answer(none, maxResponse, 0, append(handle, make([]byte, maxResponse-14)...)...), 0, 0x80000007, nil},
		"too large":                {none, answer(none, maxResponse+1, 0, append(handle, make([]byte, maxResponse-13)...)...), 0, 0x80000007, errAnswer},
		"a code":                   {sessions, answer(none, 10, 0x101), 0x101, 0, nil},
		"no sessions":              {sessions, answer(none, 10, 0), 0, 0, errAnswer},
		"sessions of nobody":       {none, answer(sessions, 10, 0), 0, 0, errAnswer},
		"an answer of a TPM 1.2":   {none, answer([]byte{0, 0xC4}, 10, 0x1E), 0, 0, ErrNoTPM},
		"a code, and of a TPM 1.2": {sessions, answer([]byte{0, 0xC4}, 10, 0), 0, 0, ErrNoTPM},
	} {
		p := &port{tpm: new(TPM), name: "TPM2_Load"}
		code, err := p.check(tt.command, tt.answer)
		if code != tt.code || p.made != tt.made || !errors.Is(err, tt.fails) {
			t.Errorf("%s: %v, made %v, %v", name, code, p.made, err)
		}
	}
	p := &port{tpm: new(TPM), name: "TPM2_NV_Read"}
	if _, err := p.check(none, answer(none, 14, 0, handle...)); err != nil || p.made != 0 {
		t.Errorf("NV_Read made %v, %v", p.made, err)
	}
}

// Each part of a credential has one to maxCredential bytes.
func TestCredentialLimits(t *testing.T) {
	for size, ok := range map[int]bool{0: false, 1: true, maxCredential: true, maxCredential + 1: false} {
		for name, c := range map[string]*Credential{
			"blob":             {Blob: make([]byte, size), EncryptedSecret: []byte{1}},
			"encrypted secret": {Blob: []byte{1}, EncryptedSecret: make([]byte, size)},
		} {
			// The endorsement key without an area is what is wrong with the others.
			_, err := new(TPM).ActivateCredential(t.Context(), new(EK), new(Key), c)
			if err == nil || strings.Contains(err.Error(), "empty or too long") == ok {
				t.Errorf("%s of %d bytes: %v", name, size, err)
			}
		}
	}
}

// A coordinate has as many bytes as the curve.
func TestCoordinate(t *testing.T) {
	for size, ok := range map[int]bool{0: false, 1: true, 31: true, 32: true, 33: false} {
		z := bytes.Repeat([]byte{7}, size)
		got, err := coordinate(z, 32)
		if (err == nil) != ok || ok && !bytes.Equal(got, append(make([]byte, 32-size), z...)) {
			t.Errorf("%d bytes: %x, %v", size, got, err)
		}
	}
}

// DefaultEK knows a template for each kind of key, and a handle only if the TCG reserves one.
func TestDefaultEKs(t *testing.T) {
	for bits, handle := range map[int]bool{2048: true, 3072: true, 4096: true} {
		pub := &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), bits-1, 1), E: 65537}
		if ek, err := DefaultEK(pub); err != nil || (ek.Handle != 0) != handle {
			t.Errorf("RSA of %d bits: %+v, %v", bits, ek, err)
		}
	}
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if ek, err := DefaultEK(key.Public()); err != nil || ek.CertificateIndex == 0 {
			t.Errorf("%s: %+v, %v", curve.Params().Name, ek, err)
		}
	}
}
