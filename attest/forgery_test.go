package attest

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest/attesttest"
)

// A forger is a TPM that lies: its answer to one command is changed, with an HMAC that is
// right again. The session must be the last one of the command.
type forger struct {
	transport.TPM
	of     *TPM
	code   tpm2.TPMCC
	change func(parameters []byte) // the first one is encrypted
}

func (f *forger) Send(command []byte) ([]byte, error) {
	answer, err := f.TPM.Send(command)
	code := tpm2.TPMCC(binary.BigEndian.Uint32(command[6:]))
	if err != nil || code != f.code || binary.BigEndian.Uint32(answer[6:]) != 0 {
		return answer, err
	}
	at := 10
	if code == tpm2.TPMCCCreateLoaded || code == tpm2.TPMCCLoad { // the answer begins with a handle
		at += 4
	}
	size := int(binary.BigEndian.Uint32(answer[at:]))
	parameters := answer[at+4 : at+4+size]
	f.change(parameters)
	s := f.of.session
	mac := hashOf(s.alg).Size()
	attributes, nonce := answer[len(answer)-mac-3], answer[len(answer)-mac-3-len(s.nonceTPM):][:len(s.nonceTPM)]
	h := hashOf(s.alg).New()
	putU32(h, 0)
	putU32(h, uint32(code))
	h.Write(parameters)
	decoded, err := tpm2.Unmarshal[tpm2.TPMASession]([]byte{attributes})
	if err != nil {
		return nil, err
	}
	copy(answer[len(answer)-mac:], s.mac(h.Sum(nil), nonce, s.nonceCaller, nil, *decoded))
	return answer, nil
}

// A TPM that answers about another key than the one asked for is not believed, also with
// a right HMAC, and what it has loaded is flushed.
func TestForgedAnswers(t *testing.T) {
	last := func(b []byte) { b[len(b)-1] ^= 1 }
	for name, tt := range map[string]struct {
		code   tpm2.TPMCC
		usage  Usage
		change func([]byte)
		fails  bool
	}{
		"CreateLoaded":                 {tpm2.TPMCCCreateLoaded, Sign, func([]byte) {}, false},
		"CreateLoaded, another name":   {tpm2.TPMCCCreateLoaded, Sign, last, true},
		"CreateLoaded, another point":  {tpm2.TPMCCCreateLoaded, Sign, func(b []byte) { b[len(b)-2-34-1] ^= 1 }, true},
		"CreateLoaded, other purposes": {tpm2.TPMCCCreateLoaded, Sign, func(b []byte) { b[2+int(binary.BigEndian.Uint16(b))+2+7] ^= 0x10 }, true},
		"Load":                         {tpm2.TPMCCLoad, Attest, func([]byte) {}, false},
		"Load, another name":           {tpm2.TPMCCLoad, Attest, last, true},
		"Create, other purposes":       {tpm2.TPMCCCreate, Attest, func(b []byte) { b[2+int(binary.BigEndian.Uint16(b))+2+7] ^= 0x10 }, true},
	} {
		soft, err := attesttest.New(attesttest.Config{})
		if err != nil {
			t.Fatal(err)
		}
		f := &forger{TPM: soft, code: tt.code, change: tt.change}
		tpm := &TPM{Transport: f}
		f.of = tpm
		_, err = tpm.CreateKey(t.Context(), Template{Algorithm: P256, Usage: tt.usage})
		if (err != nil) != tt.fails || tt.fails && !errors.Is(err, errOtherKey) {
			t.Errorf("%s: %v", name, err)
		}
		if handles, err := tpm.handles(t.Context(), 0x80000000, 0x80FFFFFF); err != nil || len(handles) != 0 {
			t.Errorf("%s: left loaded: %x, %v", name, handles, err)
		}
		soft.Close()
	}
}
