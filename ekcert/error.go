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
	// ErrNotFound is returned by Find if no source has a certificate, and by a
	// [Fetcher] if the service has none for the key.
	ErrNotFound = errors.New("no endorsement key certificate")

	// ErrMismatch is returned by Find and Verify if the certificate is for
	// another key than the one given.
	ErrMismatch = errors.New("certificate is for another key")

	// ErrMalformed is returned by Parse and Find if a certificate cannot be
	// parsed or is an attribute certificate, and by Verify if there is none, if its kind of key is not
	// supported or the key is one that no TPM can have, if it has too many
	// issuers or one with an RSA key over 8192 bits, or if a critical
	// alternative name cannot be read.
	ErrMalformed = errors.New("certificate cannot be read")

	// ErrNegativeSerial is wrapped together with ErrMalformed if the reason is a
	// negative serial number, which crypto/x509 refuses.
	ErrNegativeSerial = errors.New("serial number is negative")

	// ErrUntrusted is returned by Verify if the certificate does not lead to a
	// trusted root of its maker, or has a critical extension that is not known.
	ErrUntrusted = errors.New("certificate does not lead to a trusted root of its maker")

	// ErrExpired is returned by Verify if the certificate or a CA above it is
	// not valid at this time.
	ErrExpired = errors.New("certificate is not valid at this time")

	// ErrRevoked is returned by Verify if a CRL names a certificate of the
	// chain, and by Enroll if the CA says that the TPM is revoked.
	ErrRevoked = errors.New("endorsement key is revoked")

	// ErrNotEK is returned by Verify if the certificate says that it is for
	// another purpose, such as one of an attestation key or a CA.
	ErrNotEK = errors.New("not an endorsement key certificate")

	// ErrWeakKey is returned by Verify and Enroll if anyone can compute the
	// private key, because the public key has the fingerprint of CVE-2017-15361
	// (ROCA).
	ErrWeakKey = errors.New("private key can be computed (CVE-2017-15361)")

	// ErrNoService is returned by [Service.Fetch] and Find if the service
	// answers with HTTP status 403 or 405.
	ErrNoService = errors.New("service does not serve certificates in this way")
)

// Errors of an enrollment that an [Error] may wrap. None of them goes away by
// trying again.
var (
	// ErrNoEnrollment is returned if the URL is not found (HTTP status 404), the
	// CA does not advertise the profile, or it departs from it.
	ErrNoEnrollment = errors.New("CA does not enroll endorsement keys")

	// ErrUntrustedCA is returned if the CA does not lead to a root of the
	// maker. Nothing about the TPM was sent to it.
	ErrUntrustedCA = errors.New("CA does not lead to a root of the TPM's maker")

	// ErrAtRisk is returned if the CA refuses the TPM because of a published
	// weakness. The [Error] has the advisory in Message.
	ErrAtRisk = errors.New("TPM is known to be at risk")

	// ErrUnknownManufacturer is returned if the CA does not certify TPMs of this
	// maker.
	ErrUnknownManufacturer = errors.New("CA does not know the TPM's maker")

	// ErrUnsupportedEK is returned if the CA does not certify keys of this
	// algorithm or size.
	ErrUnsupportedEK = errors.New("CA does not certify this kind of endorsement key")
)

// errNoRoot is wrapped with ErrUntrustedCA if no CA was asked, because none could be trusted.
var errNoRoot = errors.New("no root is configured")

// An Error says why a certificate could not be obtained or cannot be trusted. Its
// methods also serve programs that read errors without importing this package, such
// as package diagnose.
type Error struct {
	// Op is the operation: "find", "fetch" ([Service.Fetch]), "parse", "verify"
	// or "enroll".
	Op string

	// Origin is where the certificate is from or was requested: "nv:0x01C00002",
	// "system", "service", or a URL without its query and without the part that
	// identifies the TPM. It is empty if that is not known.
	Origin string

	Vendor     string        // short name of the maker; empty if not known
	HTTPStatus int           // of the answer; 0 if no server answered
	RetryAfter time.Duration // pause that the server asked for; 0 if none
	Message    string        // the server's own description, in printable characters; empty if it gave none
	Err        error         // cause; never nil
}

// Error returns "ekcert: ", the operation, the origin, the text of Err, and the
// server's message if that is not part of it.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("ekcert: " + e.Op + ": ")
	cause := wire.Cause(e.Err, e.Origin)
	if e.Origin != "" && !strings.Contains(cause, e.Origin) {
		b.WriteString(e.Origin + ": ")
	}
	b.WriteString(cause)
	if e.Message != "" && !strings.Contains(e.Err.Error(), e.Message) {
		b.WriteString(": " + e.Message)
	}
	return b.String()
}

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// Operation returns e.Op.
func (e *Error) Operation() string { return e.Op }

