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

// A cause describes a code or subcode of the server.
type cause struct {
	hresult uint32 // 0 if Windows has none
	passes  bool   // the same call may succeed later
	remedy  string // may be empty
}

const (
	importAgain = "Delete the device's registration, then import its hardware hash again."
	checkImport = "Check that the device is registered for pre-provisioning in this tenant, with the hardware hash of this TPM."
	newAIK      = "Obtain a certificate for a new attestation key. If that fails, too, update the TPM's firmware."
)

// causes are the known codes and subcodes, in lower case.
var causes = map[string]cause{
	"msatickettpmvalidationfailed": {hresult: codeAuthorization, remedy: "Check the device's clock, and that the device is registered for pre-provisioning. Then update the TPM's firmware."},
	"devicetokenkeymismatch":       {hresult: codeAuthorization, remedy: "Get a new device token, then join with the keys that it is for."},
	"aikvalidationfailed":          {hresult: codeAIK, remedy: newAIK},
	"attestationfailed":            {hresult: codeAttestation, remedy: "Make new keys and join again. Check that no other TPM is in use."},
	"tpm_ek_unknown":               {hresult: codeNoDeviceToken, remedy: checkImport},
	"tpm_ek_untrusted":             {hresult: codeAttestation, remedy: "Check the endorsement key's certificate. The service does not trust its maker."},
	"tpm_aik_attributes":           {hresult: codeAttestation, remedy: newAIK},
	"tpm_dk_attributes":            {hresult: codeAttestation, remedy: "Make a new device key in the TPM."},
	"tpm_aik_untrusted":            {hresult: codeAIK, remedy: newAIK},
	"tpm_activation_failed":        {hresult: codeNoDeviceToken, remedy: "Check that the attestation key and the endorsement key are in the same TPM."},
	"tpm_challenge_expired":        {hresult: codeNoDeviceToken, passes: true, remedy: "Check the device's clock, then try again."},
	"tpm_challenge_replayed":       {hresult: codeNoDeviceToken, passes: true, remedy: "Try again. A challenge can be answered only once."},
	"ztd_not_assigned":             {hresult: codeNoDeviceToken, remedy: "Assign a deployment profile to the device."},
	"ztd_object_missing":           {hresult: codeNoObject, remedy: importAgain},
	"error_missing_device":         {hresult: codeNoObject, remedy: importAgain},
	"devicenotfound":               {hresult: codeNoObject, remedy: importAgain},
	"device_disabled":              {hresult: codeAuthorization, remedy: "Enable the device in the directory."},
	"error_tenant_not_found":       {hresult: codeNoTenant, remedy: "Check the tenant's name."},
	"devicecapreached":             {hresult: codeQuota, remedy: "Delete devices of this user, or raise the number of devices that a user may join."},
	"usermaynotjoin":               {hresult: codeAuthorization, remedy: "Allow the user to join devices, in the tenant's device settings."},
	"device_not_found":             {hresult: codeNoObject, remedy: "Join the device again."},
	"device_authentication_failed": {hresult: codeAuthentication, remedy: "Join the device again. Its certificate is not accepted."},
	"session_revoked":              {hresult: codeAuthentication, remedy: "Sign in again. The device was joined again since the last sign-in."},
	"invalid_grant":                {remedy: "The directory does not accept the proof of the device or the user. Check the credentials and the device's clock, then try again."},
	"directoryerror":               {hresult: codeDirectory, remedy: "Wait and try again. Remove stale objects of this device."},
	"authenticationerror":          {hresult: codeAuthentication},
	"authentication_error":         {hresult: codeAuthentication},
	"authorizationerror":           {hresult: codeAuthorization},
	"authorization_error":          {hresult: codeAuthorization},
}
