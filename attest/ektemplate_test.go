package attest_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
)

// The templates as the EK Credential Profile tables them, written by hand but
// for the policy digests, which TestEKPolicies computes.
func TestEKTemplates(t *testing.T) {
	templates, policies := attest.EKTemplates()
	a, b := policies[0], policies[1]
	zeros := func(n int) string { return hex.EncodeToString(make([]byte, n)) }
	for i, want := range []string{
		"0001000b000300b20020" + hex.EncodeToString(a[0x0B]) + "0006008000430010" + "0800" + "00000000" + "0100" + zeros(256), // L-1
		"0023000b000300b20020" + hex.EncodeToString(a[0x0B]) + "0006008000430010" + "0003" + "0010" + "0020" + zeros(32) + "0020" + zeros(32),
		"0023000c000300f20030" + hex.EncodeToString(b[0x0C]) + "0006010000430010" + "0004" + "0010" + "0000" + "0000", // H-3
		"0001000b000300f20020" + hex.EncodeToString(b[0x0B]) + "0006008000430010" + "0800" + "00000000" + "0000",      // H-1
		"0023000b000300f20020" + hex.EncodeToString(b[0x0B]) + "0006008000430010" + "0003" + "0010" + "0000" + "0000", // H-2
		"0023000d000300f20040" + hex.EncodeToString(b[0x0D]) + "0006010000430010" + "0005" + "0010" + "0000" + "0000", // H-4
		"00230012000300f20020" + hex.EncodeToString(b[0x12]) + "0013008000430010" + "0020" + "0010" + "0000" + "0000", // H-5
		"0001000c000300f20030" + hex.EncodeToString(b[0x0C]) + "0006010000430010" + "0c00" + "00000000" + "0000",      // H-6
		"0001000c000300f20030" + hex.EncodeToString(b[0x0C]) + "0006010000430010" + "1000" + "00000000" + "0000",      // H-7
	} {
		if got := hex.EncodeToString(templates[i]); got != want {
			t.Errorf("template %d:\n%s, want\n%s", i, got, want)
		}
	}
}

// PolicyA, C and B are computed from their definitions (EK Credential Profile,
// B.6), but for SM3, which Go does not have: openssl gave those.
func TestEKPolicies(t *testing.T) {
	_, policies := attest.EKTemplates()
	for i, c := range []struct {
		alg  uint16
		hash crypto.Hash
	}{{0x0B, crypto.SHA256}, {0x0C, crypto.SHA384}, {0x0D, crypto.SHA512}} {
		sum := func(parts ...[]byte) []byte {
			h := c.hash.New()
			for _, p := range parts {
				h.Write(p)
			}
			return h.Sum(nil)
		}
		zero := make([]byte, c.hash.Size())
		a := sum(sum(zero, []byte{0, 0, 1, 0x51}, []byte{0x40, 0, 0, 0x0B}))
		pub := binary.BigEndian.AppendUint32(nil, 0x01C07F01+uint32(i))
		pub = binary.BigEndian.AppendUint16(pub, c.alg)
		pub = binary.BigEndian.AppendUint32(pub, 0x220F1008)
		pub = binary.BigEndian.AppendUint16(pub, uint16(len(a)))
		pub = binary.BigEndian.AppendUint16(append(pub, a...), uint16(len(a)+2))
		name := append([]byte{0, byte(c.alg)}, sum(pub)...)
		policyC := sum(zero, []byte{0, 0, 1, 0x92}, name)
		policyB := sum(zero, []byte{0, 0, 1, 0x71}, a, policyC)
		for j, want := range [][]byte{a, policyB, policyC} {
			if got := policies[j][c.alg]; !bytes.Equal(got, want) {
				t.Errorf("policy %c of %v: %x, want %x", 'A'+j, c.hash, got, want)
			}
		}
	}
	for j, p := range policies {
		if len(p[0x12]) != 32 {
			t.Errorf("policy %c of SM3: %x", 'A'+j, p[0x12])
		}
	}
}

