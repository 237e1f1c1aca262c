package attest_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
)

func TestInfo(t *testing.T) {
	forBackends(t, "ready", func(t *testing.T, tr transport.TPM) {
		info, err := (&attest.TPM{Transport: tr}).Info(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%+v", *info)
		maker := "SIM0"
		switch {
		case strings.Contains(t.Name(), "swtpm"):
			maker = "IBM"
		case strings.Contains(t.Name(), "/device/") && info.Manufacturer != "":
			maker = info.Manufacturer // whoever made it
		}
		if info.Manufacturer != maker || !strings.Contains(info.Firmware, ".") || !strings.HasPrefix(info.Revision, "1.") {
			t.Errorf("%+v", *info)
		}
	})
}

func TestReadNV(t *testing.T) {
	forBackends(t, "ready", func(t *testing.T, tr transport.TPM) {
		ctx := context.Background()
		p := &tap{TPM: tr}
		tpm := &attest.TPM{Transport: p}
		data := make([]byte, 1200)
		for i := range data {
			data[i] = byte(i * 7)
		}
		nvDefine(t, tr, 0x01800001, len(data), false)
		if _, err := tpm.ReadNV(ctx, 0x01800001); !errors.Is(err, attest.ErrNotFound) {
			t.Errorf("never written: %v", err)
		}
		nvWrite(t, tr, 0x01800001, data)
		p.reset()
		got, err := tpm.ReadNV(ctx, 0x01800001)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if log := p.reset(); len(log) != 3 {
			t.Errorf("commands %v", log)
		}
		// A chip that takes only 256 bytes at a time.
		p.before = func(command []byte) []byte {
			if commandCode(command) == tpm2.TPMCCNVRead && binary.BigEndian.Uint16(command[len(command)-4:]) > 256 {
				return rcAnswer(0x1C4) // TPM_RC_VALUE, parameter 1
			}
			return nil
		}
		got, err = tpm.ReadNV(ctx, 0x01800001)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("in small chunks: %d bytes, %v", len(got), err)
		}
		var asked []uint16
		p.before = func(command []byte) []byte {
			if commandCode(command) != tpm2.TPMCCNVRead {
				return nil
			}
			asked = append(asked, binary.BigEndian.Uint16(command[len(command)-4:]))
			return rcAnswer(0x1C4)
		}
		if _, err := tpm.ReadNV(ctx, 0x01800001); !errors.Is(err, tpm2.TPMRCValue) || !slices.Equal(asked, []uint16{1024, 512, 256, 128, 64, 32}) {
			t.Errorf("no chunk is small enough: %v after %d", err, asked)
		}
		// A chip that answers nothing, or more than it was asked for.
		for _, n := range []uint16{0, 1025, 1201} {
			p.before = func(command []byte) []byte {
				if commandCode(command) != tpm2.TPMCCNVRead {
					return nil
				}
				b := binary.BigEndian.AppendUint32([]byte{0x80, 2}, uint32(10+4+2+n+5))
				b = binary.BigEndian.AppendUint32(b, 0)
				b = binary.BigEndian.AppendUint32(b, uint32(2+n))
				return append(append(binary.BigEndian.AppendUint16(b, n), make([]byte, n)...), 0, 0, 1, 0, 0)
			}
			if _, err := tpm.ReadNV(ctx, 0x01800001); err == nil || !strings.Contains(err.Error(), "answer of") {
				t.Errorf("answers of %d bytes: %v", n, err)
			}
		}
		p.before = nil
		_, err = tpm.ReadNV(ctx, 0x01800002)
		var e *attest.Error
		if !errors.Is(err, attest.ErrNotFound) || !errors.As(err, &e) || e.HRESULT() != 0x8028008B {
			t.Errorf("not defined: %v", err)
		}
		nvDefine(t, tr, 0x01800003, 3, true)
		nvWrite(t, tr, 0x01800003, []byte("own"))
		if got, err := tpm.ReadNV(ctx, 0x01800003); string(got) != "own" || err != nil {
			t.Errorf("for the owner only: %q, %v", got, err)
		}
		noneLoaded(t, tr)
	})
}

