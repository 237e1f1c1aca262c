package scep

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

// Errors that an [Error] may wrap. None of them goes away by itself.
var (
	// ErrUntrusted is returned by [Client.CA] if the CA's certificates do not
	// lead to the roots, by all methods that check a reply if the CA did not
	// sign the reply or what is in it, or a certificate or revocation list is
	// not valid now, and by methods that fetch certificates if there are no
	// Roots, no Fingerprint and no TLS.
	ErrUntrusted = errors.New("not trusted")

	// ErrMalformed is returned by all methods of [Client] that read an answer if
	// it does not have the form that RFC 8894 demands or is too large.
	ErrMalformed = errors.New("malformed answer")

	// ErrMismatch is returned by all methods that check a reply if it belongs to
	// another message, or if it has no certificate or revocation list of the kind
	// asked for, or a certificate for another key.
	ErrMismatch = errors.New("answer does not match the request")

	// ErrDecrypt is returned by all methods that check a reply if it cannot be
	// decrypted. It is the only error for all causes, so that an attacker who
	// sends forged replies learns nothing from it (RFC 3218).
	ErrDecrypt = errors.New("cannot decrypt the reply")

	// ErrLegacy is returned if a server uses SHA-1 or DES in a reply, or
	// advertises nothing better, and [Client.AllowLegacy] is not set.
	ErrLegacy = errors.New("older algorithm not permitted")

	// ErrAlgorithm is returned if a reply uses an algorithm that is never
	// accepted, such as MD5, or single DES in a challenge.
	ErrAlgorithm = errors.New("unsupported algorithm")

	// ErrCapability is returned if a server does not advertise a capability that
	// is needed, or uses one that it does not advertise.
	ErrCapability = hresult.NewError(hresult.NotSupported, "capability not advertised")
)

// errUnvouched is wrapped with ErrUntrusted if nothing was sent, because nothing could tell
// whose the answer is.
var errUnvouched = errors.New("nothing vouches for the CA: there are no roots, no fingerprint and no TLS")

// A FailInfo is the reason that a CA gives for refusing a message.
type FailInfo int

// The reasons of RFC 8894, section 3.2.1.4. Their values are not the numbers of the
// RFC, which are one less: the zero value is that of an [Error] without a reason.
const (
	NoFailInfo      FailInfo = iota
	BadAlg                   // unknown or unsupported algorithm
	BadMessageCheck          // signature, digest or decryption failed
	BadRequest               // request not permitted or not supported
	BadTime                  // signing time too far from the CA's clock
	BadCertID                // no such certificate or transaction
)

// sent returns the FailInfo of a number in a message.
func sent(number int) FailInfo { return FailInfo(number + 1) }

// String returns the reason's name in RFC 8894, such as "badAlg"; "none" for
// NoFailInfo; or "failInfo" and the number.
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

// An Error is the error of all methods of [Client] that talk to a server: one
// exchange that failed. Its methods also serve programs that read errors without
// importing this package, such as package diagnose.
type Error struct {
	// Op is the operation: "GetCACaps", "GetCACert", "GetCACertChain",
	// "GetNextCACert", or the kind of message that was sent: "PKCSReq",
	// "RenewalReq", "CertPoll", "GetCert", "GetCRL", "ChallengeAnswer".
	Op string

	// URL is the server's, without query, fragment and user.
	URL string

	// HTTPStatus is the HTTP status of the answer. It is 0 if there was no
	// answer, and may be 0 if the status was 200.
	HTTPStatus int

	// FailInfo is the reason that the CA gave if it refused the message, else
	// NoFailInfo.
	FailInfo FailInfo

	// Code is the HRESULT in the Windows error attribute
	// (1.3.6.1.4.1.311.21.33) of a refusal; 0 if there is none.
	Code uint32

	// Message is the server's own description, empty if it gave none: the
	// failInfoText of a refusal, or the Message (JSON), the text or the first words
	// of a web page in the body of an answer. It has printable characters only, and is
	// not authenticated unless it is of a refusal.
	Message string

	// RetryAfter is the pause that the server asked for in the Retry-After field
	// of an HTTP error; 0 if it asked for none.
	RetryAfter time.Duration

	// Err is the cause. It is nil if FailInfo or HTTPStatus is the cause.
	Err error

	clocks wire.Clocks // at the answer
}

// Error returns "scep: ", the operation, the URL, and what is known of the
// cause: the HTTP status unless it is 200, the failInfo, the server's message in
// quotes, the text of Err without the URL, and the HRESULT in hexadecimal.
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
		b.WriteString(": " + wire.Cause(e.Err, e.URL))
	}
	if code := e.HRESULT(); code != 0 {
		fmt.Fprintf(&b, " (0x%08X)", code)
	}
	return b.String()
}

// Codes of winerror.h.
const (
	badAlgorithm = 0x80090008 // NTE_BAD_ALGID
	badSignature = 0x80090006 // NTE_BAD_SIGNATURE
	certExpired  = 0x800B0101 // CERT_E_EXPIRED: not valid at this time
)

// untimely reports whether a certificate was refused because it is expired or
// not yet valid.
func untimely(err error) bool {
	var invalid x509.CertificateInvalidError
	return errors.As(err, &invalid) && invalid.Reason == x509.Expired
}

// isHandshake reports whether TLS refused a certificate. Windows has a code of its own
// for that, whatever the reason.
func isHandshake(err error) bool {
	var refused *tls.CertificateVerificationError
	return errors.As(err, &refused)
}

// Unwrap returns e.Err, which may be nil.
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

