package scep

import (
	"crypto/x509"
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
	// ErrUntrusted is wrapped when a CA's certificate does not lead to the
	// roots, or a reply or a new certificate is not signed by the CA.
	ErrUntrusted = errors.New("not the CA's")

	// ErrMalformed is wrapped when an answer cannot be read or is too large.
	ErrMalformed = errors.New("malformed answer")

	// ErrMismatch is wrapped when a reply belongs to another message, or a
	// certificate to another key.
	ErrMismatch = errors.New("not what was asked for")

	// ErrDecrypt is wrapped when a reply cannot be opened. It does not say
	// why, so that nobody learns from it.
	ErrDecrypt = errors.New("cannot decrypt the reply")

	// ErrLegacy is wrapped when a server uses SHA-1 or triple DES, or names
	// nothing better, and [Client.AllowLegacy] is not set.
	ErrLegacy = errors.New("older algorithm")

	// ErrAlgorithm is wrapped when a reply is in an algorithm that is never
	// taken, such as single DES or MD5.
	ErrAlgorithm = errors.New("unsupported algorithm")

	// ErrCapability is wrapped when a server does not name a capability that
	// is needed, or uses one that it did not name.
	ErrCapability = hresult.NewError(hresult.NotSupported, "capability not advertised")
)

// A FailInfo is the reason a server gives for a failure.
type FailInfo int

// The reasons of RFC 8894, section 3.2.1.4, with NoFailInfo for none.
const (
	NoFailInfo      FailInfo = -1
	BadAlg          FailInfo = 0
	BadMessageCheck FailInfo = 1
	BadRequest      FailInfo = 2
	BadTime         FailInfo = 3
	BadCertID       FailInfo = 4
)

// String returns the reason's name in RFC 8894.
func (f FailInfo) String() string {
	switch f {
	case NoFailInfo:
		return "none"
	case BadAlg:
		return "badAlg"
	case BadMessageCheck:
		return "badMessageCheck"
	case BadRequest:
		return "badRequest"
	case BadTime:
		return "badTime"
	case BadCertID:
		return "badCertId"
	}
	return fmt.Sprintf("failInfo %d", int(f))
}

// An Error is an exchange that failed.
type Error struct {
	Op         string        // "GetCACaps", "GetCACert", "GetCACertChain", "GetNextCACert", or the name of a messageType
	URL        string        // without query
	HTTPStatus int           // of the answer; 0 if there was none
	FailInfo   FailInfo      // of a SCEP failure, else NoFailInfo
	Code       uint32        // HRESULT the server sent; 0 if none
	Message    string        // the server's own words; "" if none
	RetryAfter time.Duration // pause the server asks for; 0 if none
	Err        error         // cause; nil if the server's refusal is all there is
}

// Error returns "scep: operation URL: what happened".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("scep: " + e.Op)
	if e.URL != "" {
		b.WriteString(" " + e.URL)
	}
	if e.HTTPStatus != 0 && e.HTTPStatus != http.StatusOK {
		fmt.Fprintf(&b, ": HTTP status %d", e.HTTPStatus)
	}
	if e.FailInfo != NoFailInfo {
		b.WriteString(": " + e.FailInfo.String())
	}
	if e.Message != "" {
		fmt.Fprintf(&b, ": %q", e.Message)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	if code := e.HRESULT(); code != 0 {
		fmt.Fprintf(&b, " (%#08x)", code)
	}
	return b.String()
}

// Codes of winerror.h.
const (
	badAlgorithm = 0x80090008 // NTE_BAD_ALGID
	badSignature = 0x80090006 // NTE_BAD_SIGNATURE
	certExpired  = 0x800B0101 // CERT_E_EXPIRED: not valid at this time
)

// untimely reports whether a certificate was refused for its time.
func untimely(err error) bool {
	var invalid x509.CertificateInvalidError
	return errors.As(err, &invalid) && invalid.Reason == x509.Expired
}

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// Operation returns e.Op.
func (e *Error) Operation() string { return e.Op }

// Service returns e.URL.
func (e *Error) Service() string { return e.URL }

