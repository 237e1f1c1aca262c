package drs_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/drs"
)

// entra is an answer like that of the public service, with a section that is null, an
// unknown section, and escaped slashes.
const entra = `{
 "DiscoveryService": {"DiscoveryEndpoint": "https://enterpriseregistration.windows.net/contoso.com/Discover", "ServiceVersion": "1.9"},
 "DeviceRegistrationService": null,
 "AuthenticationService": {"OAuth2": {"AuthCodeEndpoint": "https://login.microsoftonline.com/x/oauth2/authorize", "TokenEndpoint": "https:\/\/login.microsoftonline.com\/x\/oauth2\/token"}},
 "IdentityProviderService": {"Federated": false, "PassiveAuthEndpoint": "https://login.microsoftonline.com/x/wsfed"},
 "DeviceJoinService": {"JoinEndpoint": "https://enterpriseregistration.windows.net/EnrollmentServer/device/", "JoinResourceId": "urn:ms-drs:enterpriseregistration.windows.net", "ServiceVersion": "2.0"},
 "DeviceManagementService": {"DeviceManagementEndpoint": "https://enterpriseregistration.windows.net/manage/x/", "DeviceManagementResourceId": "urn:m", "ServiceVersion": "1.0"},
 "KeyProvisioningService": {"KeyProvisionEndpoint": "https://enterpriseregistration.windows.net/EnrollmentServer/key/", "KeyProvisionResourceId": "urn:k", "ServiceVersion": "1.0"},
 "MsaProviderData": {"SiteId": 295218, "SiteUrl": "enterpriseregistration.windows.net"},
 "NonceService": {"Endpoint": "https://enterpriseregistration.windows.net/EnrollmentServer/nonce/x/", "ResourceId": "urn", "ServiceVersion": "1.0"},
 "TenantInfo": {"DisplayName": "Contoso", "TenantId": "19479DD1-B670-7D47-9394-D829CD102726", "TenantName": "contoso.com"}
}`

func TestDiscover(t *testing.T) {
	d, err := answering(t, 200, entra).Discover(t.Context(), "contoso.com")
	if err != nil {
		t.Fatal(err)
	}
	want := drs.Discovery{
		TenantID: tenantID, TenantName: "contoso.com", DisplayName: "Contoso",
		JoinEndpoint: "https://enterpriseregistration.windows.net/EnrollmentServer/device/", JoinResource: drs.DefaultResource, JoinVersion: "2.0",
		NonceEndpoint: "https://enterpriseregistration.windows.net/EnrollmentServer/nonce/x/", NonceVersion: "1.0",
		TokenEndpoint: "https://login.microsoftonline.com/x/oauth2/token", ProofVersion: "1.0",
		AuthorizeEndpoint: "https://login.microsoftonline.com/x/oauth2/authorize", PassiveEndpoint: "https://login.microsoftonline.com/x/wsfed",
		ManagementEndpoint: "https://enterpriseregistration.windows.net/manage/x/", ManagementResource: "urn:m", ManagementVersion: "1.0",
		KeyEndpoint: "https://enterpriseregistration.windows.net/EnrollmentServer/key/", KeyResource: "urn:k",
		MsaSiteID: "295218", MsaSiteURL: "enterpriseregistration.windows.net",
	}
	if *d != want {
		t.Errorf("got %+v", *d)
	}
}

func TestDiscoverRequest(t *testing.T) {
	var got string
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Method + " " + r.URL.String() + " " + r.Header.Get("ocp-adrs-client-name") + " " + r.Header.Get("ocp-adrs-client-version")
		w.Write([]byte("{}"))
	}))
	defer ts.Close()
	c := &drs.Client{BaseURL: ts.URL + "/", Header: http.Header{"Ocp-Adrs-Client-Name": {"other"}}}
	if _, err := c.Discover(t.Context(), tenantID); err != nil || got != "GET /"+tenantID+"/Discover?api-version=1.9&managed=True other 10" {
		t.Errorf("got %q, %v", got, err)
	}
	// As Windows sends it.
	c.Header = nil
	d, err := c.Discover(t.Context(), tenantID)
	if err != nil {
		t.Fatal(err)
	}
	if want := "GET /" + tenantID + "/Discover?api-version=1.9&managed=True dsreg 10"; got != want {
		t.Errorf("got %q", got)
	}
	// An empty answer leaves the defaults.
	if d.TenantID != tenantID || d.JoinEndpoint != ts.URL+"/EnrollmentServer/device/" || d.JoinVersion != "2.0" ||
		d.NonceEndpoint != ts.URL+"/EnrollmentServer/nonce/"+tenantID+"/" || d.JoinResource != drs.DefaultResource || d.TokenEndpoint != "" || d.ProofEndpoint != "" {
		t.Errorf("got %+v", *d)
	}
}

