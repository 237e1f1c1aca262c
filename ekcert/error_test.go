package ekcert_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/scep"
)

func TestError(t *testing.T) {
	busy := &scep.Error{Op: "PKCSReq", HTTPStatus: 503, FailInfo: scep.NoFailInfo}
	for name, tt := range map[string]struct {
		err       ekcert.Error
		text      string
		code      uint32
		retryable bool
		remedy    bool
	}{
		"not found": {
			ekcert.Error{Op: "find", Err: ekcert.ErrNotFound},
			"ekcert: find: no endorsement key certificate", 0x80092004, false, true,
		},
		"mismatch": {
			ekcert.Error{Op: "find", Origin: "nv:0x01C00002", Err: ekcert.ErrMismatch},
			"ekcert: find: nv:0x01C00002: certificate is for another key", 0x8007000D, false, true,
		},
		"expired": {
			ekcert.Error{Op: "verify", Err: fmt.Errorf("%w: yesterday", ekcert.ErrExpired)},
			"ekcert: verify: certificate is not valid at this time: yesterday", 0x800B0101, false, true,
		},
		"no enrollment": {
			ekcert.Error{Op: "enroll", HTTPStatus: 404, Err: ekcert.ErrNoEnrollment},
			"ekcert: enroll: CA does not enroll endorsement keys", 0x80190194, false, true,
		},
		"the server's words": {
			ekcert.Error{Op: "enroll", Message: "tpm-revoked", Err: ekcert.ErrRevoked},
			"ekcert: enroll: endorsement key is revoked: tpm-revoked", 0x800B010C, false, true,
		},
		"words that are in the cause": {
			ekcert.Error{Op: "enroll", Message: "tpm-revoked", Err: errors.New("tpm-revoked")},
			"ekcert: enroll: tpm-revoked", 0, false, false,
		},
		"no service": {
			ekcert.Error{Op: "find", HTTPStatus: 405, Err: ekcert.ErrNoService},
			"ekcert: find: service does not serve certificates in this way", 0x80190195, false, true,
		},
		"busy service": {ekcert.Error{Op: "find", HTTPStatus: 429, Err: errors.New("HTTP status 429")}, "ekcert: find: HTTP status 429", 0x801901AD, true, true},
		"busy server":  {ekcert.Error{Op: "enroll", HTTPStatus: 503, Err: busy}, "ekcert: enroll: " + busy.Error(), 0x801901F7, true, true},
		"moved":        {ekcert.Error{Op: "find", HTTPStatus: 300, Err: errors.New("no")}, "ekcert: find: no", 0x8019012C, false, true},
		"what came":    {ekcert.Error{Op: "find", HTTPStatus: 299, Err: errors.New("no")}, "ekcert: find: no", 0, false, false},
		"origin twice": {ekcert.Error{Op: "find", Origin: "nv:0x01C00002", Err: errors.New("nv:0x01C00002 is odd")}, "ekcert: find: nv:0x01C00002 is odd", 0, false, false},
		"connection":   {ekcert.Error{Op: "enroll", Err: io.ErrUnexpectedEOF}, "ekcert: enroll: it ends too early", 0x80072EFF, true, true},
		"else":         {ekcert.Error{Op: "find", Err: errors.New("else")}, "ekcert: find: else", 0, false, false},
	} {
		e := &tt.err
		if e.Error() != tt.text || e.HRESULT() != tt.code || e.Retryable() != tt.retryable || (e.Remedy() != "") != tt.remedy {
			t.Errorf("%s: %q, %#x, retryable %v, remedy %q", name, e.Error(), e.HRESULT(), e.Retryable(), e.Remedy())
		}
		if !errors.Is(e, tt.err.Err) {
			t.Errorf("%s: cause is lost", name)
		}
	}
}

// The service of an error is a server, not the place in a TPM.
func TestErrorService(t *testing.T) {
	for origin, want := range map[string]string{"": "", "nv:0x01C00002": "", "https://ekop.intel.com/x": "https://ekop.intel.com/x"} {
		if got := (&ekcert.Error{Origin: origin}).Service(); got != want {
			t.Errorf("%q: %q", origin, got)
		}
	}
}

// TestRemedyByMaker checks that there is different advice for makers with a service.
func TestRemedyByMaker(t *testing.T) {
	intel := (&ekcert.Error{Op: "find", Vendor: "INTC", Err: ekcert.ErrNotFound}).Remedy()
	other := (&ekcert.Error{Op: "find", Vendor: "IFX", Err: ekcert.ErrNotFound}).Remedy()
	if intel == other || intel == "" || other == "" {
		t.Errorf("%q, %q", intel, other)
	}
}

// A service that sends what is no certificate is told apart from a TPM that has none,
// and from a service that sends another one.
func TestMalformedRemedy(t *testing.T) {
	const service = "https://ek.test/x"
	for name, tt := range map[string]struct {
		err  ekcert.Error
		want bool
	}{
		"of a service":           {ekcert.Error{Op: "find", Origin: service, Err: ekcert.ErrMalformed}, true},
		"of a TPM":               {ekcert.Error{Op: "find", Origin: "nv:0x01C00002", Err: ekcert.ErrMalformed}, false},
		"a serial of a service":  {ekcert.Error{Op: "find", Origin: service, Err: errors.Join(ekcert.ErrMalformed, ekcert.ErrNegativeSerial)}, false},
		"another of the service": {ekcert.Error{Op: "find", Origin: service, Err: ekcert.ErrMismatch}, false},
	} {
		if got := strings.HasPrefix(tt.err.Remedy(), "What the service sent"); got != tt.want {
			t.Errorf("%s: %q", name, tt.err.Remedy())
		}
	}
}
