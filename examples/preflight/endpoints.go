package main

import "github.com/whiteglove/whiteglove/provision/provisiontest"

// Phases, in the order in which a device meets them.
const (
	phaseBase       = "base"
	phaseTPM        = "tpm"
	phaseTicket     = "ticket"
	phaseProfile    = "profile"
	phaseActivation = "activation"
	phaseEntra      = "entra"
	phaseIntune     = "intune"
	phaseUpdate     = "update"
	phaseContent    = "content"
	phasePush       = "push"
	phaseRevocation = "revocation"
)

// An endpoint is a service that a device needs.
type endpoint struct {
	phase string
	url   string // what is requested; {tenant} stands for the tenant's name, {authority} for the host of the TPM's attestation CA
	use   string // what it is for
	allow string // what a firewall has to let through, if that is more than the URL's host
	maker string // the only maker whose TPMs need it; "" if all devices do
	minor bool   // a device gets through without it
	quick bool   // a device gets through without it if the connection fails at once
	mock  string // path of the same service below -server; "" if the mock server has none
	proof proof
}

// A proof describes an answer that only the service gives. The zero proof
// stands for any answer, if it comes over TLS with the right certificate: no
// better proof is known for the service.
type proof struct {
	status int    // HTTP status; 0 for any
	text   string // part of the body or of a redirect's target, in upper or lower case
	hint   string // what is the most likely cause of another answer
}

const authority = "{authority}"