func TestDiscoverRefuses(t *testing.T) {
	for _, c := range []struct {
		name, body string
		err        error
	}{
		{"http endpoint", `{"DeviceJoinService":{"JoinEndpoint":"http://enterpriseregistration.windows.net/"}}`, drs.ErrEndpoint},
		{"other loopback port", `{"TpmChallengeService":{"Endpoint":"http://127.0.0.1:1/"}}`, drs.ErrEndpoint},
		{"file endpoint", `{"NonceService":{"Endpoint":"file:///etc/passwd"}}`, drs.ErrEndpoint},
		{"relative endpoint", `{"NonceService":{"Endpoint":"/nonce"}}`, drs.ErrEndpoint},
		{"endpoint with a password", `{"AuthenticationService":{"OAuth2":{"TokenEndpoint":"https://a:b@c/"}}}`, drs.ErrEndpoint},
		{"endpoint without end", `{"NonceService":{"Endpoint":"https://a/` + strings.Repeat("x", 4000) + `"}}`, drs.ErrEndpoint},
		{"another tenant", `{"TenantInfo":{"TenantId":"` + deviceID + `"}}`, drs.ErrTenant},
		{"tenant that is no GUID", `{"TenantInfo":{"TenantId":"contoso"}}`, drs.ErrMalformed},
		{"HTML", `<html>`, drs.ErrMalformed},
		{"another root", `<html></html>`, drs.ErrMalformed},
		{"http endpoint in XML", `<Discovery><DeviceJoinService><JoinEndpoint>http://a.example/</JoinEndpoint></DeviceJoinService></Discovery>`, drs.ErrEndpoint},
		{"management without TLS", `{"DeviceManagementService":{"DeviceManagementEndpoint":"http://a.example/"}}`, drs.ErrEndpoint},
		{"a list", `[]`, drs.ErrMalformed},
		{"endpoint with a control character", `{"NonceService":{"Endpoint":"https://a.example/\u001b[2J"}}`, drs.ErrEndpoint},
		{"endpoint in XML with a control character", "<Discovery><NonceService><Endpoint>https://a.example/\u009bJ</Endpoint></NonceService></Discovery>", drs.ErrEndpoint},
		{"long endpoint in XML", "<Discovery><NonceService><Endpoint>https://a.example/" + strings.Repeat("x", 4000) + "</Endpoint></NonceService></Discovery>", drs.ErrEndpoint},
		{"token endpoint of another tenant", `{"AuthenticationService":{"OAuth2":{"TokenEndpoint":"https://a.example/` + deviceID + `/oauth2/token"}}}`, drs.ErrTenant},
		{"sign-in page of another tenant", `{"AuthenticationService":{"OAuth2":{"AuthCodeEndpoint":"https://a.example/` + deviceID + `/oauth2/authorize"}}}`, drs.ErrTenant},
	} {
		d, err := answering(t, 200, c.body).Discover(t.Context(), tenantID)
		var e *drs.Error
		if !errors.As(err, &e) || !errors.Is(err, c.err) || d != nil || e.Retryable() || e.HRESULT()>>16 != 0x801C {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := answering(t, 200, strings.Repeat(" ", 300<<10)+"{}").Discover(t.Context(), tenantID); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("oversized: %v", err)
	}
	for _, tenant := range []string{"", "a/b", "a?b", "..%2f", strings.Repeat("a", 300)} {
		if _, err := answering(t, 200, "{}").Discover(t.Context(), tenant); err == nil {
			t.Errorf("tenant %q is taken", tenant)
		}
	}
}

func TestNoRedirectElsewhere(t *testing.T) {
	reached := false
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { reached = true }))
	defer other.Close()
	ts := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer ts.Close()
	_, err := (&drs.Client{BaseURL: ts.URL}).Discover(t.Context(), "contoso.com")
	var e *drs.Error
	if !errors.As(err, &e) || !errors.Is(err, drs.ErrEndpoint) || e.HRESULT() != 0x801C000B || reached {
		t.Errorf("got %v, reached %t", err, reached)
	}
}

func TestPlainServiceRefused(t *testing.T) {
	_, err := (&drs.Client{BaseURL: "http://drs.example"}).Discover(t.Context(), "contoso.com")
	if !errors.Is(err, drs.ErrEndpoint) {
		t.Errorf("got %v", err)
	}
}

func TestNonce(t *testing.T) {
	for _, c := range []struct {
		body, want string
	}{
		{`{"ReponseStatus":{"message":"","traceId":"x","time":"10/12/2023 3:05:30 PM"},"Value":"ZXlK"}`, "ZXlK"},
		{`{"ResponseStatus":null,"value":"ZXlK"}`, "ZXlK"},
		{`{}`, ""},
		{`{"Value":7}`, ""},
		{`{"Value":"` + strings.Repeat("A", 9000) + `"}`, ""},
	} {
		cl := answering(t, 200, c.body)
		got, err := cl.Nonce(t.Context(), &drs.Discovery{NonceEndpoint: cl.BaseURL + "/n/", NonceVersion: "1.0"}, nil)
		if got != c.want || (err != nil) != (c.want == "") || err != nil && !errors.Is(err, drs.ErrMalformed) {
			t.Errorf("%.80s: %q, %v", c.body, got, err)
		}
	}
}

