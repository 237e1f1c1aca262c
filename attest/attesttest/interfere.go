package attesttest

import (
	"bytes"
	"encoding/binary"
	"time"
)

const rcRetry = 0x922

// interfere does what Delay, Fail and Retrying say about a command. If it returns
// a response code, the command is not run.
func (t *TPM) interfere(command []byte) uint32 {
	name := commandName(command)
	if t.cfg.Delay != nil {
		time.Sleep(t.cfg.Delay(name))
	}
	if t.cfg.Fail != nil {
		if rc := t.cfg.Fail(name); rc != 0 {
			return rc
		}
	}
	const sessions = 0x8002
	if t.cfg.Retrying && len(command) >= 10 && binary.BigEndian.Uint16(command) == sessions {
		if !bytes.Equal(t.busy, command) {
			t.busy = bytes.Clone(command)
			return rcRetry
		}
		t.busy = nil
	}
	return 0
}

// refusal returns the response that consists of a response code.
func refusal(rc uint32) []byte {
	b := binary.BigEndian.AppendUint32([]byte{0x80, 0x01}, 10)
	return binary.BigEndian.AppendUint32(b, rc)
}
