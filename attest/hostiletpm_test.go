package attest_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
)

// A liar answers as a script says: four bytes for each answer, of which the
// first says what becomes of it and the others how.
type liar struct {
	transport.TPM
	script []byte
	last   []byte
	sent   int
}

var errEndless = errors.New("too many commands")

func (l *liar) Send(command []byte) ([]byte, error) {
	if l.sent++; l.sent > 500 {
		return nil, errEndless
	}
	answer, err := l.TPM.Send(command)
	if err != nil || len(l.script) < 4 {
		return answer, err
	}
	s := l.script[:4]
	l.script = l.script[4:]
	at := int(binary.BigEndian.Uint16(s[1:])) % len(answer)
	genuine := bytes.Clone(answer)
	switch s[0] % 9 {
	case 1:
		answer[at] ^= s[3]
	case 2:
		answer[at] = s[3]
	case 3:
		answer = answer[:at]
	case 4:
		answer = fixSize(answer[:at])
	case 5:
		answer = fixSize(append(answer, bytes.Repeat(s[3:], at)...))
	case 6:
		answer = append([]byte{0x80, 1, 0, 0, 0, 10, 0, 0}, s[2:]...) // a response code
	case 7:
		answer = bytes.Clone(l.last)
	case 8: // what follows, in place of this one
		n := min(int(s[3]), len(l.script))
		answer = fixSize(append(answer[:min(at, len(answer))], l.script[:n]...))
		l.script = l.script[n:]
	}
	l.last = genuine
	return answer, nil
}

func fixSize(b []byte) []byte {
	if len(b) >= 6 {
		binary.BigEndian.PutUint32(b[2:], uint32(len(b)))
	}
	return b
}

// A TPM that answers what it likes, or somebody who answers for it, gets neither
// a panic nor an endless loop, nor anything accepted that is not genuine.
func FuzzAnswers(f *testing.F) {
	runs := []*wholeRun{newWholeRun(f, "ready"), newWholeRun(f, "fresh")}
	for s := range runs[0].stages() {
		for i := range 9 {
			op := byte(i)
			f.Add(byte(s), []byte{op, 0, 20, 1})
			f.Add(byte(s)|0x80, []byte{0, 0, 0, 0, op, 0, 9, 0x22, 0, 0, 0, 0, op, 0, 14, 8, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0})
			f.Add(byte(s), []byte{0, 0, 0, 0, 0, 0, 0, 0, op, 9, 0x22, 0x22, op, 1, 0x8B, 0x8B, op, 0, 100, 255})
		}
	}
	f.Fuzz(func(t *testing.T, which byte, script []byte) {
		if len(script) > 1024 {
			return
		}
		run := runs[which>>7]
		stages := run.stages()
		s := stages[int(which&0x7F)%len(stages)]
		l := &liar{TPM: run.tpm(t), script: script}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		err := s.do(ctx, &attest.TPM{Transport: l})
		if errors.Is(err, errAccepted) || errors.Is(err, errEndless) || errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Fatalf("%s: %v", s.name, err)
		}
	})
}