// indexesOf returns the certificate indexes of endorsement keys.
func indexesOf(eks []*attest.EK) (indexes []uint32) {
	for _, ek := range eks {
		indexes = append(indexes, ek.CertificateIndex)
	}
	return indexes
}

// The high-range keys come where the TPM has certificates or templates for them,
// and open credentials; SM2 is passed over.
func TestHighRangeEKs(t *testing.T) {
	forBackends(t, "fresh", func(t *testing.T, tr transport.TPM) {
		for _, index := range []tpm2.TPMHandle{0x01C00012, 0x01C00014, 0x01C0001A} {
			putNV(t, tr, index, []byte("certificate"))
		}
		templates, _ := attest.EKTemplates()
		putNV(t, tr, 0x01C0001D, templates[7])
		tpm := &attest.TPM{Transport: tr}
		eks := allEKs(t, tpm)
		want := []uint32{0x01C00002, 0x01C0000A, 0x01C00016, 0x01C00012, 0x01C00014, 0x01C0001C}
		if got := indexesOf(eks); !slices.Equal(got, want) {
			t.Errorf("certificates at %#x, want %#x", got, want)
		}
		if pub, ok := eks[len(eks)-1].Public.(*rsa.PublicKey); !ok || pub.Size() != 384 {
			t.Errorf("H-6 is a %T", eks[len(eks)-1].Public)
		}
		activate(t, tpm, eks)
		noneLoaded(t, tr)
	})
}

// Another key than RSA 2048 at the default handle, and one at no usual handle,
// are found by what they are. What is no endorsement key is not.
func TestPersistentEKs(t *testing.T) {
	forBackends(t, "fresh", func(t *testing.T, tr transport.TPM) {
		templates, _ := attest.EKTemplates()
		high, err := tpm2.Unmarshal[tpm2.TPMTPublic](templates[7])
		if err != nil {
			t.Fatal(err)
		}
		p256, err := tpm2.Unmarshal[tpm2.TPMTPublic](templates[4])
		if err != nil {
			t.Fatal(err)
		}
		persist(t, tr, tpm2.TPMRHEndorsement, *high, 0x81010001)
		persist(t, tr, tpm2.TPMRHEndorsement, *p256, 0x81010055)
		persist(t, tr, tpm2.TPMRHOwner, tpm2.ECCSRKTemplate, 0x81010099)
		tpm := &attest.TPM{Transport: tr}
		eks := allEKs(t, tpm)
		want := []uint32{0x01C00002, 0x01C0000A, 0x01C00016, 0x01C0001C, 0x01C0000A}
		if got := indexesOf(eks); !slices.Equal(got, want) {
			t.Fatalf("certificates at %#x, want %#x", got, want)
		}
		if eks[3].Handle != 0x81010001 || eks[4].Handle != 0x81010055 {
			t.Errorf("persistent keys at %#x and %#x", eks[3].Handle, eks[4].Handle)
		}
		if a, err := attest.EKPublicArea(eks[3].Public); err != nil || !bytes.Equal(a, eks[3].PublicArea) {
			t.Errorf("area of H-6: %v", err)
		}
		activate(t, tpm, eks[3:])
		noneLoaded(t, tr)
	})
}

// A TPM with many NV indexes gives them by the page.
func TestPagedHandles(t *testing.T) {
	forBackends(t, "fresh", func(t *testing.T, tr transport.TPM) {
		for i := range tpm2.TPMHandle(40) {
			nvDefine(t, tr, 0x01800000+i, 1, false)
		}
		pages := 0
		p := &tap{TPM: tr}
		p.before = func(command []byte) []byte {
			if commandCode(command) == tpm2.TPMCCGetCapability && binary.BigEndian.Uint32(command[18:]) > 3 {
				pages++
				binary.BigEndian.PutUint32(command[18:], 3) // as one with small answers
			}
			return nil
		}
		got, err := attest.Handles(&attest.TPM{Transport: p}, 0x01800000, 0x01C0000A)
		if err != nil || len(got) != 42 || got[0] != 0x01800000 || got[41] != 0x01C0000A || pages != 14 {
			t.Errorf("%d pages, %#x, %v", pages, got, err)
		}
	})
}

