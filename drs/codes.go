package drs

// HRESULTs of the device registration facility (0x801C), with the names in Windows.
const (
	codeFormat         uint32 = 0x801C0001 // DSREG_E_DEVICE_MESSAGE_FORMAT_ERROR
	codeAuthentication uint32 = 0x801C0002 // DSREG_E_DEVICE_AUTHENTICATION_ERROR
	codeAuthorization  uint32 = 0x801C0003 // DSREG_E_DEVICE_AUTHORIZATION_ERROR
	codeInternal       uint32 = 0x801C0006 // DSREG_E_DEVICE_INTERNALSERVICE_ERROR
	codeRedirect       uint32 = 0x801C000B // DSREG_E_DISCOVERY_REDIRECTION_NOT_TRUSTED
	codeQuota          uint32 = 0x801C000E // DSREG_E_DEVICE_REGISTRATION_QUOTA_EXCCEEDED
	codeAIK            uint32 = 0x801C0010 // DSREG_E_DEVICE_AIK_VALIDATION_ERROR
	codeAttestation    uint32 = 0x801C0011 // DSREG_E_DEVICE_ATTESTATION_ERROR
	codeBadDiscovery   uint32 = 0x801C0012 // DSREG_E_DISCOVERY_BAD_MESSAGE_ERROR
	codeBusy           uint32 = 0x801C0025 // DSREG_SERVER_BUSY
	codeNoTenant       uint32 = 0x801C003A // DSREG_DISCOVERY_TENANT_NOT_FOUND
	codeBadAnswer      uint32 = 0x801C03E9 // unnamed: the server's answer is invalid
	codeNoDeviceToken  uint32 = 0x801C03EA // unnamed: attestation failed, no join with a device token
	codeDirectory      uint32 = 0x801C03F2 // DSREG_E_DIRECTORY_FAILURE
	codeNoObject       uint32 = 0x801C03F3 // unnamed: the device object is missing
)

// A cause describes a code or subcode of the server. Its remedy is in the table of
// package hresult, under its name.
type cause struct {
	hresult uint32 // 0 if Windows has none
	passes  bool   // the same call may succeed later
}

// causes are the known codes and subcodes, in lower case.
var causes = map[string]cause{
	"msatickettpmvalidationfailed": {hresult: codeAuthorization},
	"devicetokenkeymismatch":       {hresult: codeAuthorization},
	"aikvalidationfailed":          {hresult: codeAIK},
	"attestationfailed":            {hresult: codeAttestation},
	"tpm_ek_unknown":               {hresult: codeNoDeviceToken},
	"tpm_ek_untrusted":             {hresult: codeAttestation},
	"tpm_aik_attributes":           {hresult: codeAttestation},
	"tpm_dk_attributes":            {hresult: codeAttestation},
	"tpm_aik_untrusted":            {hresult: codeAIK},
	"tpm_activation_failed":        {hresult: codeNoDeviceToken},
	"tpm_challenge_expired":        {hresult: codeNoDeviceToken, passes: true},
	"tpm_challenge_replayed":       {hresult: codeNoDeviceToken, passes: true},
	"ztd_not_assigned":             {hresult: codeNoDeviceToken},
	"ztd_object_missing":           {hresult: codeNoObject},
	"error_missing_device":         {hresult: codeNoObject},
	"devicenotfound":               {hresult: codeNoObject},
	"device_disabled":              {hresult: codeAuthorization},
	"error_tenant_not_found":       {hresult: codeNoTenant},
	"devicecapreached":             {hresult: codeQuota},
	"usermaynotjoin":               {hresult: codeAuthorization},
	"device_not_found":             {hresult: codeNoObject},
	"device_authentication_failed": {hresult: codeAuthentication},
	"session_revoked":              {hresult: codeAuthentication},
	"invalid_grant":                {},
	"directoryerror":               {hresult: codeDirectory},
	"authenticationerror":          {hresult: codeAuthentication},
	"authentication_error":         {hresult: codeAuthentication},
	"authorizationerror":           {hresult: codeAuthorization},
	"authorization_error":          {hresult: codeAuthorization},
}
