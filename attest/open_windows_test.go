package attest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpmutil/tbs"
)

// What TBS answers has its own code and advice, at any place.
func TestTBSCodes(t *testing.T) {
	for code, says := range map[tbs.Error]string{
		tbs.ErrServiceNotRunning:   "Start the service TBS",
		tbs.ErrServiceDisabled:     "Enable the service TBS",
		tbs.ErrServiceStartPending: "Wait a little",
		tbs.ErrCommandCanceled:     "Run again",
		tbs.ErrAccessDenied:        "administrator",
		tbsBlocked:                 "blocked TPM commands",
	} {
		for _, e := range []*Error{
			{Op: "Open", Err: fmt.Errorf("%w: %w", ErrNoTPM, code)},
			{Op: "TPM2_Sign", Err: code},
			{Op: "EventLog", Err: code},
		} {
			if e.HRESULT() != uint32(code) || !strings.Contains(e.Remedy(), says) {
				t.Errorf("%v: %#x, %q", e, e.HRESULT(), e.Remedy())
			}
			again := code == tbs.ErrServiceStartPending || code == tbs.ErrCommandCanceled
			if e.Retryable() != again {
				t.Errorf("%v: retryable: %t", e, e.Retryable())
			}
		}
	}
	for _, e := range []*Error{
		{Op: "Open", Err: fmt.Errorf("%w: %w", ErrNoTPM, tbs.ErrTPMNotFound)},
		{Op: "Open", Err: fmt.Errorf("%w: %w", ErrNoTPM, errTPM12)},
		{Op: "EventLog", Err: fmt.Errorf("%w: %w", errNoLog, tbs.ErrNoEventLog)},
		{Op: "EventLog", Err: fmt.Errorf("%w: %w", errLogDenied, tbs.ErrAccessDenied)},
	} {
		if e.Remedy() == "" || e.HRESULT() == 0 {
			t.Errorf("%v: %#x, %q", e, e.HRESULT(), e.Remedy())
		}
	}
}

// There is one TPM, without a path.
func TestOpenPath(t *testing.T) {
	_, err := Open("/dev/tpm0")
	var e *Error
	if !errors.As(err, &e) || !errors.Is(err, ErrNoTPM) || !strings.Contains(e.Remedy(), "Leave out the path") {
		t.Errorf("%v", err)
	}
}