// 179 NV indexes, as a GB200 system has, more than the TPM gives at a time, do
// not hide the template of an endorsement key, nor do those between the others
// of that range.
func TestManyIndexes(t *testing.T) {
	tr := emulator(t, "fresh")
	for i := range tpm2.TPMHandle(179) {
		nvDefine(t, tr, 0x01800000+i, 1, false)
	}
	templates, _ := attest.EKTemplates()
	putNV(t, tr, 0x01C0001D, templates[7])
	p := &tap{TPM: tr}
	p.before = func(command []byte) []byte {
		if commandCode(command) == tpm2.TPMCCGetCapability {
			binary.BigEndian.PutUint32(command[18:], min(2, binary.BigEndian.Uint32(command[18:])))
		}
		return nil
	}
	tpm := &attest.TPM{Transport: p}
	if got, err := attest.Handles(tpm, 0x01000000, 0x01FFFFFF); err != nil || len(got) != 183 {
		t.Errorf("%d indexes, %v", len(got), err)
	}
	p.reset()
	eks := allEKs(t, tpm)
	if got := indexesOf(eks); !slices.Equal(got, []uint32{0x01C00002, 0x01C0000A, 0x01C00016, 0x01C0001C}) {
		t.Errorf("certificates at %#x", got)
	}
	if n := len(slices.DeleteFunc(p.reset(), func(name string) bool { return name != "GetCapability" })); n < 3 {
		t.Errorf("%d pages asked for", n)
	}
}

// An endorsement key known from its certificate alone is found, persistent or
// made, and a TPM that has another is refused.
func TestDefaultEK(t *testing.T) {
	for _, state := range []string{"ready", "fresh"} {
		forBackends(t, state, func(t *testing.T, tr transport.TPM) {
			tpm := &attest.TPM{Transport: tr}
			var eks []*attest.EK
			for _, ek := range allEKs(t, tpm) {
				d, err := attest.DefaultEK(ek.Public)
				if err != nil || !bytes.Equal(d.PublicArea, ek.PublicArea) || d.CertificateIndex != ek.CertificateIndex {
					t.Fatalf("%+v, %v", d, err)
				}
				eks = append(eks, d)
			}
			activate(t, tpm, eks)
			noneLoaded(t, tr)
			foreign, err := attesttest.New(attesttest.Config{Seed: "foreign", NoCertificate: true})
			if err != nil {
				t.Fatal(err)
			}
			d, err := attest.DefaultEK(firstEK(t, &attest.TPM{Transport: foreign}).Public)
			if err != nil {
				t.Fatal(err)
			}
			aik := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
			cred, err := attest.MakeCredential(d.PublicArea, aik.Name(), []byte("x"))
			if err != nil {
				t.Fatal(err)
			}
			_, err = tpm.ActivateCredential(context.Background(), d, aik, cred)
			if !errors.Is(err, attest.ErrOtherEK) || !bytes.Contains([]byte(err.Error()), []byte("another endorsement key")) {
				t.Errorf("key of another TPM: %v", err)
			}
			noneLoaded(t, tr)
		})
	}
	if _, err := attest.DefaultEK(nil); err == nil {
		t.Error("no key")
	}
}

// A persistent storage key without a persistent endorsement key.
func TestDefaultEKNotThere(t *testing.T) {
	forBackends(t, "ready", func(t *testing.T, tr transport.TPM) {
		tpm := &attest.TPM{Transport: tr}
		ek, err := attest.DefaultEK(firstEK(t, tpm).Public)
		if err != nil {
			t.Fatal(err)
		}
		forget(t, tr, 0x81010001)
		activate(t, tpm, []*attest.EK{ek})
		noneLoaded(t, tr)
	})
}

