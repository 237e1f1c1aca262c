package mdm_test

import (
	"crypto"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/mdm"
)

// Discovery answers of real servers, in their own shapes.
func TestDiscoverReads(t *testing.T) {
	const enroll = "<EnrollmentServiceUrl> https://mdm.test/e?client-request-id=1 </EnrollmentServiceUrl>"
	for _, c := range []struct {
		body string
		want mdm.Discovery
	}{
		{enroll, mdm.Discovery{EnrollURL: "https://mdm.test/e?client-request-id=1", EnrollVersion: "3.0"}},
		{enroll + "<EnrollmentVersion>new</EnrollmentVersion>", mdm.Discovery{EnrollURL: "https://mdm.test/e?client-request-id=1", EnrollVersion: "3.0"}},
		{
			"<AuthPolicy>OnPremise</AuthPolicy><EnrollmentVersion>7.0</EnrollmentVersion><AuthUrl>https://mdm.test/a</AuthUrl>" +
				"<FederatedServiceName>x</FederatedServiceName><EnrollmentPolicyServiceUrl>https://mdm.test/p</EnrollmentPolicyServiceUrl>" + enroll,
			mdm.Discovery{
				AuthPolicy: "OnPremise", EnrollVersion: "7.0", AuthURL: "https://mdm.test/a", PolicyURL: "https://mdm.test/p",
				EnrollURL: "https://mdm.test/e?client-request-id=1",
			},
		},
	} {
		client := &mdm.Client{HTTPClient: &http.Client{Transport: canned{Status: 200, Body: discovered(c.body)}}}
		d, err := client.Discover(t.Context(), "https://mdm.test/d", "someone@contoso.test")
		if err != nil || *d != c.want {
			t.Errorf("%s: %+v, %v", c.body, d, err)
		}
	}
}

// A discovery may be redirected; the request names its new address.
func TestDiscoverRedirected(t *testing.T) {
	server, discovery := start(t)
	moved := httptest.NewServer(http.RedirectHandler(discovery, http.StatusTemporaryRedirect))
	t.Cleanup(moved.Close)
	d, err := new(mdm.Client).Discover(t.Context(), moved.URL, "")
	if err != nil || d.EnrollURL == "" {
		t.Errorf("%+v, %v; server: %q", d, err, server.Refusals())
	}
}

// A token does not follow a redirect.
func TestPolicyNotRedirected(t *testing.T) {
	server, discovery := start(t)
	moved := httptest.NewServer(http.RedirectHandler(strings.Replace(discovery, "Discovery", "Policy", 1), http.StatusTemporaryRedirect))
	t.Cleanup(moved.Close)
	_, err := new(mdm.Client).Policy(t.Context(), &mdm.Discovery{PolicyURL: moved.URL}, newToken(t))
	if e := failure(t, err); e.HTTPStatus != http.StatusTemporaryRedirect || len(server.Refusals()) != 0 {
		t.Errorf("%v; server: %q", e, server.Refusals())
	}
}

func TestDevicesRefused(t *testing.T) {
	for _, d := range []mdm.Device{
		{OSVersion: "10"},
		{ApplicationVersion: "10.0.x.1"},
		{OSEdition: -1},
		{Type: "a\x01"},
	} {
		if _, err := (&mdm.Client{Device: d}).Discover(t.Context(), "https://mdm.test/d", ""); err == nil || failure(t, err).HTTPStatus != 0 {
			t.Errorf("%+v: %v", d, err)
		}
	}
	for _, d := range []mdm.Device{
		{ID: testDevice, HardwareID: "12"},
		{ID: testDevice, EnrollmentType: "Half"},
		{ID: strings.Repeat("a", 65)},
	} {
		_, err := (&mdm.Client{Device: d}).Enroll(t.Context(), &mdm.Discovery{EnrollURL: "https://mdm.test/e"}, nil, &mdm.Request{Credential: mdm.Token("a.b.c"), Key: mdmKey()})
		if err == nil || failure(t, err).URL != "" {
			t.Errorf("%+v: %v", d, err)
		}
	}
}

func TestDiscoverRefusesUsers(t *testing.T) {
	for _, user := range []string{"someone", "@contoso.test", "a@b", "a@b@c.d", "a@b.c\n"} {
		if _, err := new(mdm.Client).Discover(t.Context(), "https://mdm.test/d", user); err == nil || failure(t, err).URL != "" {
			t.Errorf("%q: %v", user, err)
		}
	}
}

func policies(attributes, oids string) string {
	return soap12 + `<GetPoliciesResponse xmlns="http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy"` +
		` xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><response><policies><policy><attributes>` + attributes +
		`</attributes></policy></policies></response><oIDs>` + oids + `</oIDs></GetPoliciesResponse>` + end
}

func oid(value, group, ref string) string {
	return "<oID><value>" + value + "</value><group>" + group + "</group><oIDReferenceID>" + ref + "</oIDReferenceID><defaultName>szOID_NIST_sha256</defaultName></oID>"
}

func readPolicy(t testing.TB, body string) (*mdm.Policy, error) {
	c := &mdm.Client{HTTPClient: &http.Client{Transport: canned{Status: 200, Body: body}}}
	return c.Policy(t.Context(), &mdm.Discovery{PolicyURL: "https://mdm.test/p", EnrollURL: "https://mdm.test/e"}, mdm.Token("a.b.c"))
}

