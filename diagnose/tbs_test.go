package diagnose_test

import (
	"testing"

	"github.com/whiteglove/whiteglove/diagnose"
)

// uncertain is an error with a code and a remedy that it may not know, as package
// attest has them for what TBS answers.
type uncertain struct {
	code   uint32
	remedy string
}

func (u uncertain) Error() string     { return "TBS refuses" }
func (u uncertain) Operation() string { return "TPM2_Sign" }
func (u uncertain) HRESULT() uint32   { return u.code }
func (u uncertain) Remedy() string    { return u.remedy }

// Every code of TBS has a remedy also where the error has none, and the error's own
// stays.
func TestTBSRemedies(t *testing.T) {
	codes := []uint32{0x80280400, 0x80280401, 0x80280402, 0x80280403, 0x80280404}
	for code := uint32(0x80284001); code <= 0x80284017; code++ {
		codes = append(codes, code)
	}
	for _, code := range codes {
		if d := diagnose.Explain(uncertain{code: code}); d.Remedy == "" || d.HRESULT != code {
			t.Errorf("%#x: %s", code, d)
		}
		if d := diagnose.Explain(uncertain{code, "Do this."}); d.Remedy != "Do this." {
			t.Errorf("%#x: %s", code, d)
		}
	}
}
