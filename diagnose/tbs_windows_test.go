package diagnose_test

import (
	"fmt"
	"testing"

	"github.com/google/go-tpm/tpmutil/tbs"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/diagnose"
)

// Every answer of TBS has a remedy, wherever it comes.
func TestTBSErrors(t *testing.T) {
	codes := []tbs.Error{0x80280400, 0x80280401, 0x80280403}
	for code := tbs.ErrInternalError; code <= tbs.ErrOwnerauthNotFound; code++ {
		codes = append(codes, code)
	}
	for _, code := range codes {
		for _, err := range []error{
			&attest.Error{Op: "Open", Err: fmt.Errorf("%w: %w", attest.ErrNoTPM, code)},
			&attest.Error{Op: "TPM2_Sign", Err: code},
			&attest.Error{Op: "EventLog", Err: code},
		} {
			if d := diagnose.Explain(err); d.Remedy == "" || d.HRESULT != uint32(code) {
				t.Errorf("%v: %s", err, d)
			}
		}
	}
}
