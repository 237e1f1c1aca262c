package scep_test

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

func TestError(t *testing.T) {
	for _, tt := range []struct {
		err       scep.Error
		text      string
		hresult   uint32
		retryable bool
		remedy    string
	}{
		{scep.Error{Op: "PKCSReq", FailInfo: scep.BadTime}, "scep: PKCSReq: badTime (0x800B0101)", 0x800B0101, false, "clock"},
		{scep.Error{Op: "PKCSReq", FailInfo: scep.BadAlg, Message: "no"}, `scep: PKCSReq: badAlg: "no" (0x80090008)`, 0x80090008, false, "algorithms"},
		{scep.Error{Op: "PKCSReq", FailInfo: scep.BadRequest, Code: 0x80094817}, "scep: PKCSReq: badRequest (0x80094817)", 0x80094817, false, ""},
		{scep.Error{Op: "PKCSReq", FailInfo: scep.BadRequest}, "scep: PKCSReq: badRequest", 0, false, "challenge password"},
		{scep.Error{Op: "PKCSReq", FailInfo: scep.BadMessageCheck}, "scep: PKCSReq: badMessageCheck (0x80090006)", 0x80090006, false, "expected CA"},
		{scep.Error{Op: "CertPoll", FailInfo: scep.BadCertID}, "scep: CertPoll: badCertId", 0, false, "Enroll again"},
		{
			scep.Error{Op: "PKCSReq", HTTPStatus: 200, Err: scep.ErrLegacy},
			"scep: PKCSReq: older algorithm not permitted (0x80090008)", 0x80090008, false, "permit older",
		},
		{
			scep.Error{Op: "PKCSReq", HTTPStatus: 200, Err: scep.ErrAlgorithm},
			"scep: PKCSReq: unsupported algorithm (0x80090008)", 0x80090008, false, "MD5",
		},
		{
			scep.Error{Op: "GetCACaps", URL: "https://h/x", HTTPStatus: 404},
			"scep: GetCACaps https://h/x: HTTP status 404 (0x80190194)", 0x80190194, false, "no CA",
		},
		{scep.Error{Op: "GetCACaps", HTTPStatus: 300}, "scep: GetCACaps: HTTP status 300 (0x8019012C)", 0x8019012C, false, "moved"},
		{
			scep.Error{Op: "GetCACert", Err: fmt.Errorf("%w: %w", scep.ErrUntrusted, x509.CertificateInvalidError{Reason: x509.NotAuthorizedToSign})},
			"scep: GetCACert: not trusted: the certificate issued another, but is not a CA's (0x800B0109)", 0x800B0109, false, "roots",
		},
		{scep.Error{Op: "GetCACaps", HTTPStatus: 503}, "scep: GetCACaps: HTTP status 503 (0x801901F7)", 0x801901F7, true, "run again later"},
		{
			scep.Error{Op: "GetCACert", Err: fmt.Errorf("x: %w", scep.ErrUntrusted)},
			"scep: GetCACert: x: not trusted (0x800B0109)", 0x800B0109, false, "roots",
		},
		{
			scep.Error{Op: "PKCSReq", HTTPStatus: 200, Err: scep.ErrDecrypt},
			"scep: PKCSReq: cannot decrypt the reply (0x8007000D)", 0x8007000D, false, "cannot be read",
		},
		{
			scep.Error{Op: "GetCACert", Err: fmt.Errorf("%w: %w", scep.ErrUntrusted, x509.CertificateInvalidError{Reason: x509.Expired})},
			"scep: GetCACert: not trusted: the certificate is outside of its dates (0x800B0101)", 0x800B0101, false, "clock",
		},
		{
			scep.Error{Op: "GetCACert", Err: &tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired}}},
			"scep: GetCACert: the certificate is outside of its dates (0x80072F8F)", 0x80072F8F, false, "clock",
		},
		{scep.Error{Op: "PKCSReq", Err: scep.ErrCapability}, "scep: PKCSReq: capability not advertised", 0, false, "ask its operator"},
		{
			scep.Error{Op: "PKCSReq", Err: fmt.Errorf("%w: no AES: %w", scep.ErrCapability, scep.ErrLegacy)},
			"scep: PKCSReq: capability not advertised: no AES: older algorithm not permitted (0x80090008)", 0x80090008, false, "does not advertise SHA-256 and AES",
		},
		{
			scep.Error{Op: "GetCACaps", URL: "http://ca.test/x", Err: &url.Error{Op: "Get", URL: "http://ca.test/x", Err: io.EOF}},
			"scep: GetCACaps http://ca.test/x: the connection was cut before the answer (0x80072EFF)", 0x80072EFF, true, "ca.test, or a proxy",
		},
		{
			scep.Error{Op: "GetCACaps", URL: "http://ca.test/x", Err: &url.Error{Op: "Get", URL: "http://ca.test/y", Err: io.EOF}},
			`scep: GetCACaps http://ca.test/x: Get "http://ca.test/y": the connection was cut before the answer (0x80072EFF)`, 0x80072EFF, true, "ca.test, or a proxy",
		},
		{scep.Error{Op: "PKCSReq", Err: io.ErrUnexpectedEOF}, "scep: PKCSReq: it ends too early (0x80072EFF)", 0x80072EFF, true, "The service, or a proxy"},
		{
			scep.Error{Op: "PKCSReq", Err: context.DeadlineExceeded},
			"scep: PKCSReq: the time limit ended (0x80072EE2)", 0x80072EE2, false, "",
		},
	} {
		e := &tt.err
		if e.Error() != tt.text || e.HRESULT() != tt.hresult || e.Retryable() != tt.retryable || !errors.Is(e, e.Err) && e.Err != nil {
			t.Errorf("got %q, %#x, %v; want %q", e.Error(), e.HRESULT(), e.Retryable(), tt.text)
		}
		if !strings.Contains(e.Remedy(), tt.remedy) || (tt.remedy == "") != (e.Remedy() == "") {
			t.Errorf("%s: remedy %q", e, e.Remedy())
		}
	}
}

func TestNames(t *testing.T) {
	for got, want := range map[fmt.Stringer]string{
		scep.NoFailInfo: "none", scep.BadMessageCheck: "badMessageCheck", scep.BadCertID: "badCertId", scep.FailInfo(9): "failInfo 9",
		scep.StatusSuccess: "success", scep.StatusPending: "pending", scep.StatusChallenge: "challenge", scep.Status(2): "pkiStatus 2",
	} {
		if got.String() != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// signs and opens hide the other methods of a key, as keys in a TPM do.
type (
	signs struct{ crypto.Signer }
	opens struct{ crypto.Decrypter }
)

func TestOpaqueKeys(t *testing.T) {
	server := &sceptest.Server{RA: true}
	c := start(t, server, server.Roots())
	ca, err := c.CA(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	req := &scep.Request{CSR: newCSR(t, testKey()), Signer: signs{testKey()}, Decrypter: opens{testKey()}}
	if _, err := c.Enroll(t.Context(), ca, req); err != nil {
		t.Error(err)
	}
	req.Decrypter = nil
	if _, err := c.Enroll(t.Context(), ca, req); err == nil {
		t.Error("a Signer that cannot decrypt, and no Decrypter")
	}
}
