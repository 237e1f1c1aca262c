package attest

import (
	"errors"
	"testing"

	"github.com/google/go-tpm/tpm2"
)

// The header of an answer, and the handle behind it.
func TestAnswerHeader(t *testing.T) {
	sessions, none := []byte{0x80, 0x02}, []byte{0x80, 0x01}
	answer := func(tag []byte, size, code uint32, rest ...byte) []byte {
		b := append([]byte{tag[0], tag[1], byte(size >> 24), byte(size >> 16), byte(size >> 8), byte(size)}, byte(code>>24), byte(code>>16), byte(code>>8), byte(code))
		return append(b, rest...)
	}
	handle := []byte{0x80, 0, 0, 7}
	for name, tt := range map[string]struct {
		command, answer []byte
		code            tpm2.TPMRC
		made            tpm2.TPMHandle
		fails           error
	}{
		"nothing":                  {none, nil, 0, 0, errAnswer},
		"nine bytes":               {none, answer(none, 9, 0)[:9], 0, 0, errAnswer},
		"a header":                 {none, answer(none, 10, 0), 0, 0, nil},
		"a header with a handle":   {none, answer(none, 14, 0, handle...), 0, 0x80000007, nil},
		"half a handle":            {none, answer(none, 13, 0, handle[:3]...), 0, 0, nil},
		"says less than it has":    {none, answer(none, 13, 0, handle...), 0, 0x80000007, errAnswer},
		"says more than it has":    {none, answer(none, 15, 0, handle...), 0, 0x80000007, errAnswer},
		"the largest":              {none, answer(none, maxResponse, 0, append(handle, make([]byte, maxResponse-14)...)...), 0, 0x80000007, nil},
		"too large":                {none, answer(none, maxResponse+1, 0, append(handle, make([]byte, maxResponse-13)...)...), 0, 0x80000007, errAnswer},
		"a code":                   {sessions, answer(none, 10, 0x101), 0x101, 0, nil},
		"no sessions":              {sessions, answer(none, 10, 0), 0, 0, errAnswer},
		"sessions of nobody":       {none, answer(sessions, 10, 0), 0, 0, errAnswer},
		"an answer of a TPM 1.2":   {none, answer([]byte{0, 0xC4}, 10, 0x1E), 0, 0, ErrNoTPM},
		"a code, and of a TPM 1.2": {sessions, answer([]byte{0, 0xC4}, 10, 0), 0, 0, ErrNoTPM},
	} {
		p := &port{tpm: new(TPM), name: "TPM2_Load"}
		code, err := p.check(tt.command, tt.answer)
		if code != tt.code || p.made != tt.made || !errors.Is(err, tt.fails) {
			t.Errorf("%s: %v, made %v, %v", name, code, p.made, err)
		}
	}
	p := &port{tpm: new(TPM), name: "TPM2_NV_Read"}
	if _, err := p.check(none, answer(none, 14, 0, handle...)); err != nil || p.made != 0 {
		t.Errorf("NV_Read made %v, %v", p.made, err)
	}
}
