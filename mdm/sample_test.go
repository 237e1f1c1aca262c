package mdm_test

import (
	"crypto"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/mdm"
)

// The documents below are made after the descriptions of the fields in
// [MS-MDE2] sections 2.2.9, 2.2.10, 3.5 and 4, and in the shapes that public
// servers were seen to send; no text is taken from either.

const xsiNil = ` xsi:nil="true" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"/>`

// Discovery, in the three ways to authenticate and as an imitation of Intune
// has it.
func TestSampleDiscovery(t *testing.T) {
	const service = "https://enroll.contoso.test/SERVER/SERVICE.SVC"
	answer := func(content string) string {
		return `<?xml version="1.0"?>` + "\r\n" + `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing"><s:Header>` +
			`<a:Action s:mustUnderstand="1"> x </a:Action><ActivityId>1</ActivityId><a:RelatesTo>urn:uuid: 1</a:RelatesTo></s:Header>` +
			`<s:Body xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><DiscoverResponse xmlns="http://schemas.microsoft.com/windows/management/2012/01/enrollment">` +
			`<DiscoverResult>` + "\n" + content + `</DiscoverResult></DiscoverResponse></s:Body></s:Envelope>`
	}
	urls := "<EnrollmentPolicyServiceUrl>\n" + service + "\n</EnrollmentPolicyServiceUrl><EnrollmentServiceUrl>\n" + service + "\n</EnrollmentServiceUrl>"
	for _, c := range []struct {
		name, content string
		want          mdm.Discovery
	}{
		{
			"federated", "<AuthPolicy>Federated</AuthPolicy><EnrollmentVersion>5.0</EnrollmentVersion>" + urls +
				"<AuthenticationServiceUrl> https://portal.contoso.test/Login.aspx </AuthenticationServiceUrl>",
			mdm.Discovery{AuthPolicy: "Federated", EnrollVersion: "5.0", PolicyURL: service, EnrollURL: service, AuthURL: "https://portal.contoso.test/Login.aspx"},
		},
		{
			"certificate", "<AuthPolicy>Certificate</AuthPolicy><EnrollmentVersion>3.0</EnrollmentVersion>" + urls,
			mdm.Discovery{AuthPolicy: "Certificate", EnrollVersion: "3.0", PolicyURL: service, EnrollURL: service},
		},
		{
			"on premise", "<AuthPolicy>OnPremise</AuthPolicy><EnrollmentVersion>3.0</EnrollmentVersion>" + urls,
			mdm.Discovery{AuthPolicy: "OnPremise", EnrollVersion: "3.0", PolicyURL: service, EnrollURL: service},
		},
		{
			"like Intune", "<AuthPolicy>Federated</AuthPolicy><AuthUrl>https://portal.contoso.test/</AuthUrl><FederatedServiceName>x</FederatedServiceName>" +
				"<FederatedServicePolicy>HBI_FED</FederatedServicePolicy><EnrollmentServiceUrl>" + service + "?client-request-id=1</EnrollmentServiceUrl>",
			mdm.Discovery{AuthPolicy: "Federated", EnrollVersion: "3.0", EnrollURL: service + "?client-request-id=1", AuthURL: "https://portal.contoso.test/"},
		},
		{
			"version 9.0", "<EnrollmentVersion>9.0</EnrollmentVersion><DeviceAssociationMaaUrl>https://maa.test/</DeviceAssociationMaaUrl><GatewayService>https://g.test/</GatewayService>" + urls,
			mdm.Discovery{EnrollVersion: "9.0", PolicyURL: service, EnrollURL: service, AttestationURL: "https://maa.test/", GatewayURL: "https://g.test/"},
		},
	} {
		client := &mdm.Client{HTTPClient: &http.Client{Transport: canned{Status: 200, Body: answer(c.content)}}}
		if d, err := client.Discover(t.Context(), "https://mdm.test/d", ""); err != nil || *d != c.want {
			t.Errorf("%s: %+v, %v", c.name, d, err)
		}
	}
}

