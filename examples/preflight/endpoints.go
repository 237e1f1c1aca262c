package main

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"github.com/whiteglove/whiteglove/internal/traffic"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// An endpoint is a service that a device needs, and how it is asked.
type endpoint struct {
	traffic.Host        // its row in the table of hosts, which captures are read by, too
	url          string // what is requested; {tenant} stands for the tenant's name, {authority} for the host of the TPM's attestation CA
	mock         string // path of the same service below -server; "" if the mock server has none
	proof        proof
}

// step returns the step of the flow in which a device asks the service.
func (e *endpoint) step() *traffic.Step { return traffic.StepOf(e.Step) }

// A proof describes an answer that only the service gives. The zero proof
// stands for any answer, if it comes over TLS with the right certificate: no
// better proof is known for the service.
type proof struct {
	status int    // HTTP status; 0 for any
	text   string // part of the body or of a redirect's target, in upper or lower case
	denial string // what the statuses 400 and 404 mean, if that is known; {tenant} stands for the tenant's name
	hint   string // what helps against denial
}

const (
	authority = "{authority}"
	noTenant  = `the directory does not know the tenant "{tenant}"`
)

// endpoints are the services that Microsoft's "Networking requirements" for
// Windows Autopilot list, in the order in which a device meets them. Where the list
// has a wildcard, a host below it stands here that can be asked. The makers' services
// are those of the list's section on TPMs; how they answer is known from reports. The
// link at go.microsoft.com leads to Microsoft's list of TPM roots, and the revocation
// list is the one that certificates of attestation CAs name.
var endpoints = inOrder([]endpoint{
	{url: "http://www.msftconnecttest.com/connecttest.txt", proof: proof{status: 200, text: "Microsoft Connect Test"}},
	{url: "ntp://time.windows.com"},
	{url: "https://ekop.intel.com/ekcertservice/" + noSuchKey, proof: proof{status: 404, text: "not found"}},
	{url: "https://ftpm.amd.com/pki/aia/00000000000000000000000000000000", proof: proof{status: 404}},
	{url: "https://ekcert.spserv.microsoft.com/EKCertificate/GetEKCertificate/v1", proof: proof{status: 405}},
	{Host: traffic.Host{Step: "ek", Use: "EK certificates of the mock server's maker"}, mock: provisiontest.MakerPath + capabilities, proof: proof{status: 200, text: "POSTPKIOperation"}},
	{url: "https://" + authority + ".microsoftaik.azure.net/templates/Aik/scep" + capabilities, mock: provisiontest.AIKPath + capabilities, proof: proof{status: 200, text: "IdentityKeyAttestation", denial: "the attestation CA does not know the issuer of the TPM's EK certificate", hint: "Look for firmware that brings another EK certificate, or ask the TPM's maker."}},
	{url: "https://login.live.com/"},
	{url: "https://ztd.dds.microsoft.com/"},
	{url: "https://cs.dds.microsoft.com/"},
	{url: "https://licensing.mp.microsoft.com/"},
	{url: "https://activation.sls.microsoft.com/"},
	{url: "https://go.microsoft.com/fwlink/?linkid=2097925", proof: proof{text: "TrustedTpm.cab"}},
	{url: "https://login.microsoftonline.com/{tenant}/.well-known/openid-configuration", mock: provisiontest.DirectoryPath + "/{tenant}/.well-known/openid-configuration", proof: proof{status: 200, text: `"token_endpoint"`, denial: noTenant, hint: "Check -tenant."}},
	{url: "https://enterpriseregistration.windows.net/{tenant}/Discover?api-version=1.9", mock: provisiontest.DirectoryPath + "/{tenant}/Discover?api-version=1.9", proof: proof{status: 200, text: "DeviceJoinService", denial: noTenant, hint: "Check -tenant."}},
	{url: "https://device.login.microsoftonline.com/"},
	{url: "https://aadcdn.msauth.net/"},
	{url: "https://aadcdn.msftauth.net/"},
	{url: "https://graph.microsoft.com/"},
	{url: "https://graph.windows.net/"},
	{url: "https://autologon.microsoftazuread-sso.com/"},
	{url: "https://tokenprovider.termsofuse.identitygovernance.azure.com/"},
	{url: "https://enrollment.manage.microsoft.com/enrollmentserver/discovery.svc", mock: provisiontest.DiscoveryPath, proof: proof{status: 200}},
	{url: "https://enterpriseenrollment.manage.microsoft.com/"},
	{url: "https://enterpriseenrollment-s.manage.microsoft.com/"},
	{url: "https://portal.manage.microsoft.com/"},
	{url: "https://lgmsapeweu.blob.core.windows.net/"},
	{url: "https://fe2cr.update.microsoft.com/"},
	{url: "https://fe3cr.delivery.mp.microsoft.com/"},
	{url: "http://ctldl.windowsupdate.com/"},
	{url: "https://naprodimedatapri.azureedge.net/"},
	{url: "https://euprodimedatapri.azureedge.net/"},
	{url: "https://approdimedatapri.azureedge.net/"},
	{url: "https://displaycatalog.mp.microsoft.com/"},
	{url: "https://officecdn.microsoft.com/"},
	{url: "https://client.wns.windows.com/"},
	{url: "http://ocsp.digicert.com/"},
	{url: "http://crl3.digicert.com/"},
	{url: "http://crl4.digicert.com/"},
	{url: "http://crl.microsoft.com/"},
	{url: "http://www.microsoft.com/pkiops/crl/Microsoft%20TPM%20Root%20Certificate%20Authority%202014.crl", proof: proof{status: 200, text: "Microsoft TPM Root Certificate Authority 2014"}},
	{url: "http://oneocsp.microsoft.com/"},
})

// inOrder completes endpoints from the table of hosts, and sorts them by step.
func inOrder(list []endpoint) []endpoint {
	order := map[string]int{}
	for i, s := range traffic.Steps() {
		order[s.Name] = i
	}
	for i := range list {
		if u, err := url.Parse(strings.ReplaceAll(list[i].url, authority, "x")); err == nil && u.Host != "" {
			list[i].Host = *traffic.Lookup(u.Hostname())
		}
	}
	slices.SortStableFunc(list, func(a, b endpoint) int { return cmp.Compare(order[a.Step], order[b.Step]) })
	return list
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
