package attest_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
)

func allEKs(t *testing.T, tpm *attest.TPM) []*attest.EK {
	t.Helper()
	var eks []*attest.EK
	for ek, err := range tpm.EKs(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		eks = append(eks, ek)
	}
	return eks
}

// activate has every endorsement key open a credential for one key, and
// refuse those for another key and another endorsement key.
func activate(t *testing.T, tpm *attest.TPM, eks []*attest.EK) {
	t.Helper()
	ctx := context.Background()
	aik := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Attest, Auth: []byte("a third session")})
	other := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
	secret := []byte("32 bytes of secret, the maximum.")
	for i, ek := range eks {
		cred, err := attest.MakeCredential(ek.PublicArea, aik.Name(), secret)
		if err != nil {
			t.Fatal(err)
		}
		got, err := tpm.ActivateCredential(ctx, ek, aik, cred)
		if err != nil || !bytes.Equal(got, secret) {
			t.Fatalf("%T %#x: %q, %v", ek.Public, ek.Handle, got, err)
		}
		if _, err := tpm.ActivateCredential(ctx, ek, other, cred); !errors.Is(err, tpm2.TPMRCIntegrity) {
			t.Errorf("credential for another key: %v", err)
		}
		if _, err := tpm.ActivateCredential(ctx, eks[(i+1)%len(eks)], aik, cred); err == nil && len(eks) > 1 {
			t.Error("another endorsement key opened the credential")
		}
		// The policy of a failed activation must not be left in the session.
		if _, err := tpm.ActivateCredential(ctx, ek, aik, cred); err != nil {
			t.Errorf("after a failure: %v", err)
		}
	}
}

func TestActivate(t *testing.T) {
	for _, state := range []string{"ready", "fresh"} {
		forBackends(t, state, func(t *testing.T, tr transport.TPM) {
			tpm := &attest.TPM{Transport: tr}
			eks := allEKs(t, tpm)
			noneLoaded(t, tr)
			if len(eks) != 3 {
				t.Fatalf("%d endorsement keys, want RSA 2048, P-256 and P-384", len(eks))
			}
			for i, index := range []uint32{0x01C00002, 0x01C0000A, 0x01C00016} {
				if eks[i].CertificateIndex != index {
					t.Errorf("certificate of endorsement key %d at %#x, want %#x", i, eks[i].CertificateIndex, index)
				}
				if area, err := attest.EKPublicArea(eks[i].Public); err != nil || !bytes.Equal(area, eks[i].PublicArea) {
					t.Errorf("EKPublicArea of endorsement key %d: %v", i, err)
				}
			}
			if (eks[0].Handle == 0x81010001) != (state == "ready") {
				t.Errorf("RSA endorsement key at %#x", eks[0].Handle)
			}
			activate(t, tpm, eks)
			noneLoaded(t, tr)
			release := tpm.Keep()
			activate(t, tpm, eks)
			if err := release(context.Background()); err != nil {
				t.Error(err)
			}
			noneLoaded(t, tr)
		})
	}
}

// Endorsement keys follow nonces and templates in NV memory.
func TestEKFromNV(t *testing.T) {
	forBackends(t, "fresh", func(t *testing.T, tr transport.TPM) {
		tpm := &attest.TPM{Transport: tr}
		before := allEKs(t, tpm)
		putNV(t, tr, 0x01C00003, bytes.Repeat([]byte{7}, 256))
		putNV(t, tr, 0x01C0000B, bytes.Repeat([]byte{9}, 20))
		// H-3 without userWithAuth: its policy must be satisfied in a SHA-384 session.
		h3 := bytes.Clone(before[2].PublicArea)
		h3[7] &^= 0x40
		h3 = append(h3[:len(h3)-100], 0, 0, 0, 0)
		putNV(t, tr, 0x01C00017, h3)
		auth := []byte("endorsement")
		if _, err := (tpm2.HierarchyChangeAuth{AuthHandle: tpm2.TPMRHEndorsement, NewAuth: tpm2.TPM2BAuth{Buffer: auth}}).Execute(tr); err != nil {
			t.Fatal(err)
		}
		tpm.EndorsementAuth = auth
		after := allEKs(t, tpm)
		for i := range before {
			if bytes.Equal(before[i].PublicArea, after[i].PublicArea) {
				t.Errorf("endorsement key %d did not change", i)
			}
		}
		if attrs, _ := attest.Attributes(after[2].PublicArea); attrs != 0x000300B2 {
			t.Errorf("attributes %#x of the key from an NV template", attrs)
		}
		activate(t, tpm, after)
		if again := allEKs(t, &attest.TPM{Transport: tr, EndorsementAuth: auth}); !bytes.Equal(again[0].PublicArea, after[0].PublicArea) {
			t.Error("the same nonce gave another key")
		}
		if _, err := tpm.ActivateCredential(context.Background(), before[0], create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Attest}), &attest.Credential{Blob: []byte{1}, EncryptedSecret: []byte{1}}); err == nil {
			t.Error("a key that the TPM no longer has was used")
		}
		noneLoaded(t, tr)
	})
}

