package attest_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
)

// A template or nonce that is none, or that the TPM keeps to itself, costs no
// other endorsement key, and not this one either.
func TestBadNV(t *testing.T) {
	forBackends(t, "fresh", func(t *testing.T, tr transport.TPM) {
		tpm := &attest.TPM{Transport: tr}
		good := allEKs(t, tpm)
		putNV(t, tr, 0x01C00004, make([]byte, 8))
		putNV(t, tr, 0x01C00003, make([]byte, 257))
		putNV(t, tr, 0x01C0000B, make([]byte, 33))
		templates, _ := attest.EKTemplates()
		putNV(t, tr, 0x01C0000C, templates[0]) // of another kind
		_, err := tpm2.NVDefineSpace{
			AuthHandle: tpm2.TPMRHOwner,
			PublicInfo: tpm2.New2B(tpm2.TPMSNVPublic{
				NVIndex: 0x01C00017, NameAlg: tpm2.TPMAlgSHA256, DataSize: 8,
				Attributes: tpm2.TPMANV{OwnerWrite: true, PolicyRead: true, NoDA: true},
			}),
		}.Execute(tr)
		if err != nil {
			t.Fatal(err)
		}
		nvWrite(t, tr, 0x01C00017, make([]byte, 8))
		if _, err := tpm.ReadNV(t.Context(), 0x01C00017); !errors.Is(err, tpm2.TPMRCAuthUnavailable) {
			t.Errorf("index for a policy alone: %v", err)
		}
		got := allEKs(t, tpm)
		if len(got) != len(good) {
			t.Fatalf("%d endorsement keys, %d before", len(got), len(good))
		}
		for i := range good {
			if !bytes.Equal(got[i].PublicArea, good[i].PublicArea) {
				t.Errorf("endorsement key %d is another", i)
			}
		}
		noneLoaded(t, tr)
	})
}

// A key made from another template than was asked for is no endorsement key.
func TestOtherEKMade(t *testing.T) {
	tr := emulator(t, "fresh")
	p := &tap{TPM: tr}
	p.before = func(command []byte) []byte {
		if commandCode(command) != tpm2.TPMCCCreatePrimary {
			return nil
		}
		templates, _ := attest.EKTemplates()
		at := bytes.Index(command, templates[0][8:44]) // the policy
		if at < 0 {
			t.Error("not the template")
		}
		changed := bytes.Clone(command)
		changed[at+10] ^= 1
		answer, err := tr.Send(changed)
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	for ek, err := range (&attest.TPM{Transport: p}).EKs(t.Context()) {
		if err == nil {
			t.Errorf("endorsement key with area %x", ek.PublicArea)
		}
		break
	}
	noneLoaded(t, tr)
}
