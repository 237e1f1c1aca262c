package attest_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
)

// keySet is what the tests of the session work with.
type keySet struct {
	ek       *attest.EK
	cred     *attest.Credential
	box      []byte // OAEP SHA-256 of "secret of the box" for tk
	aik, dk  []byte // key files
	tk, seed []byte
}

func newKeySet(t testing.TB, tr transport.TPM) *keySet {
	t.Helper()
	tpm := &attest.TPM{Transport: tr}
	s := &keySet{ek: firstEK(t, tpm), seed: []byte("secret of the attestation CA, 32")}
	aik := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
	dk := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Sign})
	tk := create(t, tpm, attest.Template{Usage: attest.Decrypt})
	var err error
	if s.cred, err = attest.MakeCredential(s.ek.PublicArea, aik.Name(), s.seed); err != nil {
		t.Fatal(err)
	}
	if s.box, err = rsa.EncryptOAEP(sha256.New(), rand.Reader, tk.Public().(*rsa.PublicKey), []byte("secret of the box"), nil); err != nil {
		t.Fatal(err)
	}
	for _, v := range []struct {
		text *[]byte
		key  *attest.Key
	}{{&s.aik, aik}, {&s.dk, dk}, {&s.tk, tk}} {
		if *v.text, err = v.key.MarshalText(); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// uses are the operations in whose commands the session is.
func (s *keySet) uses() map[string]struct {
	cc tpm2.TPMCC
	do func(*attest.TPM) error
} {
	ctx := context.Background()
	with := func(text []byte, f func(*attest.TPM, *attest.Key) error) func(*attest.TPM) error {
		return func(tpm *attest.TPM) error {
			k, err := tpm.LoadKey(ctx, text)
			if err != nil {
				return err
			}
			return f(tpm, k)
		}
	}
	certify := with(s.aik, func(tpm *attest.TPM, aik *attest.Key) error {
		dk, err := tpm.LoadKey(ctx, s.dk)
		if err != nil {
			return err
		}
		_, err = tpm.Certify(ctx, dk, aik, []byte("nonce"))
		return err
	})
	makes := func(u attest.Usage) func(*attest.TPM) error {
		return func(tpm *attest.TPM) error {
			_, err := tpm.CreateKey(ctx, attest.Template{Algorithm: attest.P256, Usage: u})
			return err
		}
	}
	type use = struct {
		cc tpm2.TPMCC
		do func(*attest.TPM) error
	}
	return map[string]use{
		"Activate": {tpm2.TPMCCActivateCredential, with(s.aik, func(tpm *attest.TPM, aik *attest.Key) error {
			got, err := tpm.ActivateCredential(ctx, s.ek, aik, s.cred)
			if err == nil && !bytes.Equal(got, s.seed) {
				return errors.New("wrong secret")
			}
			return err
		})},
		"Decrypt": {tpm2.TPMCCRSADecrypt, with(s.tk, func(_ *attest.TPM, tk *attest.Key) error {
			got, err := tk.Decrypt(nil, s.box, &rsa.OAEPOptions{Hash: crypto.SHA256})
			if err == nil && string(got) != "secret of the box" {
				return errors.New("wrong plaintext")
			}
			return err
		})},
		"Sign": {tpm2.TPMCCSign, with(s.dk, func(_ *attest.TPM, dk *attest.Key) error {
			_, err := dk.Sign(nil, make32(), crypto.SHA256)
			return err
		})},
		"Certify":         {tpm2.TPMCCCertify, certify},
		"Load":            {tpm2.TPMCCLoad, with(s.dk, func(*attest.TPM, *attest.Key) error { return nil })},
		"CreateLoaded":    {tpm2.TPMCCCreateLoaded, makes(attest.Sign)},
		"Create":          {tpm2.TPMCCCreate, makes(attest.Attest)},
		"CertifyCreation": {tpm2.TPMCCCertifyCreation, makes(attest.Attest)},
		"StartSession":    {tpm2.TPMCCStartAuthSession, makes(attest.Sign)},
	}
}

func make32() []byte { return make([]byte, 32) }

// Every byte of an answer in the session is protected: changed, the operation
// fails, and leaves nothing loaded where the client can know of it.
func TestChangedAnswers(t *testing.T) {
	forBackends(t, "ready", func(t *testing.T, tr transport.TPM) {
		s := newKeySet(t, tr)
		step := 1
		if strings.Contains(t.Name(), "swtpm") || testing.Short() {
			step = 7
		}
		for name, u := range s.uses() {
			size := 1 << 20
			for at := 0; at < size; at += step {
				p := &tap{TPM: tr}
				p.change = func(command, answer []byte) []byte {
					if commandCode(command) == u.cc {
						size = len(answer)
						answer[at%len(answer)] ^= 0x04
					}
					return answer
				}
				if err := u.do(&attest.TPM{Transport: p}); err == nil {
					t.Fatalf("%s: change of byte %d was not noticed", name, at)
				}
				if size == 1<<20 {
					t.Fatalf("%s: the command was not sent", name)
				}
				if at >= 6 && at < 14 { // the client was told of failure, or of another handle
					flushAll(t, tr)
				}
				noneLoaded(t, tr)
			}
			t.Logf("%s: %d bytes", name, size)
			if err := u.do(&attest.TPM{Transport: tr}); err != nil {
				t.Errorf("%s, unchanged: %v", name, err)
			}
		}
	})
}

func flushAll(t *testing.T, tr transport.TPM) {
	t.Helper()
	for _, first := range []uint32{0x80000000, 0x02000000} {
		for _, h := range handles(t, tr, first) {
			if _, err := (tpm2.FlushContext{FlushHandle: h}).Execute(tr); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// While kept, the same, and the TPM is of use again after the failure.
func TestChangedAnswersKept(t *testing.T) {
	tr := emulator(t, "ready")
	s := newKeySet(t, tr)
	for name, u := range s.uses() {
		p := &tap{TPM: tr}
		tpm := &attest.TPM{Transport: p}
		release := tpm.Keep()
		for _, at := range []int{0, 5, 20, 30} {
			p.change = func(command, answer []byte) []byte {
				if commandCode(command) == u.cc && at < len(answer) {
					answer[at] ^= 0x04
					p.change = nil
				}
				return answer
			}
			if name == "Load" || name == "StartSession" { // kept from the last time
				if err := release(context.Background()); err != nil {
					t.Fatal(err)
				}
				release = tpm.Keep()
			}
			if err := u.do(tpm); err == nil {
				t.Fatalf("%s: change of byte %d was not noticed", name, at)
			}
			if err := u.do(tpm); err != nil {
				t.Fatalf("%s: after a change of byte %d: %v", name, at, err)
			}
		}
		if err := release(context.Background()); err != nil {
			t.Fatal(err)
		}
		noneLoaded(t, tr)
	}
}

// Secrets do not cross the bus in the clear.
func TestNoSecretOnTheBus(t *testing.T) {
	forBackends(t, "ready", func(t *testing.T, tr transport.TPM) {
		s := newKeySet(t, tr)
		var bus []byte
		p := &tap{TPM: tr, change: func(command, answer []byte) []byte {
			bus = append(append(bus, command...), answer...)
			return answer
		}}
		tpm := &attest.TPM{Transport: p}
		for name, u := range s.uses() {
			if err := u.do(tpm); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		for _, secret := range [][]byte{s.seed, []byte("secret of the box"), s.cred.Blob, s.box} {
			if bytes.Contains(bus, secret[:16]) {
				t.Errorf("%q crossed the bus", secret[:16])
			}
		}
		if !bytes.Contains(bus, s.cred.EncryptedSecret) { // the second parameter, encrypted to the endorsement key
			t.Error("nothing of the activation was seen")
		}
	})
}