// endpoints are the services that Microsoft's "Networking requirements" for
// Windows Autopilot list. Where the list has a wildcard, a host below it stands
// here that can be asked. The makers' services are those of the list's section on
// TPMs; how they answer is known from reports. The link at go.microsoft.com leads
// to Microsoft's list of TPM roots, and the revocation list is the one that
// certificates of attestation CAs name.
var endpoints = []endpoint{
	{phase: phaseBase, url: "http://www.msftconnecttest.com/connecttest.txt", use: "setup's own test for internet", allow: "*.msftconnecttest.com:80", proof: proof{status: 200, text: "Microsoft Connect Test"}},
	{phase: phaseBase, url: "ntp://time.windows.com", use: "setting the clock", allow: "time.windows.com:123/udp", minor: true},

	{phase: phaseTPM, url: "https://ekop.intel.com/ekcertservice/" + noSuchKey, use: "EK certificates of Intel's firmware TPMs", maker: "INTC", proof: proof{status: 404, text: "not found"}},
	{phase: phaseTPM, url: "https://ftpm.amd.com/pki/aia/00000000000000000000000000000000", use: "EK certificates of AMD's firmware TPMs", maker: "AMD", proof: proof{status: 404}},
	{phase: phaseTPM, url: "https://ekcert.spserv.microsoft.com/EKCertificate/GetEKCertificate/v1", use: "EK certificates of Qualcomm's TPMs and Pluton", maker: "QCOM", proof: proof{status: 405}},
	{phase: phaseTPM, url: "", mock: provisiontest.MakerPath + capabilities, use: "EK certificates of the mock server's maker", proof: proof{status: 200, text: "POSTPKIOperation"}},
	{phase: phaseTPM, url: "https://" + authority + ".microsoftaik.azure.net/templates/Aik/scep" + capabilities, mock: provisiontest.AIKPath + capabilities, use: "certificates of attestation keys", allow: "*.microsoftaik.azure.net:443", proof: proof{status: 200, text: "IdentityKeyAttestation", hint: "it answers 404 for a TPM whose EK issuer it does not know: look for firmware that brings another EK certificate, or ask the maker"}},

	{phase: phaseTicket, url: "https://login.live.com/", use: "the device's ticket"},
	{phase: phaseProfile, url: "https://ztd.dds.microsoft.com/", use: "the deployment profile"},
	{phase: phaseProfile, url: "https://cs.dds.microsoft.com/", use: "the deployment profile"},

	{phase: phaseActivation, url: "https://licensing.mp.microsoft.com/", use: "activation of Windows", minor: true},
	{phase: phaseActivation, url: "https://activation.sls.microsoft.com/", use: "activation of Windows", allow: "*.sls.microsoft.com:443", minor: true},
	{phase: phaseActivation, url: "https://go.microsoft.com/fwlink/?linkid=2097925", use: "activation of Windows", minor: true, proof: proof{text: "TrustedTpm.cab"}},

	{phase: phaseEntra, url: "https://login.microsoftonline.com/{tenant}/.well-known/openid-configuration", mock: provisiontest.DirectoryPath + "/{tenant}/.well-known/openid-configuration", use: "tokens", proof: proof{status: 200, text: `"token_endpoint"`, hint: "it answers 400 if it does not know the tenant: see -tenant"}},
	{phase: phaseEntra, url: "https://enterpriseregistration.windows.net/{tenant}/Discover?api-version=1.9", mock: provisiontest.DirectoryPath + "/{tenant}/Discover?api-version=1.9", use: "joining the tenant", proof: proof{status: 200, text: "DeviceJoinService", hint: "it answers 404 or 400 if it does not know the tenant: see -tenant"}},
	{phase: phaseEntra, url: "https://device.login.microsoftonline.com/", use: "tokens for joined devices"},
	{phase: phaseEntra, url: "https://aadcdn.msauth.net/", use: "the sign-in page"},
	{phase: phaseEntra, url: "https://aadcdn.msftauth.net/", use: "the sign-in page"},
	{phase: phaseEntra, url: "https://graph.microsoft.com/", use: "the directory"},
	{phase: phaseEntra, url: "https://graph.windows.net/", use: "the directory's older interface", minor: true},
	{phase: phaseEntra, url: "https://autologon.microsoftazuread-sso.com/", use: "single sign-on of hybrid tenants", minor: true},
	{phase: phaseEntra, url: "https://tokenprovider.termsofuse.identitygovernance.azure.com/", use: "terms of use, if the tenant has them", minor: true},

	{phase: phaseIntune, url: "https://enrollment.manage.microsoft.com/enrollmentserver/discovery.svc", mock: provisiontest.DiscoveryPath, use: "enrollment", allow: "*.manage.microsoft.com:443", proof: proof{status: 200}},
	{phase: phaseIntune, url: "https://enterpriseenrollment.manage.microsoft.com/", use: "finding the enrollment service", allow: "*.manage.microsoft.com:443"},
	{phase: phaseIntune, url: "https://enterpriseenrollment-s.manage.microsoft.com/", use: "finding the enrollment service", allow: "*.manage.microsoft.com:443"},
	{phase: phaseIntune, url: "https://portal.manage.microsoft.com/", use: "terms of use and portal", allow: "*.manage.microsoft.com:443"},
	{phase: phaseIntune, url: "https://lgmsapeweu.blob.core.windows.net/", use: "sending logs", allow: "lgmsape*.blob.core.windows.net:443", minor: true},

	{phase: phaseUpdate, url: "https://fe2cr.update.microsoft.com/", use: "updates during setup", allow: "*.update.microsoft.com:443", minor: true},
	{phase: phaseUpdate, url: "https://fe3cr.delivery.mp.microsoft.com/", use: "updates during setup", allow: "*.delivery.mp.microsoft.com:443", minor: true},
	{phase: phaseUpdate, url: "http://ctldl.windowsupdate.com/", use: "the list of trusted roots", allow: "*.windowsupdate.com:80", minor: true},

	{phase: phaseContent, url: "https://naprodimedatapri.azureedge.net/", use: "apps and scripts, North America", allow: "naprodimedata*.azureedge.net:443", minor: true},
	{phase: phaseContent, url: "https://euprodimedatapri.azureedge.net/", use: "apps and scripts, Europe", allow: "euprodimedata*.azureedge.net:443", minor: true},
	{phase: phaseContent, url: "https://approdimedatapri.azureedge.net/", use: "apps and scripts, Asia and Pacific", allow: "approdimedata*.azureedge.net:443", minor: true},
	{phase: phaseContent, url: "https://displaycatalog.mp.microsoft.com/", use: "apps of the store", allow: "*.mp.microsoft.com:443", minor: true},
	{phase: phaseContent, url: "https://officecdn.microsoft.com/", use: "Office", minor: true},

	{phase: phasePush, url: "https://client.wns.windows.com/", use: "telling the device to check in", allow: "*.wns.windows.com:443, *.notify.windows.com:443", minor: true},

	{phase: phaseRevocation, url: "http://ocsp.digicert.com/", use: "revocation of TLS certificates", quick: true},
	{phase: phaseRevocation, url: "http://crl3.digicert.com/", use: "revocation of TLS certificates", quick: true},
	{phase: phaseRevocation, url: "http://crl4.digicert.com/", use: "revocation of TLS certificates", quick: true},
	{phase: phaseRevocation, url: "http://crl.microsoft.com/", use: "revocation of TLS certificates", quick: true},
	{phase: phaseRevocation, url: "http://www.microsoft.com/pkiops/crl/Microsoft%20TPM%20Root%20Certificate%20Authority%202014.crl", use: "revocation of TLS and attestation key certificates", quick: true, proof: proof{status: 200, text: "Microsoft TPM Root Certificate Authority 2014"}},
	{phase: phaseRevocation, url: "http://oneocsp.microsoft.com/", use: "revocation of TLS certificates", quick: true},
}

// capabilities is the query of a request that any client may make of a SCEP
// server.
const capabilities = "?operation=GetCACaps"

// noSuchKey is the name that Intel's service would give to a key whose hash is
// zero. The hash of this machine's own key would identify the machine.
const noSuchKey = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D"

// publicCAs are the organizations of the roots to which the certificates of
// these services are known or likely to lead. If one leads to another root, and
// this machine trusts that, then a proxy probably reads the traffic.
var publicCAs = []string{
	"Microsoft Corporation", "DigiCert Inc", "Baltimore", "GlobalSign", "GlobalSign nv-sa", "Entrust, Inc.", "Entrust.net",
	"Sectigo Limited", "The USERTRUST Network", "COMODO CA Limited", "Comodo CA Limited", "Amazon", "Google Trust Services LLC",
	"Internet Security Research Group", "SSL Corporation", "IdenTrust", "GoDaddy.com, Inc.", "Starfield Technologies, Inc.",
}