// Status returns e.HTTPStatus.
func (e *Error) Status() int { return e.HTTPStatus }

// ServerMessage returns e.Message.
func (e *Error) ServerMessage() string { return e.Message }

// RetryDelay returns e.RetryAfter.
func (e *Error) RetryDelay() time.Duration { return e.RetryAfter }

// Protocol returns "SCEP" and the failInfo's name, or "" if there is no
// failInfo.
func (e *Error) Protocol() string {
	if e.FailInfo == NoFailInfo {
		return ""
	}
	return "SCEP " + e.FailInfo.String()
}

// HRESULT returns e.Code, or the code Windows has for the HTTP status, the
// failInfo, the network failure or the kind of error; 0 if it has none.
func (e *Error) HRESULT() uint32 {
	if e.Code != 0 {
		return e.Code
	}
	if e.HTTPStatus >= 300 {
		return hresult.HTTP(e.HTTPStatus)
	}
	switch {
	case e.FailInfo == BadTime, untimely(e.Err):
		return certExpired
	case e.FailInfo == BadAlg:
		return badAlgorithm
	case e.FailInfo == BadMessageCheck:
		return badSignature
	case errors.Is(e.Err, ErrUntrusted):
		return hresult.CertUntrusted
	case errors.Is(e.Err, ErrLegacy), errors.Is(e.Err, ErrAlgorithm):
		return badAlgorithm
	case errors.Is(e.Err, ErrMalformed), errors.Is(e.Err, ErrMismatch), errors.Is(e.Err, ErrDecrypt):
		return hresult.InvalidData
	}
	return wire.HRESULT(e.Err)
}

// Retryable reports whether the same call may succeed later: after passing
// HTTP and network failures, and after badTime once the clock is right.
func (e *Error) Retryable() bool {
	switch {
	case e.FailInfo != NoFailInfo:
		return e.FailInfo == BadTime
	case e.HTTPStatus != 0 && e.HTTPStatus != http.StatusOK:
		return wire.RetryableStatus(e.HTTPStatus)
	}
	return wire.Retryable(e.Err)
}

// Remedy returns what a technician can do, or "".
func (e *Error) Remedy() string {
	switch {
	case e.FailInfo == BadTime:
		return "Set the device's clock, then run again."
	case e.FailInfo == BadAlg:
		return "The CA refuses the algorithms that it advertises: ask its operator to correct its capabilities."
	case e.FailInfo == BadRequest && e.Code == 0:
		return "The CA refuses the request: check the challenge password and the names asked for."
	case e.FailInfo == BadMessageCheck:
		return "The CA cannot read or verify the message: check that it is the expected CA, and ask its operator."
	case e.FailInfo == BadCertID:
		return "The CA does not know the certificate or transaction: enroll anew."
	case errors.Is(e.Err, ErrLegacy):
		return "The CA uses SHA-1 or triple DES: ask its operator for SHA-256 and AES, or permit older algorithms."
	case errors.Is(e.Err, ErrAlgorithm):
		return "The CA uses an algorithm that is never taken, such as single DES: ask its operator for SHA-256 and AES."
	case errors.Is(e.Err, ErrMismatch):
		return "The answer is to another request: ask the CA's operator, and whether something between answers in its place."
	case errors.Is(e.Err, ErrMalformed), errors.Is(e.Err, ErrDecrypt):
		return "The answer cannot be read: check the address, and ask the CA's operator."
	case e.HTTPStatus == http.StatusNotFound:
		return "There is no CA at this address: check it."
	case untimely(e.Err):
		return "A certificate is not valid at this time: set the device's clock, and have the CA's operator check that of the CA."
	case errors.Is(e.Err, ErrUntrusted):
		return "The CA is not the expected one: check the roots, and whether a proxy inspects the connection."
	case errors.Is(e.Err, ErrCapability):
		return "The CA does not offer what is needed: check its address, or permit older algorithms if it has no others."
	case wire.HRESULT(e.Err) == hresult.SecureFailure:
		return "Take this address out of the proxy's TLS inspection, or trust its root."
	}
	return ""
}