// Service returns e.Origin if it is a URL, else "".
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
	certExpired       uint32 = 0x800B0101 // CERT_E_EXPIRED
	certWrongUsage    uint32 = 0x800B0110 // CERT_E_WRONG_USAGE
	revocationOffline uint32 = 0x80092013 // CRYPT_E_REVOCATION_OFFLINE
	notSupported      uint32 = 0x80070032 // ERROR_NOT_SUPPORTED
	vulnerableTPM     uint32 = 0x81039024 // the code that Windows setup shows for a vulnerable TPM
	tpmAnswers        uint32 = 0x80280000 // base of TPM 2.0 response codes (lowest 12 bits) and of TPM_E_COMMAND_BLOCKED
	tbsDenied         uint32 = 0x80284012 // TBS_E_ACCESS_DENIED
	tpmHandle         uint32 = 0x8028008B // TPM_20_E_HANDLE
	tpmNVUnwritten    uint32 = 0x8028014A // TPM_20_E_NV_UNINITIALIZED
)

// sentinels has the HRESULT and the remedy of each sentinel. If an error wraps
// several, the first in this order counts.
var sentinels = []struct {
	err     error
	hresult uint32 // 0: the code of the HTTP status, else ERROR_NOT_SUPPORTED
	remedy  string
}{
	{errTPM12, notSupported, "Switch the TPM to version 2.0 in the firmware setup if the machine's maker offers that, and ask the maker for the " +
		"certificate of the TPM 2.0's endorsement key. A TPM 1.2 cannot be used."},
	{errAttribute, hresult.InvalidData, "This certificate describes the machine. Take the certificate of the TPM's endorsement key instead."},
	{errSHA1, hresult.CertUntrusted, "SHA-1 signatures are not accepted. Ask the TPM's maker for a certificate with a newer signature."},
	{ErrAtRisk, vulnerableTPM, "Install the machine maker's TPM firmware update, clear the TPM, then run again."},
	{ErrRevoked, hresult.CertRevoked, "The maker has revoked this TPM's endorsement key or its CA. Have the mainboard or the TPM replaced."},
	{ErrWeakKey, vulnerableTPM, "Install the machine maker's TPM firmware update, clear the TPM, then run again."},
	{ErrUnknownManufacturer, notSupported, "Use the certification service of this TPM's own maker."},
	{ErrUnsupportedEK, notSupported, "Enroll another endorsement key of this TPM. RSA 2048 is the most widely accepted kind."},
	{ErrNoEnrollment, 0, "The service at this URL does not certify endorsement keys. Check the URL."},
	{errNoRoot, hresult.CertUntrusted, "Nothing was sent. Give the root certificate of this TPM's maker (in the programs: in the file of -ek-roots)."},
	{ErrUntrustedCA, hresult.CertUntrusted, "Check that the URL is that of the maker's service and that its root is configured for this maker. " +
		"Nothing about the TPM was sent."},
	{ErrNotEK, certWrongUsage, "The certificate is for another kind of key. Ask the maker for the certificate of the endorsement key."},
	{ErrMismatch, hresult.InvalidData, "The certificate is for another key. Ask the maker for the right one."},
	{ErrNegativeSerial, hresult.InvalidData, "Ask the maker for a certificate with a valid serial number."},
	{ErrMalformed, hresult.InvalidData, "The stored certificate is damaged, or it is something else. Ask the maker for a new one."},
	{ErrExpired, certExpired, "Check the machine's clock. If it is right, ask the maker for a new certificate."},
	{ErrUntrusted, hresult.CertUntrusted, "Add the root certificate of this TPM's maker, or the missing certificates of the CAs below it (in the programs: to the file of -ek-roots)."},
	{ErrNoService, 0, "Check the URL of the maker's service, and that no proxy answers in its place."},
	{ErrNotFound, hresult.CertNotFound, "This TPM has no certificate. Update its firmware, or enroll it with its maker's CA."},
}

// HRESULT returns the code that Windows has for e, or 0 if it has none.
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
	case e.HTTPStatus >= 300:
		return hresult.HTTP(e.HTTPStatus)
	}
	return wire.HRESULT(e.Err)
}

// Retryable reports whether the same call may succeed later. A failure of the
// network, of a server or of the TPM may pass. A decision about a certificate or a
// TPM is final, unless issuers were missing because they could not be fetched.
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

// mayPass reports whether err is a failure of the network that may pass.
func mayPass(err error) bool {
	return errors.Is(err, errSlow) || !errors.Is(err, errElsewhere) && !errors.Is(err, errNotPublic) && wire.Retryable(err)
}

// Remedy returns what a technician can do, in whole sentences, or "" if nothing is
// known to help.
func (e *Error) Remedy() string {
	if errors.Is(e.Err, ErrNotFound) && (e.Vendor == "INTC" || e.Vendor == "AMD") {
		return "Neither the TPM nor its maker's service has a certificate for this key. Update the firmware, which may create a new key."
	}
	if errors.Is(e.Err, wire.ErrWebPage) {
		return wire.RemedyPage
	}
	if errors.Is(e.Err, ErrMalformed) && !errors.Is(e.Err, ErrNegativeSerial) && e.Service() != "" {
		return "What the service sent is not a certificate. Check the URL, and whether a proxy answers in the service's place; then tell the maker."
	}
	for _, s := range sentinels {
		if errors.Is(e.Err, s.err) {
			return s.remedy
		}
	}
	var r interface{ Remedy() string }
	if errors.As(e.Err, &r) && r.Remedy() != "" {
		return r.Remedy()
	}
	if text := wire.Remedy(e.Err); text != "" {
		return text
	}
	return wire.StatusRemedy(e.HTTPStatus, e.RetryAfter)
}
