package attest_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
)

// persistWith makes a primary storage key with an authorization value persistent.
func persistWith(t *testing.T, tr transport.TPM, auth []byte, handle tpm2.TPMHandle) {
	t.Helper()
	p, err := tpm2.CreatePrimary{
		PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate),
		InSensitive: tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{UserAuth: tpm2.TPM2BAuth{Buffer: auth}}},
	}.Execute(tr)
	if err != nil {
		t.Fatal(err)
	}
	named := &tpm2.NamedHandle{Handle: p.ObjectHandle, Name: p.Name}
	if _, err := (tpm2.EvictControl{Auth: tpm2.TPMRHOwner, ObjectHandle: named, PersistentHandle: handle}).Execute(tr); err != nil {
		t.Fatal(err)
	}
	if _, err := (tpm2.FlushContext{FlushHandle: p.ObjectHandle}).Execute(tr); err != nil {
		t.Fatal(err)
	}
}

// A storage key with an authorization value, at the usual handle and at one of the
// caller's own choice: keys are made under it, used and loaded again, with the right
// value only, and the value does not cross the bus.
func TestStorageAuth(t *testing.T) {
	forBackends(t, "fresh", func(t *testing.T, tr transport.TPM) {
		auth := []byte("value of the storage key")
		persistWith(t, tr, auth, 0x81000001)
		persistWith(t, tr, auth, 0x81000042)
		for _, handle := range []uint32{0, 0x81000042} {
			b := &bus{TPM: tr}
			tpm := &attest.TPM{Transport: b, StorageKey: handle, StorageAuth: auth}
			aik := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
			k := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Sign, Auth: []byte("the key's own")})
			text, err := k.MarshalText()
			if err != nil {
				t.Fatal(err)
			}
			again, err := (&attest.TPM{Transport: b, StorageAuth: auth}).LoadKey(t.Context(), text)
			if err != nil {
				t.Fatal(err)
			}
			signs(t, again.WithAuth([]byte("the key's own")))
			release := tpm.Keep()
			for range 2 {
				certify(t, tpm, k, aik, nil)
				activate1(t, tpm, aik)
			}
			if err := release(t.Context()); err != nil {
				t.Error(err)
			}
			for _, wrong := range [][]byte{nil, []byte("wrong")} {
				_, err := (&attest.TPM{Transport: tr, StorageKey: handle, StorageAuth: wrong}).CreateKey(t.Context(), attest.Template{Algorithm: attest.P256, Usage: attest.Sign})
				var e *attest.Error
				if !errors.As(err, &e) || !errors.Is(err, tpm2.TPMRCBadAuth) && !errors.Is(err, tpm2.TPMRCAuthFail) || !strings.Contains(e.Remedy(), map[bool]string{true: "supply it", false: "(in the programs: -srk-auth)"}[wrong == nil]) {
					t.Errorf("value %q: %v", wrong, err)
				}
			}
			if b.saw(auth) {
				t.Error("authorization value crossed the bus")
			}
			noneLoaded(t, tr)
		}
		_, err := (&attest.TPM{Transport: tr, StorageKey: 0x81000043}).CreateKey(t.Context(), attest.Template{Usage: attest.Sign})
		if !errors.Is(err, tpm2.TPMRCHandle) {
			t.Errorf("a handle without a key: %v", err)
		}
	})
}

// policyB is the policy B of endorsement keys (TCG EK Credential Profile, B.6), for
// SHA-256.
var policyB, _ = hex.DecodeString("ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0")

// A handle with an endorsement key, or with one that signs, is no place for new keys: that is
// said before the TPM refuses a command.
func TestStorageKeyOfAnotherKind(t *testing.T) {
	forBackends(t, "ready", func(t *testing.T, tr transport.TPM) {
		owner := &attest.TPM{Transport: tr}
		sign := create(t, owner, attest.Template{Algorithm: attest.P256, Usage: attest.Sign})
		if err := owner.PersistKey(t.Context(), sign, 0x81020042); err != nil {
			t.Fatal(err)
		}
		// Keys that could be parents, but are not: an EK that needs no policy, and a key
		// that another TPM may have, too.
		open := tpm2.RSAEKTemplate
		open.ObjectAttributes.UserWithAuth = true
		open.AuthPolicy.Buffer = bytes.Clone(policyB)
		persist(t, tr, tpm2.TPMRHOwner, open, 0x81000043)
		movable := tpm2.ECCSRKTemplate
		movable.ObjectAttributes.FixedTPM, movable.ObjectAttributes.FixedParent = false, false
		persist(t, tr, tpm2.TPMRHOwner, movable, 0x81000044)
		for _, handle := range []uint32{0x81010001, 0x81020042, 0x81000043, 0x81000044} {
			_, err := (&attest.TPM{Transport: tr, StorageKey: handle}).CreateKey(t.Context(), attest.Template{Usage: attest.Sign})
			var e *attest.Error
			if !errors.As(err, &e) || e.RC != 0 || e.HRESULT() != 0x80070057 || !strings.Contains(e.Remedy(), "Name a storage root key") {
				t.Errorf("0x%08X: %v", handle, err)
			}
		}
		noneLoaded(t, tr)
	})
}

// A TPM that refuses sessions salted to its RSA storage key is used with sessions
// salted to another key of it.
func TestRefusedSalt(t *testing.T) {
	forBackends(t, "ready", func(t *testing.T, tr transport.TPM) {
		refused := 0
		p := &tap{TPM: tr, before: func(command []byte) []byte {
			if commandCode(command) == tpm2.TPMCCStartAuthSession && binary.BigEndian.Uint32(command[10:]) == 0x81000001 {
				refused++
				return rcAnswer(0x2C4)
			}
			return nil
		}}
		tpm := &attest.TPM{Transport: p}
		auth := []byte("value")
		aik := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Attest, Auth: auth})
		k := create(t, tpm, attest.Template{Usage: attest.Sign | attest.Decrypt, Auth: auth})
		signs(t, k)
		decrypts(t, k)
		certify(t, tpm, k, aik, []byte("nonce"))
		activate1(t, tpm, aik)
		noneLoaded(t, tr)
		release := tpm.Keep()
		certify(t, tpm, k, aik, []byte("nonce"))
		activate1(t, tpm, aik)
		if err := release(t.Context()); err != nil {
			t.Error(err)
		}
		noneLoaded(t, tr)
		if refused != 1 {
			t.Errorf("asked %d times", refused)
		}
	})
}
