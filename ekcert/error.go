package ekcert

import (
	"errors"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// Errors that an [Error] may wrap.
var (
	ErrNotFound       = errors.New("no endorsement key certificate")
	ErrMismatch       = errors.New("certificate is of another key")
	ErrMalformed      = errors.New("certificate cannot be read")
	ErrNegativeSerial = errors.New("serial number is negative") // with ErrMalformed
	ErrUntrusted      = errors.New("certificate leads to no trusted root of its maker")
	ErrExpired        = errors.New("certificate is not valid at this time")
	ErrRevoked        = errors.New("endorsement key is revoked")
	ErrNotEK          = errors.New("certificate is not one of an endorsement key")
	ErrWeakKey        = errors.New("private key can be computed (CVE-2017-15361)")
	ErrNoService      = errors.New("service does not give out certificates in this way") // HTTP 403, 405
)

// Errors of an enrollment that an [Error] may wrap. None of them goes away by
// trying again.
var (
	ErrNoEnrollment        = errors.New("CA does not enroll endorsement keys")
	ErrUntrustedCA         = errors.New("CA does not lead to a root of the TPM's maker")
	ErrAtRisk              = errors.New("TPM is known to be at risk")
	ErrUnknownManufacturer = errors.New("CA does not know the TPM's maker")
	ErrUnsupportedEK       = errors.New("CA does not certify this kind of endorsement key")
)

// An Error is a certificate that could not be had or does not hold.
type Error struct {
	Op         string        // "find", "fetch", "parse", "verify", "enroll"
	Origin     string        // NV index, URL without query or what names the TPM, or ""
	Vendor     string        // short name of the maker, if known
	HTTPStatus int           // 0 if no server answered
	RetryAfter time.Duration // 0 if the server named none
	Message    string        // the server's own words, if any
	Err        error         // never nil
}

// Error returns "ekcert: op: origin: what happened".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("ekcert: " + e.Op + ": ")
	if e.Origin != "" {
		b.WriteString(e.Origin + ": ")
	}
	b.WriteString(e.Err.Error())
	if e.Message != "" && !strings.Contains(e.Err.Error(), e.Message) {
		b.WriteString(": " + e.Message)
	}
	return b.String()
}

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// Operation returns e.Op.
func (e *Error) Operation() string { return e.Op }

// Service returns the URL of the service that was asked, or "" if e.Origin is
// none.
func (e *Error) Service() string {
	if !strings.Contains(e.Origin, "://") {
		return ""
	}
	return e.Origin
}

// Status returns e.HTTPStatus.
func (e *Error) Status() int { return e.HTTPStatus }

// ServerMessage returns e.Message.
func (e *Error) ServerMessage() string { return e.Message }

// RetryDelay returns e.RetryAfter.
func (e *Error) RetryDelay() time.Duration { return e.RetryAfter }

// Codes that only this package uses.
const (
	certExpired    uint32 = 0x800B0101 // CERT_E_EXPIRED
	certWrongUsage uint32 = 0x800B0110 // CERT_E_WRONG_USAGE
	notSupported   uint32 = 0x80070032 // ERROR_NOT_SUPPORTED
	vulnerableTPM  uint32 = 0x81039024 // as setup screens show it
	tpmAnswers     uint32 = 0x80280000 // of a TPM 2.0, in the lowest 12 bits, or TPM_E_COMMAND_BLOCKED
	tbsDenied      uint32 = 0x80284012 // TBS_E_ACCESS_DENIED
	tpmHandle      uint32 = 0x8028008B // TPM_20_E_HANDLE
	tpmNVUnwritten uint32 = 0x8028014A // TPM_20_E_NV_UNINITIALIZED
)

