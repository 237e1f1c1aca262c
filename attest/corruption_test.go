package attest_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

// campaign reports whether every byte is tried, not some of each message.
func campaign() bool { return os.Getenv("WHITEGLOVE_CAMPAIGN") != "" }

// A message is a command or an answer of a run.
type message struct {
	cc    tpm2.TPMCC
	bytes []byte
}

// A meddler changes one byte of the message with one number.
type meddler struct {
	transport.TPM
	answers bool // or the commands
	number  int  // -1: none
	at      int
	met     bool
	seen    []message
	ran     bool // the TPM ran the changed command
}

func (m *meddler) Send(command []byte) ([]byte, error) {
	n := len(m.seen)
	if !m.answers && n == m.number && m.at < len(command) {
		m.met = true
		command = bytes.Clone(command)
		command[m.at] ^= 0x04
	}
	answer, err := m.TPM.Send(command)
	if err != nil {
		return nil, err
	}
	cc := commandCode(command)
	if m.answers {
		m.seen = append(m.seen, message{cc: cc, bytes: bytes.Clone(answer)})
		if n == m.number && m.at < len(answer) {
			m.met = true
			answer[m.at] ^= 0x04
		}
		return answer, nil
	}
	m.seen = append(m.seen, message{cc: cc, bytes: bytes.Clone(command)})
	m.ran = m.ran || n == m.number && binary.BigEndian.Uint32(answer[6:]) == 0
	return answer, nil
}

// meddle runs r once for each of the bytes, each changed in one run, and passes
// on how that went.
func meddle(t *testing.T, r *wholeRun, answers bool, result func(m *meddler, of message, err error)) {
	t.Helper()
	first := &meddler{TPM: r.tpm(t), answers: answers, number: -1}
	if err := r.do(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	type spot struct{ number, at int }
	spots := make(chan spot)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for s := range spots {
				m := &meddler{TPM: r.tpm(t), answers: answers, number: s.number, at: s.at}
				err := r.do(t.Context(), m)
				mu.Lock()
				if m.met {
					result(m, first.seen[s.number], err)
				}
				mu.Unlock()
			}
		})
	}
	tried := 0
	for i, s := range first.seen {
		step := 1
		if !campaign() {
			step += len(s.bytes) / 6
		}
		for at := (i * 5) % step; at < len(s.bytes); at += step {
			spots <- spot{i, at}
			tried++
		}
	}
	close(spots)
	wg.Wait()
	t.Logf("%d messages, %d bytes changed", len(first.seen), tried)
}

// harmless are the fields of answers of which a change may pass without an
// error, and why.
var harmless = map[string]string{
	"CreatePrimary creation data": "not used",
	"CreatePrimary creation hash": "not used",
	"CreatePrimary ticket":        "not used",
	"FlushContext header":         "told of a failure, the client flushes again and loads anew what it then lacks",
	"GetCapability more":          "as with the values",
	"GetCapability values":        "not signed; keys and certificates found by them are judged by what they are",
	"NV_ReadPublic name":          "not used: NV_Read is authorized by password",
	"NV_ReadPublic public":        "attributes, and the policy, that do not matter to the read",
	"NV_ReadPublic refusal":       "the tag and the kind of handle do not matter",
	"NV_Read size of the data":    "what was cut off is read by the next",
	"PCR_Read counter":            "not used",
	"PCR_Read values":             "the quote does not fit, so they are read again",
	"PolicySecret ticket":         "not used",
	"ReadPublic public":           "where it is no key any more, the endorsement key is made from its template",
	"ReadPublic qualified name":   "not used",
	"ReadPublic refusal":          "the tag and the kind of handle do not matter",
	"StartAuthSession handle":     "the TPM knows no such session, so the method starts from scratch",
}

// Bytes of every answer of a run are changed, one a run. The run fails, or
// nothing depends on the byte; in no case a key, a secret or a statement is
// other than without the change.
func TestBytesOfEveryAnswer(t *testing.T) {
	met := map[string]bool{}
	for _, state := range []string{"ready", "fresh"} {
		t.Run(state, func(t *testing.T) {
			noticed, missed := 0, map[string]int{}
			meddle(t, newWholeRun(t, state), true, func(m *meddler, of message, err error) {
				field := fmt.Sprintf("%s %s", ccNames[of.cc], fieldOf(of, m.at))
				switch {
				case errors.Is(err, errAccepted):
					t.Errorf("%s, byte %d: %v", field, m.at, err)
				case err != nil:
					noticed++
				default:
					missed[field]++
				}
			})
			for _, field := range slices.Sorted(maps.Keys(missed)) {
				met[field] = true
				if harmless[field] == "" {
					t.Errorf("%s: %d changes not noticed", field, missed[field])
				}
			}
			t.Logf("%d noticed, not noticed: %v", noticed, missed)
		})
	}
	for field := range harmless {
		if campaign() && !met[field] {
			t.Errorf("%s: every change was noticed", field)
		}
	}
}

// unprotected are the commands that run outside the session, and so may run
// changed, and why that does no harm.
var unprotected = map[string]string{
	"CreatePrimary": "creation data is not used; another key is refused, or is the one without a certificate",
	"EvictControl":  "keys made under the storage key then do not load",
	"FlushContext":  "what stays loaded is flushed again, or nothing depends on it",
	"GetCapability": "as with its answers",
	"NV_Read":       "what was not read is read by the next",
	"NV_ReadPublic": "another index, which is not there either",
	"PCR_Read":      "the quote does not fit, so they are read again",
	"PolicySecret":  "a limit that is not met",
	"ReadPublic":    "another key, which is not there either",
	// TPMs that refuse to be sent a salt for their RSA key do the same.
	"StartAuthSession": "the TPM refuses the salt, and a session salted to another of its keys is started",
}

// Bytes of every command of a run are changed, one a run. What runs in the
// session the TPM refuses, by its HMAC; nothing comes out of the run that is
// other than without the change; and nothing counts towards lockout.
func TestBytesOfEveryCommand(t *testing.T) {
	for _, state := range []string{"ready", "fresh"} {
		t.Run(state, func(t *testing.T) {
			tried, missed := 0, map[string]int{}
			meddle(t, newWholeRun(t, state), false, func(m *meddler, of message, err error) {
				name := ccNames[of.cc]
				switch {
				case errors.Is(err, errAccepted):
					t.Errorf("%s, byte %d: %v", name, m.at, err)
				case inSession(of.bytes):
					tried++
					if m.ran {
						t.Errorf("%s, byte %d of %d: the TPM ran it", name, m.at, len(of.bytes))
					}
				case err == nil:
					missed[name]++
				}
				if n := lockoutCounter(t, m.TPM); n != 0 {
					t.Errorf("%s, byte %d: %d wrong values counted", name, m.at, n)
				}
			})
			for _, name := range slices.Sorted(maps.Keys(missed)) {
				if unprotected[name] == "" {
					t.Errorf("%s: %d changes not noticed", name, missed[name])
				}
			}
			t.Logf("%d in the session, others not noticed: %v", tried, missed)
		})
	}
}

// inSession reports whether a policy or HMAC session is among the authorizations
// of a command.
func inSession(c []byte) bool {
	for h := byte(2); h <= 3; h++ {
		for i := range byte(3) {
			if binary.BigEndian.Uint16(c) == 0x8002 && bytes.Contains(c[10:], []byte{h, 0, 0, i, 0, 16}) {
				return true
			}
		}
	}
	return false
}
