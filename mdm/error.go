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

// An Error is a call that failed: of this package, of mdm/omadm or of mdm/esp.
// An empty field means that the failure has no such part.
type Error struct {
	// Op is the call that failed: "Nonce" or "Exchange" of a TokenClient;
	// "Discover", "Policy", "Attest", "Enroll", "Renew" or "Recover" of a Client;
	// "Session" of package mdm/omadm; "Setup" of package mdm/esp.
	Op string

	// URL is the service's, without query. It is empty if nothing was sent.
	URL string

	// HTTPStatus is the status of the answer, or 0 if there was none.
	HTTPStatus int

	// OAuth is the error code of a token endpoint, such as "invalid_grant"
	// (RFC 6749, section 5.2).
	OAuth string

	// Fault is the fault in a SOAP answer, or nil.
	Fault *Fault

	// Message is what the server says about the failure: the reason in a fault,
	// the description of an OAuth error, or the words in an answer of another
	// form, such as JSON, text or a web page. It has no control characters, and is
	// shortened if it is long.
	Message string

	// Detail is the Message in the detail of Fault, in the form of Message. It is
	// often the sentence that tells most.
	Detail string

	// TraceID identifies the call to the operator of the server.
	TraceID string

	// RetryAfter is the pause that the server asks for, or 0.
	RetryAfter time.Duration

	// Err is the cause. It may be nil if there is a Fault, an OAuth code or an
	// HTTPStatus that tells it.
	Err error

	// Warnings tell why servers may refuse the token that was sent, see
	// [Claims.Warnings]. They may or may not be the cause.
	Warnings []string

	location        string // target of a redirect
	from            string // URL that led to URL by a redirect, or ""
	preprovisioning bool   // the device enrolls without a user
	password        bool   // a password authenticates the call, not a token
	clocks          wire.Clocks
}

// A Fault is a SOAP fault, 1.1 or 1.2 ([MS-MDE2] section 2.2.10). Texts have at
// most 1000 bytes and no control characters; an empty one means that the fault
// does not have it.
type Fault struct {
	Code    string // with its prefix, such as "s:Receiver"
	Subcode string // with its prefix, such as "s:Authorization"
	Reason  string // for people
	Type    string // ErrorType in the detail, such as "DeviceCapReached"
	Number  uint32 // ErrorCode in the detail of [MS-WSTEP], an HRESULT; 0 if there is none
	TraceID string // TraceId in the detail
}

// Error returns the operation, the URL, the cause, the server's words and the
// code. It has no control characters, whatever the server said.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("mdm: " + e.Op)
	if e.URL != "" {
		b.WriteString(" " + e.URL)
	}
	if e.from != "" {
		b.WriteString(", redirected from " + e.from)
	}
	b.WriteString(": " + e.what())
	if said := e.ServerMessage(); said != "" {
		fmt.Fprintf(&b, ": %q", said)
	}
	if code := e.HRESULT(); code != 0 && code != codeNoEnvelope { // that code says only that the status was 200
		fmt.Fprintf(&b, " (0x%08X)", code)
	}
	return wire.Visible(b.String())
}

// what returns the cause: of a fault its codes, else the OAuth code, else Err,
// else the HTTP status.
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
		return wire.Cause(e.Err, e.URL)
	default:
		return fmt.Sprintf("HTTP status %d", e.HTTPStatus)
	}
}

// Unwrap returns e.Err, which may be nil.
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

// ServerMessage returns e.Message, and after it e.Detail if that says something
// else.
func (e *Error) ServerMessage() string {
	if strings.Contains(e.Message, e.Detail) {
		return e.Message
	}
	return strings.TrimPrefix(e.Message+": "+e.Detail, ": ")
}

// Reference returns e.TraceID.
func (e *Error) Reference() string { return e.TraceID }

// RetryDelay returns e.RetryAfter.
func (e *Error) RetryDelay() time.Duration { return e.RetryAfter }

// HRESULT returns the code that Windows has for the failure, or 0 if it has
// none. It is
//   - a code of the MENROLL_E_ family (0x8018…) for faults, for refused documents
//     and keys, and for a refused TLS certificate of the management server;
//   - 0x80180033 for status 429 of the management server, and for other answers
//     0x80190000 plus the HTTP status, such as 0x801900C8 for a status 200 without
//     a SOAP envelope;
//   - a WinHTTP code (0x80072…) for failures of the network, and for an answer of
//     the token endpoint that cannot be read.
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

// certificateCode returns the code for a refused TLS certificate of the
// management server.
func (e *Error) certificateCode() uint32 {
	if e.Op == opDiscover && badCertificate(e.Err) == certificateDate {
		return codeDiscoveryDate
	}
	return codeInvalidCert
}

// What may be wrong with a server's TLS certificate.
const (
	certificateDate = iota + 1
	certificateOther
)

// badCertificate returns what is wrong with a server's TLS certificate, or 0 if
// err is about something else.
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

// soap reports whether the call was to the management server, not to the token
// endpoint or to Azure Attestation.
func (e *Error) soap() bool { return e.Op != opNonce && e.Op != opExchange && e.Op != opAttest }

// Retryable reports whether the same call may succeed later without any change:
// after a fault or an OAuth error that tells of a busy or broken
// server, a status such as 429 or 503, or a failure of the network. The end of
// the caller's context is not retryable.
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