// Protocol returns "SCEP" and the name of the failInfo, such as "SCEP
// badRequest", or "" if the CA gave none.
func (e *Error) Protocol() string {
	if e.FailInfo == NoFailInfo {
		return ""
	}
	return "SCEP " + e.FailInfo.String()
}

// HRESULT returns e.Code if that is not 0, else the code that Windows has for
// the HTTP status, the failInfo, the wrapped error or the network failure; 0 if
// it has none.
func (e *Error) HRESULT() uint32 {
	if e.Code != 0 {
		return e.Code
	}
	if e.HTTPStatus >= 300 {
		return hresult.HTTP(e.HTTPStatus)
	}
	switch {
	case e.FailInfo == BadTime, untimely(e.Err) && !isHandshake(e.Err):
		return certExpired
	case e.FailInfo == BadAlg:
		return badAlgorithm
	case e.FailInfo == BadMessageCheck:
		return badSignature
	case errors.Is(e.Err, errUnvouched):
		return 0 // no certificate was seen
	case errors.Is(e.Err, ErrUntrusted):
		return hresult.CertUntrusted
	case errors.Is(e.Err, ErrLegacy), errors.Is(e.Err, ErrAlgorithm):
		return badAlgorithm
	case errors.Is(e.Err, ErrMalformed), errors.Is(e.Err, ErrMismatch), errors.Is(e.Err, ErrDecrypt):
		return hresult.InvalidData
	}
	return wire.HRESULT(e.Err)
}

// Retryable reports whether the same call may succeed later. That is so after a
// network failure and after an HTTP status such as 503 (see the package
// documentation). After badTime somebody has to set a clock first.
func (e *Error) Retryable() bool {
	switch {
	case e.FailInfo != NoFailInfo:
		return false
	case e.HTTPStatus != 0 && e.HTTPStatus != http.StatusOK:
		return wire.RetryableStatus(e.HTTPStatus)
	}
	return wire.Retryable(e.Err)
}

// Remedy returns what a technician can do, in whole sentences, or "" if nothing
// is known to help.
func (e *Error) Remedy() string {
	if e.FailInfo == BadTime || untimely(e.Err) && !isHandshake(e.Err) || wire.SpeaksOfTime(e.Message) {
		if remedy := e.clocks.Differ(); remedy != "" {
			return remedy
		}
	}
	switch {
	case e.FailInfo == BadTime:
		return "The clocks of this device and of the CA differ. Compare both with the right time, and set the one that is wrong."
	case e.FailInfo == BadAlg:
		return "The CA refuses the algorithms that it advertises. Ask its operator to correct its capabilities."
	case e.FailInfo == BadRequest && e.Code == 0 && e.Op == "RenewalReq":
		return "The CA refuses the renewal, or does not allow any. Check the names in the request, and enroll anew otherwise."
	case e.FailInfo == BadRequest && e.Code == 0:
		return "The CA refuses the request. Check the challenge password and the names in the request."
	case e.FailInfo == BadMessageCheck:
		return "The CA cannot decrypt or verify the message. Check that it is the expected CA, and ask its operator."
	case e.FailInfo == BadCertID:
		return "The CA does not know the certificate or the transaction. Enroll again from the beginning."
	case e.HTTPStatus == http.StatusNotFound:
		return "There is no CA at this address. Check the address."
	case e.HTTPStatus != 0 && e.HTTPStatus != http.StatusOK:
		return wire.StatusRemedy(e.HTTPStatus, e.RetryAfter)
	case errors.Is(e.Err, wire.ErrWebPage):
		return wire.RemedyPage
	case errors.Is(e.Err, ErrLegacy) && errors.Is(e.Err, ErrCapability):
		return "The CA does not advertise SHA-256 and AES. Check the address, ask its operator to enable them, or permit older algorithms."
	case errors.Is(e.Err, ErrLegacy):
		return "The CA uses SHA-1 or DES. Ask its operator to enable SHA-256 and AES, or permit older algorithms."
	case errors.Is(e.Err, ErrAlgorithm):
		return "The CA uses an algorithm that is never accepted, such as MD5. Ask its operator to enable SHA-256 and AES."
	case errors.Is(e.Err, ErrMismatch):
		return "The answer belongs to another request. Check whether a proxy answers in the CA's place, and ask the CA's operator."
	case errors.Is(e.Err, ErrMalformed), errors.Is(e.Err, ErrDecrypt):
		return "The answer cannot be read. Check the address, and ask the CA's operator."
	case wire.DateOf(e.Err) != nil:
		return wire.DateOf(e.Err).Remedy()
	case isHandshake(e.Err):
		return wire.Remedy(e.Err)
	case untimely(e.Err):
		return "A certificate is not valid at this time. Compare the device's clock with the right time, and set it if it is wrong. If it is right, the CA's operator must correct the certificate or the CA's clock."
	case errors.Is(e.Err, errUnvouched):
		return "Nothing was sent. Give the CA's root certificate (in the programs: -roots FILE), or use https."
	case errors.Is(e.Err, errFingerprint):
		return "Compare the fingerprints with the CA's operator (in the programs: -ca-fingerprint), and check that no proxy answers in the CA's place."
	case errors.Is(e.Err, ErrUntrusted):
		return "The CA is not the expected one. Check the trusted roots, and whether a proxy inspects the connection."
	case errors.Is(e.Err, ErrCapability):
		return "The CA does not offer what is needed. Check its address, and ask its operator."
	}
	return wire.Remedy(e.Err)
}