func TestForeignEKAtDefaultHandle(t *testing.T) {
	forBackends(t, "fresh", func(t *testing.T, tr transport.TPM) {
		persist(t, tr, tpm2.TPMRHOwner, tpm2.ECCSRKTemplate, 0x81010001)
		ek := firstEK(t, &attest.TPM{Transport: tr})
		if _, ok := ek.Public.(*rsa.PublicKey); !ok || ek.Handle != 0 {
			t.Errorf("endorsement key %T at %#x", ek.Public, ek.Handle)
		}
	})
}

func TestForeignSRK(t *testing.T) {
	forBackends(t, "fresh", func(t *testing.T, tr transport.TPM) {
		persist(t, tr, tpm2.TPMRHEndorsement, tpm2.ECCEKTemplate, 0x81000001)
		tpm := &attest.TPM{Transport: tr}
		k := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Sign})
		if got := attest.KeyParent(k); got != 0x40000001 {
			t.Errorf("parent %#x", got)
		}
		signs(t, k)
	})
	forBackends(t, "fresh", func(t *testing.T, tr transport.TPM) {
		persist(t, tr, tpm2.TPMRHOwner, tpm2.ECCSRKTemplate, 0x81000001)
		tpm := &attest.TPM{Transport: tr}
		k := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Sign})
		if got := attest.KeyParent(k); got != 0x81000001 {
			t.Errorf("parent %#x", got)
		}
		signs(t, k)
	})
}