// What makers leave in NV memory, on the emulator with these as options.
func TestQuirks(t *testing.T) {
	for name, cfg := range map[string]attesttest.Config{
		"nonce":            {EKNonce: []byte("nonce"), Fresh: true},
		"RSA 3072":         {RSA3072Default: true},
		"endorsement auth": {EndorsementAuth: []byte("as Windows sets it"), Fresh: true},
		"retrying":         {Retrying: true},
	} {
		t.Run(name, func(t *testing.T) {
			tr, err := attesttest.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			tpm := &attest.TPM{Transport: tr, EndorsementAuth: cfg.EndorsementAuth}
			activate(t, tpm, allEKs(t, tpm))
			noneLoaded(t, tr)
		})
	}
}

func TestAreaOfOddKeys(t *testing.T) {
	for name, pub := range map[string]crypto.PublicKey{"nil": nil, "a string": "key", "nil RSA": (*rsa.PublicKey)(nil)} {
		if _, err := attest.EKPublicArea(pub); err == nil {
			t.Errorf("%s: an area", name)
		}
	}
}

// PrepareEK makes a key that is not persistent, so that the credential costs no further
// command for it, and notices another one where it has to look.
func TestPrepareEK(t *testing.T) {
	for _, c := range []struct {
		state   string
		persist bool // the P-256 SRK
		handle  bool // of the key that comes back
		want    []string
	}{
		{"ready", false, true, nil},
		{"fresh", false, false, []string{"CreatePrimary"}},
		{"fresh", true, false, []string{"ReadPublic", "CreatePrimary"}},
	} {
		forBackends(t, c.state, func(t *testing.T, tr transport.TPM) {
			p := &tap{TPM: tr}
			tpm := &attest.TPM{Transport: p}
			if c.persist {
				if err := tpm.PersistSRK(t.Context()); err != nil {
					t.Fatal(err)
				}
				defer forget(t, tr, 0x81000001)
			}
			d, err := attest.DefaultEK(firstEK(t, tpm).Public)
			if err != nil {
				t.Fatal(err)
			}
			release := tpm.Keep()
			aik := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
			p.reset()
			ek, err := tpm.PrepareEK(t.Context(), d, aik)
			if err != nil || (ek.Handle != 0) != c.handle || !bytes.Equal(ek.PublicArea, d.PublicArea) {
				t.Fatalf("%+v, %v", ek, err)
			}
			if log := p.reset(); !slices.Equal(log, c.want) {
				t.Errorf("%s: commands %v", c.state, log)
			}
			activates(t, tpm, ek, aik)
			if log := p.reset(); slices.Contains(log, "CreatePrimary") || slices.Contains(log, "ReadPublic") {
				t.Errorf("%s: commands %v", c.state, log)
			}
			if err := release(t.Context()); err != nil {
				t.Error(err)
			}
			noneLoaded(t, tr)
		})
	}
	foreign, err := attesttest.New(attesttest.Config{Seed: "foreign", NoCertificate: true})
	if err != nil {
		t.Fatal(err)
	}
	d, err := attest.DefaultEK(firstEK(t, &attest.TPM{Transport: foreign}).Public)
	if err != nil {
		t.Fatal(err)
	}
	for _, persistent := range []bool{false, true} {
		tr := emulator(t, "fresh")
		tpm := &attest.TPM{Transport: tr}
		if persistent {
			if err := tpm.PersistSRK(t.Context()); err != nil {
				t.Fatal(err)
			}
			persist(t, tr, tpm2.TPMRHEndorsement, tpm2.RSAEKTemplate, 0x81010001)
		}
		aik := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
		if _, err := tpm.PrepareEK(t.Context(), d, aik); !errors.Is(err, attest.ErrOtherEK) {
			t.Errorf("key of another TPM, persistent %t: %v", persistent, err)
		}
		noneLoaded(t, tr)
	}
}
