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
	url   string // what is asked; {tenant} is replaced, and {authority} by the TPM's attestation CA
	use   string // what it is for
	allow string // what a firewall has to let through, if more than the URL's host
	maker string // only TPMs of this maker need it
	minor bool   // the device gets through without it
	quick bool   // or gets through if it is refused, and not left waiting
	mock  string // path of the same service below -server
	proof proof
}

// A proof is an answer that only the service gives. The zero proof is any
// answer that comes over TLS with the right certificate: nothing better is
// known of the service.
type proof struct {
	status int    // wanted; 0 for any
	text   string // in the body, or in where a redirect leads, whatever its case
	hint   string // what is likeliest to be wrong if the answer is another
}

const authority = "{authority}"

// endpoints are those of the requirements that Microsoft publishes for Windows
// Autopilot ("Networking requirements"), each wildcard with a host below it
// that can be asked. The makers' services are those that the TPM section there
// names; what they answer was seen by others. The link asked of go.microsoft.com
// is that of Microsoft's list of TPM roots, and the revocation list is the one
// that certificates of attestation CAs name.
var endpoints = []endpoint{
	{phase: phaseBase, url: "http://www.msftconnecttest.com/connecttest.txt", use: "setup's own test for internet", allow: "*.msftconnecttest.com:80", proof: proof{status: 200, text: "Microsoft Connect Test"}},
	{phase: phaseBase, url: "ntp://time.windows.com", use: "setting the clock", allow: "time.windows.com:123/udp", minor: true},

	{phase: phaseTPM, url: "https://ekop.intel.com/ekcertservice/" + noSuchKey, use: "EK certificates of Intel's firmware TPMs", maker: "INTC", proof: proof{status: 404, text: "not found"}},
	{phase: phaseTPM, url: "https://ftpm.amd.com/pki/aia/00000000000000000000000000000000", use: "EK certificates of AMD's firmware TPMs", maker: "AMD", proof: proof{status: 404}},
	{phase: phaseTPM, url: "https://ekcert.spserv.microsoft.com/EKCertificate/GetEKCertificate/v1", use: "EK certificates of Qualcomm's TPMs and Pluton", maker: "QCOM", proof: proof{status: 405}},
	{phase: phaseTPM, url: "", mock: provisiontest.MakerPath + capabilities, use: "EK certificates of the mock server's maker", proof: proof{status: 200, text: "POSTPKIOperation"}},
	{phase: phaseTPM, url: "https://" + authority + ".microsoftaik.azure.net/templates/Aik/scep" + capabilities, mock: provisiontest.AIKPath + capabilities, use: "certificates of attestation keys", allow: "*.microsoftaik.azure.net:443", proof: proof{status: 200, text: "IdentityKeyAttestation", hint: "404 is its answer to TPMs of issuers it does not know: look for firmware that brings another EK certificate, or ask the maker"}},

	{phase: phaseTicket, url: "https://login.live.com/", use: "the device's ticket"},
	{phase: phaseProfile, url: "https://ztd.dds.microsoft.com/", use: "the deployment profile"},
	{phase: phaseProfile, url: "https://cs.dds.microsoft.com/", use: "the deployment profile"},

	{phase: phaseActivation, url: "https://licensing.mp.microsoft.com/", use: "activation of Windows", minor: true},
	{phase: phaseActivation, url: "https://activation.sls.microsoft.com/", use: "activation of Windows", allow: "*.sls.microsoft.com:443", minor: true},
	{phase: phaseActivation, url: "https://go.microsoft.com/fwlink/?linkid=2097925", use: "activation of Windows", minor: true, proof: proof{text: "TrustedTpm.cab"}},

	{phase: phaseEntra, url: "https://login.microsoftonline.com/{tenant}/.well-known/openid-configuration", mock: provisiontest.DirectoryPath + "/{tenant}/.well-known/openid-configuration", use: "tokens", proof: proof{status: 200, text: `"token_endpoint"`, hint: "400 is its answer if it does not know the tenant: see -tenant"}},
	{phase: phaseEntra, url: "https://enterpriseregistration.windows.net/{tenant}/Discover?api-version=1.9", mock: provisiontest.DirectoryPath + "/{tenant}/Discover?api-version=1.9", use: "joining the tenant", proof: proof{status: 200, text: "DeviceJoinService", hint: "404 and 400 are its answers if it does not know the tenant: see -tenant"}},
	{phase: phaseEntra, url: "https://device.login.microsoftonline.com/", use: "tokens for joined devices"},
	{phase: phaseEntra, url: "https://aadcdn.msauth.net/", use: "the sign-in page"},
	{phase: phaseEntra, url: "https://aadcdn.msftauth.net/", use: "the sign-in page"},
	{phase: phaseEntra, url: "https://graph.microsoft.com/", use: "the directory"},
	{phase: phaseEntra, url: "https://graph.windows.net/", use: "the directory as it was asked earlier", minor: true},
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

// capabilities is the query of the request that a SCEP server answers to
// anybody.
const capabilities = "?operation=GetCACaps"

// noSuchKey is what Intel's service would call a key whose hash is zero: this
// machine's own would identify it.
const noSuchKey = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D"

// publicCAs are the organizations of roots under which these services are known
// or likely to have their certificates. Another root that this machine trusts
// is likely that of a proxy which reads along.
var publicCAs = []string{
	"Microsoft Corporation", "DigiCert Inc", "Baltimore", "GlobalSign", "GlobalSign nv-sa", "Entrust, Inc.", "Entrust.net",
	"Sectigo Limited", "The USERTRUST Network", "COMODO CA Limited", "Comodo CA Limited", "Amazon", "Google Trust Services LLC",
	"Internet Security Research Group", "SSL Corporation", "IdenTrust", "GoDaddy.com, Inc.", "Starfield Technologies, Inc.",
}