func FuzzDiscover(f *testing.F) {
	for _, s := range []string{entra, contract, "{}", `{"TenantInfo":{}}`, `{"TenantInfo":[]}`, "null", `{"NonceService":{"Endpoint":"https://[::1"}}`} {
		f.Add([]byte(s))
	}
	rt := new(fixed)
	c := &drs.Client{HTTPClient: &http.Client{Transport: rt}}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := rt.with(200, b).discover(c)
		if err != nil {
			return
		}
		for _, e := range []string{d.JoinEndpoint, d.NonceEndpoint} {
			if !strings.HasPrefix(strings.ToLower(e), "https://") {
				t.Errorf("endpoint %q", e)
			}
		}
		if d.TenantID != tenantID {
			t.Errorf("tenant %q", d.TenantID)
		}
	})
}

// contract is an answer in XML, as in [MS-DVRD] for version 1.2.
const contract = `<?xml version="1.0" encoding="utf-8"?>
<Discovery xmlns="http://schemas.datacontract.org/2004/07/Microsoft.DeviceRegistration.Entities" xmlns:i="http://www.w3.org/2001/XMLSchema-instance">
<AuthenticationService><OAuth2><AuthCodeEndpoint>https://sts.contoso.test/adfs/oauth2/authorize</AuthCodeEndpoint><TokenEndpoint>https://sts.contoso.test/adfs/oauth2/token</TokenEndpoint></OAuth2></AuthenticationService>
<DeviceJoinService><JoinEndpoint>https://sts.contoso.test/EnrollmentServer/device</JoinEndpoint><JoinResourceId>urn:ms-drs:sts.contoso.test</JoinResourceId><ServiceVersion>1.0</ServiceVersion></DeviceJoinService>
<KeyProvisioningService><KeyProvisionEndpoint>https://sts.contoso.test/EnrollmentServer/key</KeyProvisionEndpoint><KeyProvisionResourceId>urn:ms-drs:sts.contoso.test</KeyProvisionResourceId><ServiceVersion>1.0</ServiceVersion></KeyProvisioningService>
<WebBrowserZones><Intranet i:nil="true"/></WebBrowserZones>
</Discovery>`

func TestContract(t *testing.T) {
	var asked string
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.String()
		w.Header().Set("Content-Type", "application/xml")
		w.Write([]byte(contract))
	}))
	defer ts.Close()
	c := &drs.Client{BaseURL: ts.URL}
	d, err := c.Contract(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if asked != "/EnrollmentServer/contract?api-version=1.2" {
		t.Errorf("asked %s", asked)
	}
	if d.JoinEndpoint != "https://sts.contoso.test/EnrollmentServer/device" || d.JoinResource != "urn:ms-drs:sts.contoso.test" || d.JoinVersion != "1.0" ||
		d.TokenEndpoint != "https://sts.contoso.test/adfs/oauth2/token" || d.KeyEndpoint != "https://sts.contoso.test/EnrollmentServer/key" || d.TenantID != "" {
		t.Errorf("got %+v", *d)
	}
	c.APIVersion = "1.0"
	if _, err = c.Contract(t.Context()); err != nil || !strings.HasSuffix(asked, "=1.0") {
		t.Errorf("asked %s: %v", asked, err)
	}
}

// An answer whose content type is neither JSON nor XML is not read, and only trusted hosts
// get requests.
func TestDiscoverTrust(t *testing.T) {
	_, err := answering(t, 200, "{}", "Content-Type", "text/html").Discover(t.Context(), tenantID)
	if !errors.Is(err, drs.ErrMalformed) || !strings.Contains(err.Error(), "content type") {
		t.Errorf("HTML: %v", err)
	}
	c := answering(t, 200, entra)
	c.Trust = func(host string) bool { return strings.HasPrefix(host, "127.0.0.1") }
	if _, err := c.Discover(t.Context(), tenantID); !errors.Is(err, drs.ErrEndpoint) || !strings.Contains(err.Error(), "host") {
		t.Errorf("another host: %v", err)
	}
}

// A Discovery that a program fills in itself needs only the fields without a default.
func TestWithoutDiscovery(t *testing.T) {
	var asked []string
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.String())
		w.WriteHeader(http.StatusTeapot)
	}))
	defer ts.Close()
	c := &drs.Client{BaseURL: ts.URL}
	given := &drs.Discovery{TenantID: tenantID}
	c.Nonce(t.Context(), given, nil)
	c.Join(t.Context(), nil, request(t))
	want := "/EnrollmentServer/nonce/" + tenantID + "/?api-version=1.0 /EnrollmentServer/device/?api-version=2.0"
	if got := strings.Join(asked, " "); got != want {
		t.Errorf("asked %s", got)
	}
	if *given != (drs.Discovery{TenantID: tenantID}) {
		t.Errorf("the caller's was changed: %+v", *given)
	}
	if _, err := c.Nonce(t.Context(), nil, nil); err == nil || len(asked) != 2 {
		t.Errorf("a nonce without a tenant: %v", err)
	}
}
