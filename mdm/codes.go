package mdm

import "strings"

// Codes that this package uses: of the MENROLL_E_ family in winerror.h of the
// Windows SDK, and one of the HTTP family.
const (
	codeMessageFormat      uint32 = 0x80180001
	codeAuthentication     uint32 = 0x80180002
	codeAuthorization      uint32 = 0x80180003
	codeCertificateRequest uint32 = 0x80180004
	codeEnrollmentServer   uint32 = 0x80180005
	codeInternalService    uint32 = 0x80180006
	codeInvalidSecurity    uint32 = 0x80180007
	codeUnknown            uint32 = 0x80180008
	codeDiscoveryDate      uint32 = 0x8018000D
	codeInvalidCert        uint32 = 0x80180012
	codeDeviceCapReached   uint32 = 0x80180013
	codeDeviceNotSupported uint32 = 0x80180014
	codeNotSupported       uint32 = 0x80180015
	codeNotEligible        uint32 = 0x80180016
	codeInMaintenance      uint32 = 0x80180017
	codeUserLicense        uint32 = 0x80180018
	codeEnrollmentData     uint32 = 0x80180019
	codeInsecureRedirect   uint32 = 0x8018001A
	codeProvCertStore      uint32 = 0x8018001E
	codeProvW7             uint32 = 0x8018001F
	codeProvUnknown        uint32 = 0x80180023
	codeProvCertNotFound   uint32 = 0x80180024
	codeKeyCreation        uint32 = 0x80180027
	codeNotConfigured      uint32 = 0x80180031
	codeCustomServer       uint32 = 0x80180032
	codeServer429          uint32 = 0x80180033
	codeNoEnvelope         uint32 = 0x801900C8 // HTTP status 200 without a SOAP envelope
)

// Subcodes and error types of faults ([MS-MDE2] section 2.2.10). They are in
// lower case here because servers differ in case, as do the text of the
// specification and its examples.
var (
	subcodes = map[string]uint32{
		"messageformat":        codeMessageFormat,
		"authentication":       codeAuthentication,
		"authorization":        codeAuthorization,
		"certificaterequest":   codeCertificateRequest,
		"enrollmentserver":     codeEnrollmentServer,
		"internalservicefault": codeInternalService,
		"invalidsecurity":      codeInvalidSecurity,
	}
	errorTypes = map[string]uint32{
		"devicecapreached":      codeDeviceCapReached,
		"devicenotsupported":    codeDeviceNotSupported,
		"notsupported":          codeNotSupported,
		"noteligibletorenew":    codeNotEligible,
		"inmaintenance":         codeInMaintenance,
		"userlicense":           codeUserLicense,
		"invalidenrollmentdata": codeEnrollmentData,
		"customservererror":     codeCustomServer,
	}
)

// hresult returns the code of the fault's error type, or else of its subcode,
// or else the code in its detail, or else that of an unknown error.
func (f *Fault) hresult() uint32 {
	if code, ok := errorTypes[strings.ToLower(f.Type)]; ok {
		return code
	}
	prefix, name, ok := strings.Cut(f.Subcode, ":")
	if !ok {
		prefix, name = "", f.Subcode
	}
	if code, ok := subcodes[strings.ToLower(name)]; ok {
		return code
	}
	switch {
	case f.Number != 0:
		return f.Number
	case strings.EqualFold(prefix, "a"): // of the server's SOAP stack
		return codeInternalService
	}
	return codeUnknown
}

// retryable reports whether a fault tells of a state of the server that may
// pass.
func (f *Fault) retryable() bool {
	switch f.hresult() {
	case codeEnrollmentServer, codeInternalService, codeInMaintenance:
		return true
	}
	return false
}
