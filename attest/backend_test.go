package attest_test

import (
	"errors"
	"os"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
)

// forBackends runs f on a new emulated TPM and on a new swtpm, if that is
// installed. State "ready" has a persistent RSA EK and SRK and EK certificates,
// state "fresh" the certificates only. If the variable WHITEGLOVE_TPM of the environment
// names a TPM's device, f runs on that as well: .ci/kernel does so. The test clears that
// TPM.
func forBackends(t *testing.T, state string, f func(*testing.T, transport.TPM)) {
	t.Helper()
	if path := os.Getenv("WHITEGLOVE_TPM"); path != "" {
		t.Run("device/"+state, func(t *testing.T) { f(t, device(t, path, state)) })
	}
	t.Run("emulator/"+state, func(t *testing.T) {
		t.Parallel()
		f(t, emulator(t, state))
	})
	t.Run("swtpm/"+state, func(t *testing.T) {
		t.Parallel()
		tpm, err := attesttest.StartSWTPM("")
		if errors.Is(err, attesttest.ErrNoSWTPM) && os.Getenv("WHITEGLOVE_REQUIRE_SWTPM") == "" {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := tpm.Close(); err != nil {
				t.Error(err)
			}
		})
		if state == "fresh" {
			forget(t, tpm, 0x81010001)
			forget(t, tpm, 0x81000001)
		}
		f(t, tpm)
	})
}

// device opens a TPM that the test may clear, and brings it to the state.
func device(t *testing.T, path, state string) transport.TPM {
	t.Helper()
	tpm, err := attest.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tpm.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := (tpm2.Clear{AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHLockout, Auth: tpm2.PasswordAuth(nil)}}).Execute(tpm.Transport); err != nil {
		t.Fatal(err)
	}
	if state == "ready" {
		persist(t, tpm.Transport, tpm2.TPMRHEndorsement, tpm2.RSAEKTemplate, 0x81010001)
		persist(t, tpm.Transport, tpm2.TPMRHOwner, tpm2.RSASRKTemplate, 0x81000001)
	}
	return tpm.Transport
}

func emulator(t testing.TB, state string) *attesttest.TPM {
	t.Helper()
	tpm, err := attesttest.New(attesttest.Config{Fresh: state == "fresh"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tpm.Close(); err != nil {
			t.Error(err)
		}
	})
	return tpm
}

// forget evicts a persistent object.
func forget(t testing.TB, tr transport.TPM, handle tpm2.TPMHandle) {
	t.Helper()
	pub, err := tpm2.ReadPublic{ObjectHandle: handle}.Execute(tr)
	if err != nil {
		t.Fatal(err)
	}
	_, err = tpm2.EvictControl{
		Auth:             tpm2.TPMRHOwner,
		ObjectHandle:     &tpm2.NamedHandle{Handle: handle, Name: pub.Name},
		PersistentHandle: handle,
	}.Execute(tr)
	if err != nil {
		t.Fatal(err)
	}
}

// persist makes a primary key persistent.
func persist(t *testing.T, tr transport.TPM, hierarchy tpm2.TPMHandle, template tpm2.TPMTPublic, handle tpm2.TPMHandle) {
	t.Helper()
	p, err := tpm2.CreatePrimary{PrimaryHandle: hierarchy, InPublic: tpm2.New2B(template)}.Execute(tr)
	if err != nil {
		t.Fatal(err)
	}
	_, err = tpm2.EvictControl{
		Auth:             tpm2.TPMRHOwner,
		ObjectHandle:     &tpm2.NamedHandle{Handle: p.ObjectHandle, Name: p.Name},
		PersistentHandle: handle,
	}.Execute(tr)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (tpm2.FlushContext{FlushHandle: p.ObjectHandle}).Execute(tr); err != nil {
		t.Fatal(err)
	}
}

// nvDefine makes an NV index of the given size, with the owner and its own
// empty authorization value, or the owner alone, allowed to read it.
func nvDefine(t *testing.T, tr transport.TPM, index tpm2.TPMHandle, size int, ownerOnly bool) {
	t.Helper()
	_, err := tpm2.NVDefineSpace{
		AuthHandle: tpm2.TPMRHOwner,
		PublicInfo: tpm2.New2B(tpm2.TPMSNVPublic{
			NVIndex:    index,
			NameAlg:    tpm2.TPMAlgSHA256,
			DataSize:   uint16(size),
			Attributes: tpm2.TPMANV{OwnerWrite: true, OwnerRead: true, AuthRead: !ownerOnly, NoDA: true},
		}),
	}.Execute(tr)
	if err != nil {
		t.Fatal(err)
	}
}

// nvWrite writes an NV index that is defined.
func nvWrite(t *testing.T, tr transport.TPM, index tpm2.TPMHandle, data []byte) {
	t.Helper()
	for off := 0; off < len(data); off += 512 {
		r, err := tpm2.NVReadPublic{NVIndex: index}.Execute(tr)
		if err != nil {
			t.Fatal(err)
		}
		_, err = tpm2.NVWrite{
			AuthHandle: tpm2.TPMRHOwner,
			NVIndex:    tpm2.NamedHandle{Handle: index, Name: r.NVName},
			Data:       tpm2.TPM2BMaxNVBuffer{Buffer: data[off:min(off+512, len(data))]},
			Offset:     uint16(off),
		}.Execute(tr)
		if err != nil {
			t.Fatal(err)
		}
	}
}

func putNV(t *testing.T, tr transport.TPM, index tpm2.TPMHandle, data []byte) {
	t.Helper()
	nvDefine(t, tr, index, len(data), false)
	nvWrite(t, tr, index, data)
}