func TestError(t *testing.T) {
	for _, c := range []struct {
		err     *attest.Error
		hresult uint32
		retry   bool
		remedy  string
		text    string
	}{
		{&attest.Error{Op: "TPM2_Load", RC: 0x1DF, Err: tpm2.TPMRC(0x1DF)}, 0x8028009F, false, "another TPM", "attest: TPM2_Load: TPM_RC_INTEGRITY"},
		{&attest.Error{Op: "TPM2_Sign", RC: 0x921, Err: tpm2.TPMRC(0x921)}, 0x80280921, true, "lockout", "attest: TPM2_Sign: TPM_RC_LOCKOUT"},
		{&attest.Error{Op: "TPM2_PolicySecret", RC: 0x9A2, Err: tpm2.TPMRC(0x9A2)}, 0x802800A2, false, "authorization value", ""},
		{&attest.Error{Op: "TPM2_CreatePrimary", RC: 0x185, Err: tpm2.TPMRC(0x185)}, 0x80280085, false, "hierarchies", ""},
		{&attest.Error{Op: "TPM2_Load", RC: 0x902, Err: tpm2.TPMRC(0x902)}, 0x80280902, false, "Other programs", ""},
		{&attest.Error{Op: "TPM2_Load", RC: 0x101, Err: tpm2.TPMRC(0x101)}, 0x80280101, false, "off and on", ""},
		{&attest.Error{Op: "Open", Err: fmt.Errorf("%w: %w", attest.ErrNoTPM, fs.ErrPermission)}, 0x80284012, false, "tss", ""},
		{&attest.Error{Op: "Open", Err: attest.ErrNoTPM}, 0x8028400F, false, "Turn on the TPM", "attest: Open: no TPM 2.0 found"},
		{&attest.Error{Op: "TPM2_Sign", Err: advised("Do that.")}, 0x80284006, false, "Do that.", ""},
		{&attest.Error{Op: "TPM2_Load", RC: 0x1DF, Err: advised("Do that.")}, 0x8028009F, false, "another TPM", ""},
		{&attest.Error{Op: "Sign", Err: errors.New("x")}, 0x80070057, false, "has a mistake: correct it. Nothing was sent.", "attest: Sign: x"},
	} {
		if got := c.err.HRESULT(); got != c.hresult {
			t.Errorf("%v: HRESULT %#x, want %#x", c.err, got, c.hresult)
		}
		if c.err.Retryable() != c.retry || !strings.Contains(c.err.Remedy(), c.remedy) || (c.remedy == "") != (c.err.Remedy() == "") {
			t.Errorf("%v: retryable %t, remedy %q", c.err, c.err.Retryable(), c.err.Remedy())
		}
		if !strings.HasPrefix(c.err.Error(), c.text) {
			t.Errorf("%q", c.err)
		}
	}
}

// An advised is an error of a transport that knows what helps.
type advised string

func (advised) Error() string    { return "advised" }
func (a advised) Remedy() string { return string(a) }

func TestOpenNothing(t *testing.T) {
	_, err := attest.Open(t.TempDir() + "/tpm")
	if err == nil || !errors.Is(err, attest.ErrNoTPM) && !strings.Contains(err.Error(), "only the system's") {
		t.Errorf("%v", err)
	}
	if strings.Count(err.Error(), "/tpm") > 1 { // the system's error names it again
		t.Errorf("it is named twice: %v", err)
	}
	_, err = new(attest.TPM).Info(context.Background())
	if !errors.Is(err, attest.ErrNoTPM) {
		t.Errorf("without a transport: %v", err)
	}
	if err := new(attest.TPM).Close(); err != nil {
		t.Error(err)
	}
}
