package attest_test

import (
	"crypto"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
)

// Two quotes tell whether the machine was started anew in between.
func TestClockInfo(t *testing.T) {
	forBackends(t, "ready", func(t *testing.T, tr transport.TPM) {
		tpm := &attest.TPM{Transport: tr}
		aik := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
		clock := func() attest.ClockInfo {
			t.Helper()
			m, err := quotes(t, tpm, aik, crypto.SHA256).ClockInfo()
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		made, err := aik.Creation().ClockInfo()
		if err != nil {
			t.Fatal(err)
		}
		first, second := clock(), clock()
		for _, m := range []attest.ClockInfo{made, first} {
			if m.Resets != second.Resets || m.Restarts != second.Restarts || m.Firmware != second.Firmware || m.Clock > second.Clock {
				t.Errorf("%+v, then %+v", m, second)
			}
		}
		if strings.Contains(t.Name(), "/device/") {
			return // the test cannot start that machine anew
		}
		if err := tr.(interface{ Reboot() error }).Reboot(); err != nil {
			t.Fatal(err)
		}
		if after := clock(); after.Resets != first.Resets+1 || after.Firmware != first.Firmware || after.Clock < first.Clock && after.Safe {
			t.Errorf("%+v, and after a reboot %+v", first, after)
		}
	})
}

// Each field is read from its place.
func TestClockInfoFields(t *testing.T) {
	tpm := &attest.TPM{Transport: emulator(t, "ready")}
	aik := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
	s := aik.Creation()
	be := binary.BigEndian
	at := 6 + 2 + int(be.Uint16(s.Attest[6:])) // behind the signer
	at += 2 + int(be.Uint16(s.Attest[at:]))    // and the nonce
	b := be.AppendUint64(nil, 0x0102030405060708)
	b = be.AppendUint32(be.AppendUint32(b, 0x11121314), 0x21222324)
	b = be.AppendUint64(append(b, 1), 0x3132333435363738)
	copy(s.Attest[at:], b)
	want := attest.ClockInfo{Clock: 0x0102030405060708, Resets: 0x11121314, Restarts: 0x21222324, Safe: true, Firmware: 0x3132333435363738}
	if got, err := s.ClockInfo(); got != want || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
	for name, err := range map[string]error{
		"statement": second((&attest.Statement{}).ClockInfo()),
		"quote":     second((&attest.Quote{Attest: s.Attest[:50]}).ClockInfo()),
	} {
		var e *attest.Error
		if !errors.As(err, &e) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
