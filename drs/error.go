package drs

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// Errors that an [Error] may wrap.
var (
	ErrEndpoint    = errors.New("endpoint is not to be trusted")
	ErrMalformed   = errors.New("answer cannot be read")
	ErrTenant      = errors.New("answer is of another tenant")
	ErrNoChallenge = errors.New("service offers no TPM challenge")
	ErrCertificate = errors.New("certificate is not the one asked for")
	ErrDevice      = errors.New("answer is of another device")
	ErrNotAsked    = errors.New("service did not ask for the device's certificate")
	ErrGone        = errors.New("directory does not know the device")
	ErrSession     = errors.New("session cannot be opened")
)

// An Error is a call that failed.
type Error struct {
	Op              string        // name of the Client's method, such as "Join"
	URL             string        // of the service, without query values; may be empty
	HTTPStatus      int           // 0 if there was no answer
	Code            string        // such as "AuthorizationError" or, from a token endpoint, "invalid_grant"
	Subcode         string        // such as "MsaTicketTpmValidationFailed" or "tpm_ek_unknown"
	ServerOperation string        // the server's name of it, such as "DeviceRenew"
	Message         string        // the server's own words
	RequestID       string        // to quote to the service's operator
	RetryAfter      time.Duration // 0 if the server named none
	Err             error         // nil if the server's refusal is all there is
}

// Error implements error.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "drs: %s", strings.ToLower(e.Op))
	if e.URL != "" {
		fmt.Fprintf(&b, ": %s", e.URL)
	}
	if e.HTTPStatus != 0 {
		fmt.Fprintf(&b, ": %d", e.HTTPStatus)
	}
	for _, s := range []string{e.Code, e.Subcode} {
		if s != "" {
			fmt.Fprintf(&b, ": %s", s)
		}
	}
	if e.Message != "" {
		fmt.Fprintf(&b, ": %q", e.Message)
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// Operation returns e.Op.
func (e *Error) Operation() string { return e.Op }

// Service returns e.URL.
func (e *Error) Service() string { return e.URL }

// Status returns e.HTTPStatus.
func (e *Error) Status() int { return e.HTTPStatus }

// Protocol returns "DRS" with the code and subcode, such as
// "DRS AuthorizationError/tpm_ek_unknown", or "" if there are none.
func (e *Error) Protocol() string { return wire.Protocol("DRS", e.Code, e.Subcode) }

// ServerMessage returns e.Message.
func (e *Error) ServerMessage() string { return e.Message }

// Reference returns e.RequestID.
func (e *Error) Reference() string { return e.RequestID }

// RetryDelay returns e.RetryAfter.
func (e *Error) RetryDelay() time.Duration { return e.RetryAfter }

// HRESULT returns the code Windows has for e: DSREG_E_ (0x801Cxxxx) where the
// server's words are known, else that of the wrapped error, of the HTTP status
// or of the network failure; or 0.
func (e *Error) HRESULT() uint32 {
	switch {
	case errors.Is(e.Err, ErrGone):
		return codeNoObject
	case e.busy() && isJoin(e.Op):
		return codeBusy
	}
	for _, s := range []string{e.Subcode, e.Code} {
		if known, ok := causes[strings.ToLower(s)]; ok && known.hresult != 0 {
			return known.hresult
		}
	}
	var coded interface {
		error
		HRESULT() uint32
	}
	switch {
	case errors.As(e.Err, &coded):
		return coded.HRESULT()
	case errors.Is(e.Err, ErrEndpoint):
		return codeRedirect
	case errors.Is(e.Err, ErrMalformed) && e.Op == opDiscover:
		return codeBadDiscovery
	case errors.Is(e.Err, ErrMalformed), errors.Is(e.Err, ErrCertificate), errors.Is(e.Err, ErrTenant), errors.Is(e.Err, ErrDevice):
		return codeBadAnswer
	case errors.Is(e.Err, ErrNoChallenge):
		return codeNoDeviceToken
	case e.refused():
		return statusCode(e.Op, e.HTTPStatus)
	}
	return wire.HRESULT(e.Err)
}

// refused reports whether the answer's status was an error.
func (e *Error) refused() bool { return e.HTTPStatus >= http.StatusBadRequest }

// busy reports whether the service had too much to do.
func (e *Error) busy() bool {
	return e.HTTPStatus == http.StatusTooManyRequests || e.HTTPStatus == http.StatusServiceUnavailable
}

func isJoin(op string) bool { return op == opJoin || op == opRejoin || op == opLeave }

// statusCode returns the code of a refusal of which only the status is known.
func statusCode(op string, status int) uint32 {
	if isJoin(op) {
		switch {
		case status == http.StatusBadRequest:
			return codeFormat
		case status == http.StatusUnauthorized:
			return codeAuthentication
		case status == http.StatusForbidden:
			return codeAuthorization
		case status >= http.StatusInternalServerError:
			return codeInternal
		}
	}
	return hresult.HTTP(status)
}

// Retryable reports whether the same call may succeed later.
func (e *Error) Retryable() bool {
	if known, ok := causes[strings.ToLower(e.Subcode)]; ok {
		return known.passes
	}
	var judged interface {
		error
		Retryable() bool
	}
	switch {
	case errors.As(e.Err, &judged):
		return judged.Retryable()
	case e.refused():
		return wire.RetryableStatus(e.HTTPStatus) || strings.EqualFold(e.Code, "temporarily_unavailable")
	}
	return wire.Retryable(e.Err)
}

// Remedy returns what a technician can do, or "".
func (e *Error) Remedy() string {
	for _, s := range []string{e.Subcode, e.Code} {
		if known, ok := causes[strings.ToLower(s)]; ok && known.remedy != "" {
			return known.remedy
		}
	}
	var advised interface {
		error
		Remedy() string
	}
	switch {
	case errors.As(e.Err, &advised):
		return advised.Remedy()
	case errors.Is(e.Err, ErrNoChallenge):
		return "The tenant's service cannot check this TPM: join with a ticket that was had elsewhere, or with a user's token."
	case errors.Is(e.Err, ErrGone):
		return "The device has left the tenant already, or an administrator deleted it: join it again."
	case errors.Is(e.Err, ErrNotAsked):
		return "Check for a proxy that opens TLS connections to the registration service."
	case errors.Is(e.Err, ErrSession):
		return "Sign in again: the session is of another transport key."
	case errors.Is(e.Err, ErrEndpoint):
		return "Check for a proxy that rewrites answers of the registration service."
	case errors.Is(e.Err, ErrMalformed):
		return "Check for a proxy that answers in the service's place. If there is none, tell the service's operator."
	case errors.Is(e.Err, ErrCertificate):
		return "Check the device's clock, and for a proxy that rewrites answers of the registration service."
	case e.Retryable():
		return "The service is busy or cannot be reached: try again later."
	case e.HTTPStatus == http.StatusNotFound:
		return "There is no such service at this address: check the address, and for a proxy that answers in its place."
	case e.HTTPStatus == http.StatusBadRequest:
		return "The service cannot read the request: check the address, and for a proxy that changes requests."
	}
	return ""
}
