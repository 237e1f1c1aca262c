package attest_test

import (
	"encoding/binary"
	"encoding/pem"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
)

// No HMAC session is without salt, not even the first, for the storage key:
// otherwise who listens could try authorization values on its HMAC.
func TestEverySessionSalted(t *testing.T) {
	forBackends(t, "fresh", func(t *testing.T, tr transport.TPM) {
		auth := []byte("0000")
		for _, h := range []tpm2.TPMHandle{tpm2.TPMRHOwner, tpm2.TPMRHEndorsement} {
			_, err := tpm2.HierarchyChangeAuth{AuthHandle: h, NewAuth: tpm2.TPM2BAuth{Buffer: auth}}.Execute(tr)
			if err != nil {
				t.Fatal(err)
			}
		}
		p := &tap{TPM: tr}
		started := 0
		p.before = func(command []byte) []byte {
			if commandCode(command) == tpm2.TPMCCStartAuthSession {
				nonce := int(binary.BigEndian.Uint16(command[18:]))
				salt := int(binary.BigEndian.Uint16(command[20+nonce:]))
				if started++; command[22+nonce+salt] == 0 && salt == 0 {
					t.Errorf("HMAC session with key %x and no salt", command[10:14])
				}
			}
			return nil
		}
		for name, f := range map[string]func(*attest.TPM) error{
			"key": func(tpm *attest.TPM) error {
				_, err := tpm.CreateKey(t.Context(), attest.Template{Algorithm: attest.P256, Usage: attest.Attest, Auth: []byte("key")})
				return err
			},
			"endorsement key": func(tpm *attest.TPM) error {
				for _, err := range tpm.EKs(t.Context()) {
					return err
				}
				return nil
			},
		} {
			started = 0
			tpm := &attest.TPM{Transport: p, OwnerAuth: auth, EndorsementAuth: auth}
			if err := f(tpm); err != nil || started == 0 {
				t.Errorf("%s: %d sessions, %v", name, started, err)
			}
			noneLoaded(t, tr)
			release := tpm.Keep()
			for range 3 {
				if err := f(tpm); err != nil {
					t.Errorf("%s, kept: %v", name, err)
				}
			}
			if err := release(t.Context()); err != nil {
				t.Error(err)
			}
			noneLoaded(t, tr)
		}
	})
}

// A key is not loaded under another storage key than the one it was made under,
// which somebody might have put there.
func TestStorageKeyIsPinned(t *testing.T) {
	forBackends(t, "ready", func(t *testing.T, tr transport.TPM) {
		p := &tap{TPM: tr}
		tpm := &attest.TPM{Transport: p}
		text, err := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Sign}).MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		k, err := tpm.LoadKey(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := k.MarshalText(); err != nil || string(again) != string(text) {
			t.Errorf("another text: %s, %v", again, err)
		}
		block, rest := pem.Decode(text)
		name, _ := pem.Decode(rest)
		if name == nil || name.Type != "TPM PARENT NAME" {
			t.Fatalf("%s", text)
		}
		forget(t, tr, 0x81000001)
		persist(t, tr, tpm2.TPMRHOwner, tpm2.ECCSRKTemplate, 0x81000001)
		for what, c := range map[string]struct {
			text  []byte
			asked bool
		}{
			"by its name":  {text, false},
			"by its blob":  {pem.EncodeToMemory(block), true},
			"after a word": {append(pem.EncodeToMemory(block), "x\n"+string(pem.EncodeToMemory(name))...), false},
		} {
			p.reset()
			_, err := tpm.LoadKey(t.Context(), c.text)
			if asked := slices.Contains(p.reset(), "Load"); !errors.Is(err, tpm2.TPMRCIntegrity) || asked != c.asked {
				t.Errorf("%s: %v, the TPM was asked: %v", what, err, asked)
			}
		}
		name.Bytes = name.Bytes[:33]
		if _, err := tpm.LoadKey(t.Context(), append(pem.EncodeToMemory(block), pem.EncodeToMemory(name)...)); err == nil || errors.Is(err, tpm2.TPMRCIntegrity) {
			t.Errorf("cut name: %v", err)
		}
		noneLoaded(t, tr)
	})
}