// Policies: with version 5.0's attestation among the key's attributes, with
// version 6.0's block, and the bare one of a server that has none.
func TestSamplePolicy(t *testing.T) {
	const common = `<commonName>Unit</commonName><policySchema>3</policySchema>` +
		`<certificateValidity><validityPeriodSeconds>1209600</validityPeriodSeconds><renewalPeriodSeconds>172800</renewalPeriodSeconds></certificateValidity>` +
		`<permission><enroll>true</enroll><autoEnroll>false</autoEnroll></permission>`
	const key = `<privateKeyAttributes><minimalKeyLength>2048</minimalKeyLength><keySpec` + xsiNil + `<algorithmOIDReference` + xsiNil +
		`<AttestationFailureBehavior>RetryOnError</AttestationFailureBehavior><OperationTimeout>100</OperationTimeout>` +
		`<cryptoProviders><provider>Microsoft Platform Crypto Provider</provider><provider>Microsoft Software Key Storage Provider</provider></cryptoProviders></privateKeyAttributes>` +
		`<privateKeyFlags` + xsiNil + `<hashAlgorithmOIDReference>0</hashAlgorithmOIDReference>`
	// The specification's own example marks what has a value as nil.
	const azure = `<attestation><attestationFailureBehavior p:nil="true" xmlns:p="http://www.w3.org/2001/XMLSchema-instance">IgnoreOnError</attestationFailureBehavior>` +
		`<operationTimeout>50</operationTimeout><azureAttestation><nonce>bm9uY2U=</nonce><relyingPartyId>party</relyingPartyId><endpointUri>attest.test/x</endpointUri></azureAttestation></attestation>`
	want := mdm.Policy{
		Name: "Unit", MinimalKeyLength: 2048, Hash: crypto.SHA256, Validity: 14 * 24 * time.Hour, Renewal: 2 * 24 * time.Hour,
		Providers:          []string{"Microsoft Platform Crypto Provider", "Microsoft Software Key Storage Provider"},
		AttestationFailure: "RetryOnError", AttestationTimeout: 100 * time.Second,
	}
	withAzure := want
	withAzure.AttestationFailure, withAzure.AttestationTimeout = "IgnoreOnError", 50*time.Second
	withAzure.Azure = &mdm.AzureAttestation{Nonce: "bm9uY2U=", RelyingPartyID: "party", Endpoint: "attest.test/x"}
	for _, c := range []struct {
		name, body string
		want       mdm.Policy
	}{
		{"version 5.0", policies(common+key, oid("2.16.840.1.101.3.4.2.1", "4", "0")), want},
		{"version 6.0", policies(common+key+azure, oid("1.3.14.3.2.29", "1", "0")), withAzure},
		{"nothing", policies("", ""), mdm.Policy{MinimalKeyLength: 2048, Hash: crypto.SHA256}},
	} {
		if p, err := readPolicy(t, c.body); err != nil || !reflect.DeepEqual(*p, c.want) {
			t.Errorf("%s: %+v, %v", c.name, p, err)
		}
	}
}

func TestPolicyTPM(t *testing.T) {
	const tpm, soft = "Microsoft Platform Crypto Provider", "Microsoft Software Key Storage Provider"
	for _, c := range []struct {
		providers         []string
		allowed, required bool
	}{{nil, true, false}, {[]string{tpm, soft}, true, false}, {[]string{strings.ToLower(tpm)}, true, true}, {[]string{soft}, false, false}} {
		if allowed, required := (&mdm.Policy{Providers: c.providers}).TPM(); allowed != c.allowed || required != c.required {
			t.Errorf("%q: %t, %t", c.providers, allowed, required)
		}
	}
}

