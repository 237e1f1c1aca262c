package attesttest_test

import (
	"encoding/binary"
	"testing"

	"github.com/whiteglove/whiteglove/attest/attesttest"
)

// Any bytes get a whole response, and leave the TPM within its limits.
func FuzzSend(f *testing.F) {
	tpm := emulator(f, attesttest.Config{})
	for _, s := range record(f, tpm) {
		f.Add(s.cmd)
	}
	f.Add([]byte{})
	f.Add(raw(0x8002, 0x144, 0, 0))
	f.Fuzz(func(t *testing.T, cmd []byte) {
		rsp, err := tpm.Send(cmd)
		check(t, err)
		if len(rsp) < 10 || len(rsp) > 4096 || int(binary.BigEndian.Uint32(rsp[2:])) != len(rsp) {
			t.Fatalf("response % x", rsp)
		}
		if o, s := tpm.Loaded(); o > 3 || s > 3 {
			t.Fatalf("%d objects, %d sessions", o, s)
		}
		if o, s := tpm.Loaded(); o == 3 || s == 3 {
			check(t, tpm.Reboot())
		}
	})
}
