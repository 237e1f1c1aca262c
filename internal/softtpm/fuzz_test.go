package softtpm

import (
	"testing"

	"github.com/google/go-tpm/tpm2"
)

// Any bytes are a state that works, or an error.
func FuzzRestore(f *testing.F) {
	tpm := New(Identity{}, []byte("seed"))
	if _, err := tpm.Primary(Owner, tpm2.Marshal(tpm2.ECCSRKTemplate), 0x81000001); err != nil {
		f.Fatal(err)
	}
	if err := tpm.WriteNV(0x01C00002, NVCertificate, []byte("certificate")); err != nil {
		f.Fatal(err)
	}
	b, err := tpm.Snapshot()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"Version":1,"Seed":"AAAA","NV":{"29360130":{"NameAlg":11,"Data":"AAAA"}}}`))
	commands := [][]byte{
		{0x80, 1, 0, 0, 0, 14, 0, 0, 1, 0x73, 0x81, 0, 0, 1}, // TPM2_ReadPublic
		{0x80, 1, 0, 0, 0, 14, 0, 0, 1, 0x69, 1, 0xC0, 0, 2}, // TPM2_NV_ReadPublic
		{0x80, 1, 0, 0, 0, 22, 0, 0, 1, 0x7A, 0, 0, 0, 6, 0, 0, 1, 0, 0, 0, 0, 99},
		{0x80, 2, 0, 0, 0, 35, 0, 0, 1, 0x4E, 1, 0xC0, 0, 2, 1, 0xC0, 0, 2, 0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 1, 0, 0, 0, 2, 0, 0}, // TPM2_NV_Read
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		tpm, err := Restore(Identity{}, b)
		if err != nil {
			return
		}
		for _, c := range commands {
			if rsp := tpm.Execute(c); len(rsp) < 10 {
				t.Errorf("response % x", rsp)
			}
		}
		again, err := tpm.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Restore(Identity{}, again); err != nil {
			t.Errorf("its own snapshot: %v", err)
		}
	})
}