// sentinels says what is known of each, the more telling ones first.
var sentinels = []struct {
	err     error
	hresult uint32 // 0: that of the HTTP status, else ERROR_NOT_SUPPORTED
	remedy  string
}{
	{ErrAtRisk, vulnerableTPM, "Install the machine maker's TPM firmware update, clear the TPM, then run again."},
	{ErrRevoked, hresult.CertRevoked, "The maker has revoked this TPM's endorsement key or its CA: have the mainboard or the TPM replaced."},
	{ErrWeakKey, vulnerableTPM, "Install the machine maker's TPM firmware update, clear the TPM, then run again."},
	{ErrUnknownManufacturer, notSupported, "Use the certification service of this TPM's own maker."},
	{ErrUnsupportedEK, notSupported, "Enroll another endorsement key of this TPM: RSA 2048 is the most widely accepted."},
	{ErrNoEnrollment, 0, "The service at this URL does not certify endorsement keys: check the URL."},
	{ErrUntrustedCA, hresult.CertUntrusted, "Check that the URL is the maker's service and that its root is configured for this maker. " +
		"Nothing about the TPM was sent."},
	{ErrNotEK, certWrongUsage, "The certificate is of another kind of key: ask the maker for that of the endorsement key."},
	{ErrMismatch, hresult.InvalidData, "The certificate is of another key: ask the maker for the right one."},
	{ErrNegativeSerial, hresult.InvalidData, "Ask the maker for a certificate with a valid serial number."},
	{ErrMalformed, hresult.InvalidData, "The stored certificate is damaged: ask the maker for a new one."},
	{ErrExpired, certExpired, "Check the machine's clock. If it is right, ask the maker for a new certificate."},
	{ErrUntrusted, hresult.CertUntrusted, "Add the root of this TPM's maker, or the issuers that are missing between."},
	{ErrNoService, 0, "Check the URL of the maker's service, and that no proxy answers in its place."},
	{ErrNotFound, hresult.CertNotFound, "This TPM holds no certificate: update its firmware, or enroll it with its maker's CA."},
}

// HRESULT returns the code Windows has for e, or 0.
func (e *Error) HRESULT() uint32 {
	for _, s := range sentinels {
		if !errors.Is(e.Err, s.err) {
			continue
		}
		if s.hresult != 0 {
			return s.hresult
		}
		if e.HTTPStatus != 0 {
			return hresult.HTTP(e.HTTPStatus)
		}
		return notSupported
	}
	var coded interface{ HRESULT() uint32 }
	switch {
	case errors.As(e.Err, &coded):
		return coded.HRESULT()
	case errors.Is(e.Err, errSlow):
		return hresult.InternetTimeout
	case e.HTTPStatus != 0:
		return hresult.HTTP(e.HTTPStatus)
	}
	return wire.HRESULT(e.Err)
}

// Retryable reports whether the same call may succeed later. Nothing that was
// decided about a certificate or a TPM is, unless it was for want of issuers that
// could not be fetched; failures of the network, of a server or of the TPM may
// be.
func (e *Error) Retryable() bool {
	var missing *fetchFailure
	if errors.As(e.Err, &missing) {
		return mayPass(missing.err)
	}
	for _, s := range sentinels {
		if errors.Is(e.Err, s.err) {
			return false
		}
	}
	var r interface{ Retryable() bool }
	if errors.As(e.Err, &r) {
		return r.Retryable()
	}
	return wire.RetryableStatus(e.HTTPStatus) || mayPass(e.Err)
}

// mayPass reports whether a failure of the network may pass.
func mayPass(err error) bool {
	return errors.Is(err, errSlow) || !errors.Is(err, errElsewhere) && wire.Retryable(err)
}

// Remedy returns what a technician can do, or "".
func (e *Error) Remedy() string {
	if errors.Is(e.Err, ErrNotFound) && (e.Vendor == "INTC" || e.Vendor == "AMD") {
		return "Neither the TPM nor its maker's service has a certificate for this key: update the firmware, which may make a new key."
	}
	for _, s := range sentinels {
		if errors.Is(e.Err, s.err) {
			return s.remedy
		}
	}
	var r interface{ Remedy() string }
	if errors.As(e.Err, &r) {
		return r.Remedy()
	}
	return ""
}
