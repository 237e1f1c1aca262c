package mdm

import "strings"

// remedies has one sentence or two for each code with a known cause.
var remedies = map[uint32]string{
	codeMessageFormat:  "The server did not accept the message: check that the token is of the kind the enrollment type needs and that no proxy changes requests.",
	codeAuthentication: "The server did not accept the token: check its audience, its tenant and the device's clock.",
	codeAuthorization:  "The device is known but may not enroll: check the tenant's MDM scope and enrollment restrictions.",
	codeCertificateRequest: "The server could not issue a certificate for this request: check key length and hash " +
		"against its policy, then its certificate authority.",
	codeEnrollmentServer: "The management service failed; try again later. In pre-provisioning also check that the " +
		"deployment profile allows it and is assigned to the device.",
	codeInternalService:  "The management service failed; try again later.",
	codeInvalidSecurity:  "The server could not read the security header: check that the token is a JWT and no proxy changes requests.",
	codeDeviceCapReached: "Remove old devices of this account, or raise the limit.",
	codeDeviceNotSupported: "This code has three causes: an enrollment restriction on the platform or version (allow it), " +
		"a block on personally owned Windows devices (register the device as corporate), or a device that was " +
		"pre-provisioned before and whose record still exists (unblock it or delete the record).",
	codeNotSupported:     "The server does not manage this kind of device.",
	codeNotEligible:      "The device must enroll anew; check its clock too.",
	codeInMaintenance:    "The account is under maintenance: try again later.",
	codeUserLicense:      "Assign a license for device management.",
	codeEnrollmentData:   "The server did not accept the description of the device: check the context items of the request.",
	codeInsecureRedirect: "The server leads from https to http: correct its address or its configuration.",
	codeProvCertStore:    "The server's provisioning document has certificates that do not fit each other: its operator must correct it.",
	codeProvW7:           "The server's provisioning document has no usable management account: its operator must correct it.",
	codeProvUnknown:      "The server's answer holds no provisioning document that can be read: its operator must correct it.",
	codeProvCertNotFound: "The server sent no certificate for the device's key: its operator must correct it.",
	codeKeyCreation:      "Make a key that the server's certificate policy allows.",
	codeNotConfigured:    "The tenant names no management service: set up MDM for it.",
	codeCustomServer:     "See the server's message.",
	codeServer429:        "The server asks to come back later.",
	0x801900C8:           "The server answered without an envelope: check for a proxy in between, and whether the server accepts device tokens.",
}

// accountRemedies is by error number of the directory's token endpoint.
var accountRemedies = map[string]string{
	"AADSTS50155":  "The directory did not accept the device: join it again.",
	"AADSTS700003": "The device was deleted in the directory: join it again.",
	"AADSTS135011": "The device is disabled in the directory: enable it.",
	"AADSTS500011": "The tenant does not know the management service: add its application.",
	"AADSTS90002":  "The tenant was not found: check its name.",
}

// Remedy returns what a technician can do, or "".
func (e *Error) Remedy() string {
	for number, remedy := range accountRemedies {
		if e.OAuth != "" && strings.HasPrefix(e.Message, number+":") {
			return remedy
		}
	}
	return remedies[e.HRESULT()]
}