// A provisioning document with all that the specification describes, in a SOAP
// 1.1 answer with two kinds of authentication and opaque blocks.
func TestSampleProvisioning(t *testing.T) {
	made := madeDocument(t, &mdmKey().PublicKey)
	node := func(name string, content ...string) string {
		return "\n<characteristic type=\"" + name + "\">" + strings.Join(content, "\n") + "</characteristic>"
	}
	parm := func(name, value string) string { return `<parm name="` + name + `" value="` + value + `"/>` }
	app := node("APPLICATION", parm("APPID", "w7"), parm("PROVIDER-ID", "MS DM Server"), parm("NAME", "Contoso"), parm("ADDR", "https://m.contoso.test/s?mode=x&amp;y=1"),
		parm("ROLE", "4294967295"), parm("CONNRETRYFREQ", "6"), parm("INITIALBACKOFFTIME", "30000"), parm("MAXBACKOFFTIME", "120000"),
		`<parm name="BACKCOMPATRETRYDISABLED"/>`, parm("DEFAULTENCODING", "application/vnd.syncml.dm+wbxml"),
		parm("SSLCLIENTCERTSEARCHCRITERIA", "Subject=CN%3Dx%EF%80%80y&amp;Stores=My%5CUser"),
		node("APPAUTH", parm("AAUTHLEVEL", "CLIENT"), parm("AAUTHTYPE", "DIGEST"), parm("AAUTHSECRET", "one"), parm("AAUTHDATA", "bm9uY2U=")),
		node("APPAUTH", parm("AAUTHLEVEL", "APPSRV"), parm("AAUTHTYPE", "BASIC"), parm("AAUTHNAME", "me"), parm("AAUTHSECRET", "two"), parm("AAUTHDATA", "nonce")))
	rest := node("Registry", node(`HKLM\Software`, parm("x", "1"))) + node("PassportForWork", node("tenant", node("Device", parm("UsePassportForWork", "false")))) +
		node("DMClient", node("Provider", node("MS DM Server", parm("UPN", "u@contoso.test"), parm("EntDMID", "1"), parm("EntDeviceName", "n"),
			node("Poll", parm("NumberOfFirstRetries", "8")), node("FirstSyncStatus", parm("TimeOutUntilSyncFailure", "60")))))
	start := strings.Index(made, "<characteristic type=\"APPLICATION\">")
	doc := `<?xml version="1.0"?>` + strings.Replace(made[:start], "wap-provisioningdoc", "WAP-ProvisioningDoc", 1) + app + rest + "\n</WAP-ProvisioningDoc>"

	body := strings.ReplaceAll(answered([]byte(doc)), "http://www.w3.org/2003/05/soap-envelope", "http://schemas.xmlsoap.org/soap/envelope/")
	c := &mdm.Client{Device: mdm.Device{ID: testDevice}, HTTPClient: &http.Client{Transport: canned{Status: 200, Body: body}}}
	e, err := c.Enroll(t.Context(), &mdm.Discovery{EnrollURL: "https://mdm.test/e"}, nil, &mdm.Request{Credential: newToken(t), Key: mdmKey(), Context: extra()})
	if err != nil {
		t.Fatal(err)
	}
	if e.Server != "https://m.contoso.test/s?mode=x&y=1" || e.ProviderID != "MS DM Server" || e.Scope != "User" {
		t.Errorf("server %q, provider %q, scope %q", e.Server, e.ProviderID, e.Scope)
	}
	checkSample(t, e.Document)
	text := string(e.Document)
	if _, after, ok := strings.Cut(text, "?>"); ok && strings.HasPrefix(text, "<?xml") {
		text = after
	}
	text = `<?xml version="1.0" encoding="utf-16"?>` + text
	checkSample(t, []byte(text))
	checkSample(t, []byte(utf16Text(text)))
}

func checkSample(t *testing.T, document []byte) {
	t.Helper()
	d, err := mdm.ParseDocument(document)
	if err != nil {
		t.Fatal(err)
	}
	a, err := d.Account()
	if err != nil {
		t.Fatal(err)
	}
	want := []mdm.Auth{
		{Level: "CLIENT", Type: "DIGEST", Secret: "one", Data: "bm9uY2U="},
		{Level: "APPSRV", Type: "BASIC", Name: "me", Secret: "two", Data: "nonce"},
	}
	if !reflect.DeepEqual(a.Auth, want) || a.Name != "Contoso" || a.Encoding != "application/vnd.syncml.dm+wbxml" || !strings.Contains(a.CertificateSearch, "%EF%80%80y&Stores") {
		t.Errorf("account: %+v", a)
	}
	app := d.Find("application")[0]
	if v, ok := app.Parm("backcompatretrydisabled"); !ok || v != "" {
		t.Errorf("valueless parm: %q, %t", v, ok)
	}
	if v, _ := app.Parm("ROLE"); v != "4294967295" {
		t.Errorf("role %q", v)
	}
	if p := d.Provider("MS DM Server"); p == nil || p.UPN != "u@contoso.test" || p.DeviceID != "1" || p.DeviceName != "n" || len(p.Node.Characteristics) != 2 {
		t.Errorf("provider: %+v", p)
	}
	if n := len(d.Find("Registry", `HKLM\Software`)) + len(d.Find("PassportForWork", "tenant", "Device")); n != 2 {
		t.Errorf("%d of 2 opaque nodes", n)
	}
}