// Hierarchies with an authorization value, here one with zero bytes inside.
func TestHierarchyAuth(t *testing.T) {
	for _, state := range []string{"ready", "fresh"} {
		forBackends(t, state, func(t *testing.T, tr transport.TPM) {
			ctx := context.Background()
			auth := []byte("endorse\x00ment\x00value\x00")
			for _, h := range []tpm2.TPMHandle{tpm2.TPMRHEndorsement, tpm2.TPMRHOwner} {
				_, err := tpm2.HierarchyChangeAuth{AuthHandle: h, NewAuth: tpm2.TPM2BAuth{Buffer: auth}}.Execute(tr)
				if errors.Is(err, tpm2.TPMRCCommandCode) {
					t.Skip("this TPM has no TPM2_HierarchyChangeAuth")
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			p := &tap{TPM: tr}
			var wire []byte
			p.change = func(command, answer []byte) []byte {
				wire = append(wire, command...)
				return answer
			}
			good := &attest.TPM{Transport: p, EndorsementAuth: auth, OwnerAuth: auth}
			eks := allEKs(t, good)
			activate(t, good, eks)
			noneLoaded(t, tr)
			if bytes.Contains(wire, auth[:7]) {
				t.Error("authorization value crossed the bus in the clear")
			}
			bad := &attest.TPM{Transport: tr, OwnerAuth: auth}
			aik := create(t, bad, attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
			cred, err := attest.MakeCredential(eks[0].PublicArea, aik.Name(), []byte("x"))
			if err != nil {
				t.Fatal(err)
			}
			_, err = bad.ActivateCredential(ctx, eks[0], aik, cred)
			var e *attest.Error
			if !errors.As(err, &e) || e.HRESULT() != 0x802800A2 || e.Remedy() == "" {
				t.Errorf("without the value: %v", err)
			}
			// The remedy says whose value was wrong, and only if one was.
			persisted := func(tpm *attest.TPM) error {
				k, err := tpm.CreateKey(ctx, attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
				if err != nil {
					return err
				}
				return tpm.PersistKey(ctx, k, 0x81020055)
			}
			bad.EndorsementAuth = []byte("no")
			if _, err = bad.ActivateCredential(ctx, eks[0], aik, cred); !errors.As(err, &e) || !strings.Contains(e.Remedy(), "endorsement hierarchy. Correct it (in the programs: -endorsement-auth)") {
				t.Errorf("another endorsement value: %v: %s", err, e.Remedy())
			}
			if err = persisted(&attest.TPM{Transport: tr, OwnerAuth: []byte("no")}); !errors.As(err, &e) || !strings.Contains(e.Remedy(), "owner hierarchy. Correct it (in the programs: -owner-auth)") {
				t.Errorf("another owner value: %v: %s", err, e.Remedy())
			}
			broken := &attest.TPM{OwnerAuth: auth, Transport: &tap{TPM: tr, before: func(command []byte) []byte {
				if commandCode(command) == tpm2.TPMCCEvictControl {
					return rcAnswer(0x101)
				}
				return nil
			}}}
			if err = persisted(broken); !errors.As(err, &e) || strings.Contains(e.Remedy(), "Correct it") {
				t.Errorf("a TPM that fails: %v: %s", err, e.Remedy())
			}
			noneLoaded(t, tr)
		})
	}
}

func TestMakeCredentialRefuses(t *testing.T) {
	forBackends(t, "ready", func(t *testing.T, tr transport.TPM) {
		tpm := &attest.TPM{Transport: tr}
		ek := firstEK(t, tpm)
		dk := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Sign})
		if _, ok := dk.Public().(*ecdsa.PublicKey); !ok {
			t.Fatalf("%T", dk.Public())
		}
		name := dk.Name()
		weak := bytes.Clone(ek.PublicArea)
		weak[3] = 4 // SHA-1
		for what, c := range map[string]struct{ area, name, secret []byte }{
			"long secret":       {ek.PublicArea, name, make([]byte, 33)},
			"no secret":         {ek.PublicArea, name, nil},
			"signing key as EK": {dk.PublicArea(), name, []byte("x")},
			"short name":        {ek.PublicArea, name[:33], []byte("x")},
			"long name":         {ek.PublicArea, append(name, 0), []byte("x")},
			"unknown name":      {ek.PublicArea, append([]byte{0, 0x12}, name[2:]...), []byte("x")},
			"no name":           {ek.PublicArea, nil, []byte("x")},
			"trailing byte":     {append(bytes.Clone(ek.PublicArea), 0), name, []byte("x")},
			"no area":           {nil, name, []byte("x")},
			"name of SHA-1":     {ek.PublicArea, append([]byte{0, 4}, name[2:22]...), []byte("x")},
			"EK named by SHA-1": {weak, name, []byte("x")},
		} {
			if _, err := attest.MakeCredential(c.area, c.name, c.secret); err == nil {
				t.Errorf("%s: made", what)
			}
		}
	})
}

// An endorsement key known only by its public area is made from the default
// template.
func TestEKByArea(t *testing.T) {
	forBackends(t, "fresh", func(t *testing.T, tr transport.TPM) {
		tpm := &attest.TPM{Transport: tr}
		var eks []*attest.EK
		for _, ek := range allEKs(t, tpm) {
			eks = append(eks, &attest.EK{PublicArea: ek.PublicArea})
		}
		activate(t, tpm, eks)
		aik := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
		cred := &attest.Credential{Blob: []byte{1}, EncryptedSecret: []byte{1}}
		for name, area := range map[string][]byte{"not an endorsement key": aik.PublicArea(), "nothing": nil} {
			if _, err := tpm.ActivateCredential(context.Background(), &attest.EK{PublicArea: area}, aik, cred); err == nil {
				t.Errorf("%s: activated", name)
			}
		}
		noneLoaded(t, tr)
	})
}
