package attest_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"sync"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

// A bus records every byte in both directions.
type bus struct {
	transport.TPM
	mu   sync.Mutex
	wire []byte
}

func (b *bus) Send(command []byte) ([]byte, error) {
	answer, err := b.TPM.Send(command)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wire = append(append(b.wire, command...), answer...)
	return answer, err
}

func (b *bus) saw(secret []byte) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Contains(b.wire, secret)
}

// A whole run, with all that is secret in it, passes by a recorder: not 8 bytes
// in a row of a secret are seen, nor are they in a run without encryption
// missed, which shows that the recorder works.
func TestNothingSecretInARun(t *testing.T) {
	for _, state := range []string{"ready", "fresh"} {
		forBackends(t, state, func(t *testing.T, tr transport.TPM) {
			b := &bus{TPM: tr}
			secrets := enrollWith(t, b, []byte("authorization value of the keys"))
			for _, s := range secrets {
				for i := 0; i+8 <= len(s); i++ {
					if b.saw(s[i : i+8]) {
						t.Fatalf("%q crossed the bus", s[i:i+8])
					}
				}
			}
			if len(secrets) != 3 || len(b.wire) < 5000 {
				t.Errorf("%d secrets, %d bytes seen", len(secrets), len(b.wire))
			}
			primary := tpm2.CreatePrimary{
				PrimaryHandle: tpm2.TPMRHOwner,
				InPublic:      tpm2.New2B(tpm2.ECCSRKTemplate),
				InSensitive:   tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{UserAuth: tpm2.TPM2BAuth{Buffer: secrets[2]}}},
			}
			p, err := primary.Execute(b)
			if err != nil || !b.saw(secrets[2]) {
				t.Errorf("the recorder is blind: %v", err)
			}
			if _, err := (tpm2.FlushContext{FlushHandle: p.ObjectHandle}).Execute(tr); err != nil {
				t.Error(err)
			}
		})
	}
}

// stride returns how far apart the bytes of a message are that are changed: of
// about 64 in all, or of every one if WHITEGLOVE_EVERY_BYTE is set.
// TestChangedAnswers changes every byte of the answers in the session.
func stride(size int) int {
	if os.Getenv("WHITEGLOVE_EVERY_BYTE") != "" {
		return 1
	}
	return 1 + size/64
}

// Bytes of every answer of a run are changed, one a run. The run fails, or
// nothing depends on the byte; in no case a key, a secret or a statement is
// other than without the change.
func TestBytesOfEveryAnswer(t *testing.T) {
	if testing.Short() {
		t.Skip("some thousand runs")
	}
	tr := emulator(t, "ready")
	run := newShortRun(t, tr)
	if err := run.do(tr); err != nil {
		t.Fatal(err)
	}
	var sizes []int
	p := &tap{TPM: tr, change: func(_, answer []byte) []byte {
		sizes = append(sizes, len(answer))
		return answer
	}}
	if err := run.do(p); err != nil {
		t.Fatal(err)
	}
	noticed, harmless := 0, 0
	for i, size := range sizes {
		for at := 0; at < size; at += stride(size) {
			n, changed := 0, false
			p.change = func(_, answer []byte) []byte {
				if n == i && at < len(answer) {
					answer[at] ^= 0x10
					changed = true
				}
				n++
				return answer
			}
			err := run.do(p)
			switch {
			case errors.Is(err, errAccepted):
				t.Fatalf("answer %d of %d, byte %d: %v", i, len(sizes), at, err)
			case err != nil:
				noticed++
			case changed:
				harmless++
			}
			flushAll(t, tr)
		}
	}
	t.Logf("%d answers, %d changes noticed, %d harmless", len(sizes), noticed, harmless)
	if harmless*10 > noticed {
		t.Errorf("%d changes of %d not noticed", harmless, noticed+harmless)
	}
}

// Bytes of the commands that run in the session are changed: the TPM
// refuses, by their HMAC, whatever it does not refuse before, and counts nothing
// towards lockout.
func TestBytesOfEveryCommand(t *testing.T) {
	tr := emulator(t, "ready")
	run := newShortRun(t, tr)
	var commands [][]byte
	p := &tap{TPM: tr, before: func(command []byte) []byte {
		commands = append(commands, bytes.Clone(command))
		return nil
	}}
	if err := run.do(p); err != nil {
		t.Fatal(err)
	}
	tried := 0
	for i, c := range commands {
		if binary.BigEndian.Uint16(c) != 0x8002 || !inSession(c) {
			continue
		}
		for at := 10; at < len(c); at += stride(len(c)) {
			n, ran := 0, true
			p.before = func(command []byte) []byte {
				if n++; n-1 != i || at >= len(command) {
					return nil
				}
				changed := bytes.Clone(command)
				changed[at] ^= 0x10
				answer, err := tr.Send(changed)
				if err != nil {
					t.Fatal(err)
				}
				ran = binary.BigEndian.Uint32(answer[6:]) == 0
				return answer
			}
			_ = run.do(p)
			if ran && n > i {
				t.Errorf("%s, byte %d of %d: the TPM ran it", ccNames[commandCode(c)], at, len(c))
			}
			tried++
			flushAll(t, tr)
		}
	}
	if tried < 200 {
		t.Errorf("%d changes only", tried)
	}
	if n := lockoutCounter(t, tr); n != 0 {
		t.Errorf("%d wrong values counted", n)
	}
}

// inSession reports whether a policy or HMAC session is among the authorizations
// of a command.
func inSession(c []byte) bool {
	for h := byte(2); h <= 3; h++ {
		for i := 0; i < 3; i++ {
			if bytes.Contains(c[10:], []byte{h, 0, 0, byte(i), 0, 16}) {
				return true
			}
		}
	}
	return false
}
