package hresult_test

import (
	"testing"

	"github.com/whiteglove/whiteglove/internal/hresult"
)

// The values are those that Windows documents for these symbols.
func TestCodes(t *testing.T) {
	for _, c := range []struct {
		name      string
		got, want uint32
	}{
		{"HTTP_E_STATUS_BAD_REQUEST", hresult.HTTP(400), 0x80190190},
		{"HTTP_E_STATUS_NOT_FOUND", hresult.HTTP(404), 0x80190194},
		{"HTTP_E_STATUS_SERVICE_UNAVAIL", hresult.HTTP(503), 0x801901F7},
		{"TPM_20_E_FAILURE", hresult.TPM(0x101), 0x80280101},
		{"TPM_20_E_OBJECT_MEMORY", hresult.TPM(0x902), 0x80280902},
		{"TPM_20_E_LOCKOUT", hresult.TPM(0x921), 0x80280921},
		{"TPM_20_E_HANDLE, handle 1", hresult.TPM(0x18B), 0x8028008B},
		{"TPM_20_E_INTEGRITY, parameter 1", hresult.TPM(0x1DF), 0x8028009F},
		{"success", hresult.TPM(0), 0},
	} {
		if c.got != c.want {
			t.Errorf("%s: %#x, want %#x", c.name, c.got, c.want)
		}
	}
}
