package hresult

// Codes that more than one package uses. Codes of a single package, such as the
// MENROLL_E_ family of mdm, are in that package.
const (
	Timeout          uint32 = 0x800705B4 // ERROR_TIMEOUT, as setup screens show it
	InternetTimeout  uint32 = 0x80072EE2 // ERROR_INTERNET_TIMEOUT
	NameNotResolved  uint32 = 0x80072EE7 // ERROR_INTERNET_NAME_NOT_RESOLVED
	CannotConnect    uint32 = 0x80072EFD // ERROR_INTERNET_CANNOT_CONNECT
	ConnectionReset  uint32 = 0x80072EFF // ERROR_INTERNET_CONNECTION_RESET
	SecureFailure    uint32 = 0x80072F8F // ERROR_WINHTTP_SECURE_FAILURE (also ERROR_INTERNET_DECODING_FAILED): TLS failed
	RedirectFailed   uint32 = 0x80072F7C // ERROR_HTTP_REDIRECT_FAILED
	HTTPSToHTTP      uint32 = 0x80072F08 // ERROR_INTERNET_HTTPS_TO_HTTP_ON_REDIR
	CertNotFound     uint32 = 0x80092004 // CRYPT_E_NOT_FOUND
	CertUntrusted    uint32 = 0x800B0109 // CERT_E_UNTRUSTEDROOT
	CertRevoked      uint32 = 0x800B010C // CERT_E_REVOKED
	InvalidData      uint32 = 0x8007000D // ERROR_INVALID_DATA
	AccessDenied     uint32 = 0x80070005 // E_ACCESSDENIED
	Canceled         uint32 = 0x80004004 // E_ABORT
	Fail             uint32 = 0x80004005 // E_FAIL
	FileNotFound     uint32 = 0x80070002 // ERROR_FILE_NOT_FOUND
	NotFound         uint32 = 0x80070490 // ERROR_NOT_FOUND
	InvalidResponse  uint32 = 0x80072F78 // ERROR_WINHTTP_INVALID_SERVER_RESPONSE
	ValidationFailed uint32 = 0x80090032 // NTE_VALIDATION_FAILED
	NotSupported     uint32 = 0x80070032 // ERROR_NOT_SUPPORTED
	httpFacility     uint32 = 0x80190000
	tpm20Facility    uint32 = 0x80280000
	format1Bits      uint32 = 0xBF
	format1          uint32 = 0x80
	rcVersionWarning uint32 = 0xFFF
)

// HTTP returns the HTTP_E_STATUS_ code of an HTTP status, such as 0x80190194 for 404.
func HTTP(status int) uint32 {
	return httpFacility + uint32(status)
}

// TPM returns the TPM_20_E_ code of a TPM 2.0 response code (TCG TPM 2.0 Library Part
// 2, section 6.6). A code of format one loses the bits with the number of the handle,
// session or parameter; see [SubjectOf]. TPM returns 0 for 0.
func TPM(rc uint32) uint32 {
	switch {
	case rc == 0:
		return 0
	case rc&format1 != 0:
		return tpm20Facility | rc&format1Bits
	default:
		return tpm20Facility | rc&rcVersionWarning
	}
}
