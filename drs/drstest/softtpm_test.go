package drstest_test

import (
	"context"
	"crypto"
	"crypto/aes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/drs"
)

// Object attributes of keys in the profile.
const (
	aikAttributes       = 0x00050072
	deviceAttributes    = 0x00040072
	transportAttributes = 0x00020072
)

// A softKey is a key of a TPM in software, which can have any attributes.
type softKey struct {
	*rsa.PrivateKey
	area []byte
}

// primes keeps keys by their number, because key generation takes most of the time.
var primes = make(map[int]*rsa.PrivateKey)

// softRSA returns the n-th key of the tests. Tests do not run in parallel.
func softRSA(t testing.TB, n int) *rsa.PrivateKey {
	t.Helper()
	if primes[n] == nil {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		primes[n] = k
	}
	return primes[n]
}

func u16(b []byte, v ...uint16) []byte {
	for _, n := range v {
		b = binary.BigEndian.AppendUint16(b, n)
	}
	return b
}

func sized(b []byte) []byte { return append(u16(nil, uint16(len(b))), b...) }

// newSoftKey returns the n-th key as an RSA key with attributes.
func newSoftKey(t testing.TB, n int, attributes uint32) *softKey {
	k := softRSA(t, n)
	area := binary.BigEndian.AppendUint32(u16(nil, 0x0001, 0x000B), attributes)
	area = u16(area, 0, 0x0010) // no policy, no symmetric cipher
	if attributes == aikAttributes {
		area = u16(area, 0x0014, 0x000B)
	} else {
		area = u16(area, 0x0010)
	}
	area = append(u16(area, 2048), 0, 0, 0, 0)
	return &softKey{PrivateKey: k, area: append(area, sized(k.N.Bytes())...)}
}

func (k *softKey) name() []byte {
	sum := sha256.Sum256(k.area)
	return append(u16(nil, 0x000B), sum[:]...)
}

// certify returns a statement of TPM2_Certify for k. change, if not nil, changes it before it is
// signed.
func (k *softKey) certify(aik *softKey, data []byte, change func([]byte) []byte) (*drs.Statement, error) {
	a := u16(binary.BigEndian.AppendUint32(nil, 0xFF544347), 0x8017)
	a = append(a, sized(aik.name())...)
	a = append(a, sized(data)...)
	a = append(a, make([]byte, 17+8)...)
	a = append(a, sized(k.name())...)
	a = append(a, sized(k.name())...)
	if change != nil {
		a = change(a)
	}
	digest := sha256.Sum256(a)
	sig, err := rsa.SignPKCS1v15(rand.Reader, aik.PrivateKey, crypto.SHA256, digest[:])
	if err != nil {
		return nil, err
	}
	return &drs.Statement{PublicArea: k.area, Attest: a, Signature: append(u16(nil, 0x0014, 0x000B), sized(sig)...)}, nil
}

// A softTPM holds the keys of one device.
type softTPM struct {
	ek                   *rsa.PrivateKey
	ekArea               []byte
	aik, dk, tk          *softKey
	certifyDK, certifyTK *softKey // what Certify certifies instead of dk and tk
	signer               *softKey // what Certify signs with instead of aik
	change               func([]byte) []byte
	opensAs              *softKey // key whose name Activate uses
}

// newSoftTPM returns a device with the keys from the n-th on.
func newSoftTPM(t testing.TB, n int) *softTPM {
	d := &softTPM{
		ek: softRSA(t, n), aik: newSoftKey(t, n+1, aikAttributes),
		dk: newSoftKey(t, n+2, deviceAttributes), tk: newSoftKey(t, n+3, transportAttributes),
	}
	var err error
	if d.ekArea, err = attest.EKPublicArea(&d.ek.PublicKey); err != nil {
		t.Fatal(err)
	}
	d.certifyDK, d.certifyTK, d.signer, d.opensAs = d.dk, d.tk, d.aik, d.aik
	return d
}

// kdfa is KDFa for one block of SHA-256 (TCG TPM 2.0 Library Part 1, KDFa).
func kdfa(key []byte, label string, context []byte, bits uint32) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte{0, 0, 0, 1})
	h.Write([]byte(label + "\x00"))
	h.Write(context)
	h.Write(binary.BigEndian.AppendUint32(nil, bits))
	return h.Sum(nil)[:bits/8]
}

// activate is TPM2_ActivateCredential in software (TCG TPM 2.0 Library Part 1, Credential
// Protection).
func (d *softTPM) activate(_ context.Context, blob, secret []byte) ([]byte, error) {
	// A TPM2B_ENCRYPTED_SECRET without its size is the OAEP ciphertext.
	seed, err := rsa.DecryptOAEP(sha256.New(), nil, d.ek, secret, []byte("IDENTITY\x00"))
	if err != nil {
		return nil, err
	}
	if len(blob) < 34 {
		return nil, errors.New("short credential")
	}
	mac, sealed := blob[2:34], blob[34:]
	h := hmac.New(sha256.New, kdfa(seed, "INTEGRITY", nil, 256))
	h.Write(sealed)
	h.Write(d.opensAs.name())
	if !hmac.Equal(h.Sum(nil), mac) {
		return nil, errors.New("TPM_RC_INTEGRITY")
	}
	block, err := aes.NewCipher(kdfa(seed, "STORAGE", d.opensAs.name(), 128))
	if err != nil {
		return nil, err
	}
	// CFB with an initial vector of zeros.
	stream, out := make([]byte, aes.BlockSize), make([]byte, 0, len(sealed))
	for part := range slices.Chunk(sealed, aes.BlockSize) {
		block.Encrypt(stream, stream)
		for i, c := range part {
			out = append(out, stream[i]^c)
		}
		copy(stream, part)
	}
	return out[2:], nil
}

func (d *softTPM) proof() *drs.Proof {
	return &drs.Proof{EK: &d.ek.PublicKey, EKPublicArea: d.ekArea, AIKPublicArea: d.aik.area, Activate: d.activate}
}

func (d *softTPM) attestation(nonce []byte) *drs.Attestation {
	return &drs.Attestation{AIKPublicArea: d.aik.area, Nonce: nonce, Certify: func(_ context.Context, usage string, data []byte) (*drs.Statement, error) {
		if usage == drs.UsageDevice {
			return d.certifyDK.certify(d.signer, data, d.change)
		}
		return d.certifyTK.certify(d.signer, data, d.change)
	}}
}

// given returns a device token, or nil if it is empty but for a nonce.
func given(t *drs.DeviceToken) *drs.DeviceToken {
	if t.Token == "" {
		return nil
	}
	return t
}

func (d *softTPM) request(t *drs.DeviceToken) *drs.Request {
	return &drs.Request{
		DeviceToken: given(t), DeviceKey: d.dk, TransportKey: &d.tk.PublicKey, DisplayName: "soft", OSVersion: "10.0.26100.1",
		Attestation: d.attestation(t.Nonce),
	}
}