func TestPolicyReads(t *testing.T) {
	const hash = "<hashAlgorithmOIDReference>7</hashAlgorithmOIDReference>"
	plain := mdm.Policy{MinimalKeyLength: 2048, Hash: crypto.SHA256}
	with := func(change func(*mdm.Policy)) mdm.Policy { p := plain; change(&p); return p }
	for _, c := range []struct {
		name, body string
		want       mdm.Policy
	}{
		{"empty, with a prefix bound to nothing", soap12 + `<GetPoliciesResponse xmlns="http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy">` +
			`<xcep:response xsi:nil="true"/><xcep:cAs xsi:nil="true"/><xcep:oIDs xsi:nil="true"/></GetPoliciesResponse>` + end, plain},
		{"all nil", policies(`<policySchema>3</policySchema><privateKeyAttributes><minimalKeyLength xsi:nil="true"/><algorithmOIDReference xsi:nil="true"/></privateKeyAttributes>`, ""), plain},
		{
			"long key", policies("<privateKeyAttributes><minimalKeyLength>4096</minimalKeyLength></privateKeyAttributes>", ""),
			with(func(p *mdm.Policy) { p.MinimalKeyLength = 4096 }),
		},
		{"short key", policies("<privateKeyAttributes><minimalKeyLength>1024</minimalKeyLength></privateKeyAttributes>", ""), plain},
		{
			"wrapped providers", policies("<privateKeyAttributes><cryptoProviders><provider>A</provider><provider>B</provider></cryptoProviders></privateKeyAttributes>", ""),
			with(func(p *mdm.Policy) { p.Providers = []string{"A", "B"} }),
		},
		{
			"bare providers", policies("<privateKeyAttributes><provider>A</provider><provider>B</provider></privateKeyAttributes>", ""),
			with(func(p *mdm.Policy) { p.Providers = []string{"A", "B"} }),
		},
		{"SHA-1 by another name", policies(hash, oid("1.3.14.3.2.29", "1", "7")), plain},
		{"SHA-256 in a wrong group", policies(hash, oid("2.16.840.1.101.3.4.2.1", "4", "7")), plain},
		{"SHA-512", policies(hash, oid("2.16.840.1.101.3.4.2.3", "4", "7")), with(func(p *mdm.Policy) { p.Hash = crypto.SHA512 })},
		{"SHA-384", policies(hash, oid("2.16.840.1.101.3.4.2.2", "1", "7")), with(func(p *mdm.Policy) { p.Hash = crypto.SHA384 })},
		{"reference to nothing", policies(hash, oid("2.16.840.1.101.3.4.2.3", "1", "8")), plain},
		{
			"key algorithm", policies("<privateKeyAttributes><algorithmOIDReference>7</algorithmOIDReference></privateKeyAttributes>", oid("1.2.840.10045.2.1", "3", "7")),
			with(func(p *mdm.Policy) { p.KeyAlgorithm = "1.2.840.10045.2.1" }),
		},
		{
			"attestation", policies("<privateKeyAttributes><AttestationFailureBehavior>RetryOnError</AttestationFailureBehavior></privateKeyAttributes>"+
				"<attestation><attestationFailureBehavior>FailOnError</attestationFailureBehavior></attestation>", ""),
			with(func(p *mdm.Policy) { p.AttestationFailure = "FailOnError" }),
		},
		{
			"validity", policies("<certificateValidity><validityPeriodSeconds>1209600</validityPeriodSeconds><renewalPeriodSeconds>172800</renewalPeriodSeconds></certificateValidity>", ""),
			with(func(p *mdm.Policy) { p.Validity, p.Renewal = 14*24*time.Hour, 2*24*time.Hour }),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := readPolicy(t, c.body)
			if err != nil || !reflect.DeepEqual(*p, c.want) {
				t.Errorf("%+v, %v", p, err)
			}
		})
	}
}

func TestPolicyRefuses(t *testing.T) {
	for _, c := range []struct {
		attributes string
		code       uint32
	}{
		{"<policySchema>4</policySchema>", 0x801900C8},
		{"<permission><enroll>false</enroll></permission>", 0x80180003},
		{"<privateKeyAttributes><minimalKeyLength>many</minimalKeyLength></privateKeyAttributes>", 0x801900C8},
		{"<privateKeyAttributes><minimalKeyLength>99999999</minimalKeyLength></privateKeyAttributes>", 0x801900C8},
		{"<certificateValidity><validityPeriodSeconds>-1</validityPeriodSeconds></certificateValidity>", 0x801900C8},
	} {
		p, err := readPolicy(t, policies(c.attributes, ""))
		if p != nil || failure(t, err).HRESULT() != c.code || failure(t, err).Op != "Policy" {
			t.Errorf("%s: %+v, %v", c.attributes, p, err)
		}
	}
}

// A server without a policy service has the default policy; nothing is asked.
func TestNoPolicyService(t *testing.T) {
	p, err := new(mdm.Client).Policy(t.Context(), &mdm.Discovery{EnrollURL: "https://mdm.test/e"}, mdm.Token(""))
	if err != nil || p.MinimalKeyLength != 2048 || p.Hash != crypto.SHA256 {
		t.Errorf("%+v, %v", p, err)
	}
}
