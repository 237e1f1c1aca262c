package traffic

import (
	"net/url"
	"strings"
)

// purposes tell what a request is for by a part of its URL. The first row that
// fits counts.
var purposes = []struct{ part, why string }{
	{"operation=GetCACaps", "ask what the CA supports; digest, cipher and HTTP method follow from it"},
	{"operation=GetCACert", "get the CA's certificates, which are checked before anything is sent"},
	{"operation=PKIOperation", "exchange a signed and encrypted SCEP message"},
	{"/ztd/", "download the deployment profile of the device with this hardware hash"},
	{"/Discover?", "find the tenant's services"},
	{"/tpmchallenge/", "ask for a secret that only this TPM can open"},
	{"/oauth2/token", "get a nonce, or trade a proof for a token"},
	{"/EnrollmentServer/device", "join: send both keys, certified by the attestation key"},
	{"/Discovery.svc", "find where the management server enrolls devices"},
	{"/Policy.svc", "learn what the management certificate must be like"},
	{"/nonce/", "get a nonce, which prevents replay"},
	{"/.well-known/", "ask what the directory supports"},
	{"/ManagementServer/", "exchange a message of a management session"},
	{"/Enrollment.svc", "send the certificate request; get a certificate and an account"},
}

// Purpose returns what a request is for, or "" if that is not known.
func Purpose(u *url.URL) string {
	text := u.String()
	for _, p := range purposes {
		if strings.Contains(text, p.part) {
			return p.why
		}
	}
	return ""
}
