package mdm

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// An Error is a call that failed.
type Error struct {
	// Op is the call that failed: "Nonce", "Exchange", "Discover", "Policy",
	// "Enroll", "Renew", "Recover", or "Session" of package mdm/omadm, or "Setup"
	// of package mdm/esp.
	Op         string
	URL        string        // without query; empty if nothing was sent
	HTTPStatus int           // 0 if there was no answer
	OAuth      string        // error of a token answer, such as "invalid_grant"
	Fault      *Fault        // of a SOAP answer; nil if there was none
	Message    string        // the server's own words, shortened
	TraceID    string        // to quote to the server's operator
	RetryAfter time.Duration // 0 if the server named none
	Err        error         // what failed; may be nil beside a Fault or OAuth

	// Warnings are what servers are known to refuse in the token that was
	// sent, see [Claims.Warnings]. They may be the cause, or not.
	Warnings []string

	location        string // of a redirect
	preprovisioning bool   // the device enrolls without a user
}

// A Fault is a SOAP fault, 1.1 or 1.2 ([MS-MDE2] section 2.2.10).
type Fault struct {
	Code    string // as sent, such as "s:Receiver"
	Subcode string // as sent, such as "s:Authorization"
	Reason  string // the server's words, shortened
	Type    string // ErrorType in the detail, such as "DeviceCapReached"
	Number  uint32 // ErrorCode in the detail of [MS-WSTEP]; 0 if there is none
	TraceID string // TraceId in the detail
}

// Error implements error.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("mdm: " + e.Op)
	if e.URL != "" {
		b.WriteString(" " + e.URL)
	}
	b.WriteString(": " + e.what())
	if e.Message != "" {
		fmt.Fprintf(&b, ": %q", e.Message)
	}
	if code := e.HRESULT(); code != 0 {
		fmt.Fprintf(&b, " (%#x)", code)
	}
	return b.String()
}

func (e *Error) what() string {
	switch {
	case e.Fault != nil:
		parts := []string{"fault"}
		for _, s := range []string{e.Fault.Code, e.Fault.Subcode, e.Fault.Type} {
			if s != "" {
				parts = append(parts, s)
			}
		}
		return strings.Join(parts, " ")
	case e.OAuth != "":
		return e.OAuth
	case e.Err != nil:
		return e.Err.Error()
	default:
		return fmt.Sprintf("HTTP status %d", e.HTTPStatus)
	}
}

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// Operation returns e.Op.
func (e *Error) Operation() string { return e.Op }

// Service returns e.URL.
func (e *Error) Service() string { return e.URL }

// Status returns e.HTTPStatus.
func (e *Error) Status() int { return e.HTTPStatus }

// Protocol returns "SOAP" with the codes of the fault, such as
// "SOAP s:Receiver/s:Authorization/DeviceCapReached", or "OAuth" with the
// token service's error, or "".
func (e *Error) Protocol() string {
	if e.Fault != nil {
		return wire.Protocol("SOAP", e.Fault.Code, e.Fault.Subcode, e.Fault.Type)
	}
	return wire.Protocol("OAuth", e.OAuth)
}

// ServerMessage returns e.Message.
func (e *Error) ServerMessage() string { return e.Message }

// Reference returns e.TraceID.
func (e *Error) Reference() string { return e.TraceID }

// RetryDelay returns e.RetryAfter.
func (e *Error) RetryDelay() time.Duration { return e.RetryAfter }

// HRESULT returns the code Windows has for e: of the MENROLL_E_ family
// (0x8018…) for faults, refused documents and refused certificates of servers,
// 0x80190000 plus the HTTP status for other answers (0x801900C8 for a 200 that
// is no SOAP envelope), a WinHTTP code for network failures, and 0 if there is
// none.
func (e *Error) HRESULT() uint32 {
	code, coded := hresult.Coded(e.Err)
	switch {
	case e.HTTPStatus == http.StatusOK && !e.soap() && e.OAuth == "":
		return hresult.InvalidResponse
	case e.Fault != nil:
		return e.Fault.hresult()
	case coded:
		return code
	case errors.Is(e.Err, wire.ErrInsecure):
		return codeInsecureRedirect
	case e.HTTPStatus == 429 && e.soap():
		return codeServer429
	case e.HTTPStatus == 0 && e.soap() && badCertificate(e.Err) != 0:
		return e.certificateCode()
	case e.HTTPStatus != 0:
		return hresult.HTTP(e.HTTPStatus)
	}
	return wire.HRESULT(e.Err)
}

// certificateCode returns the code for a server whose TLS certificate is
// refused.
func (e *Error) certificateCode() uint32 {
	if e.Op == opDiscover && badCertificate(e.Err) == certificateDate {
		return codeDiscoveryDate
	}
	return codeInvalidCert
}

// What may be wrong with a server's certificate.
const (
	certificateDate = iota + 1
	certificateOther
)

// badCertificate returns what is wrong with a server's certificate, or 0.
func badCertificate(err error) int {
	var (
		refused *tls.CertificateVerificationError
		invalid x509.CertificateInvalidError
	)
	switch {
	case !errors.As(err, &refused):
		return 0
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return certificateDate
	}
	return certificateOther
}

// soap reports whether e is of a call to the management server.
func (e *Error) soap() bool { return e.Op != opNonce && e.Op != opExchange }

// Retryable reports whether the same call may succeed later.
func (e *Error) Retryable() bool {
	switch {
	case e.Fault != nil:
		return e.Fault.retryable()
	case e.OAuth == "temporarily_unavailable", e.OAuth == "server_error":
		return true
	case e.HTTPStatus != 0:
		return wire.RetryableStatus(e.HTTPStatus)
	}
	return wire.Retryable(e.Err)
}
