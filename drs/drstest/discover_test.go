package drstest_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/drs/drstest"
)

func TestRealm(t *testing.T) {
	r := newRig(t)
	r.server.AddUser(drstest.User{UPN: "fed@contoso.test", Federated: "https://sts.contoso.test/adfs"})
	for upn, want := range map[string]drs.Realm{
		alice:               {Type: "Managed", Domain: "contoso.test", CloudInstance: "microsoftonline.com"},
		"bob@fabrikam.test": {Type: "Unknown", Domain: "fabrikam.test", CloudInstance: "microsoftonline.com"},
		"fed@contoso.test": {
			Type: "Federated", Domain: "contoso.test", CloudInstance: "microsoftonline.com", Protocol: "WSTrust",
			MetadataURL: "https://sts.contoso.test/adfs/mex", AuthURL: "https://sts.contoso.test/adfs",
		},
	} {
		got, err := r.client.Realm(t.Context(), r.tenant, upn)
		if err != nil || *got != want {
			t.Errorf("%s: %+v, %v", upn, got, err)
		}
	}
	for _, upn := range []string{"", "alice", strings.Repeat("a", 3000) + "@b"} {
		if _, err := r.client.Realm(t.Context(), r.tenant, upn); err == nil {
			t.Errorf("%.20q is taken", upn)
		}
	}
	if _, err := r.client.Realm(t.Context(), nil, alice); !errors.Is(err, drs.ErrEndpoint) {
		t.Errorf("no token endpoint: %v", err)
	}
}

func TestCapabilities(t *testing.T) {
	r := newRig(t)
	for _, only1 := range []bool{false, true} { // the metadata of the public service, and that of AD FS
		r.server.Derive1 = only1
		got, err := r.client.Capabilities(t.Context(), r.tenant)
		if err != nil || (len(got) > 0) != only1 || (got == nil) == only1 || strings.Contains(strings.Join(got, " "), "kdf_ver2") {
			t.Errorf("%q, %v", got, err)
		}
	}
}

// All API versions of discovery, and the form of AD FS.
func TestDiscoverVersions(t *testing.T) {
	r := newRig(t)
	for _, v := range []string{"1.0", "1.1", "1.2", "1.5", "1.6", "1.7", "1.8", "1.9"} {
		c := *r.client
		c.APIVersion = v
		d, err := c.Discover(t.Context(), drstest.DefaultTenantID)
		if err != nil {
			t.Fatal(v, err)
		}
		if d.JoinEndpoint != r.url+"/EnrollmentServer/device/" || d.TokenEndpoint == "" || d.TenantID != drstest.DefaultTenantID ||
			(d.KeyEndpoint != "") != (v >= "1.2") || (d.ManagementEndpoint != "" && d.MsaSiteID == "295218" && d.ProofEndpoint != "") != (v >= "1.6") {
			t.Errorf("%s: %+v", v, *d)
		}
	}
	for _, v := range []string{"2.0", "1.10", "x"} {
		c := *r.client
		c.APIVersion = v
		_, err := c.Discover(t.Context(), drstest.DefaultTenantID)
		wantError(t, err, "error_fail", "api-version")
	}
	json, err := r.client.Contract(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := *r.client
	c.HTTPClient = &http.Client{Transport: wantXML{}}
	xml, err := c.Contract(t.Context())
	if err != nil || *xml != *json || xml.JoinResource != drstest.JoinResource || xml.KeyEndpoint == "" {
		t.Errorf("%+v, %v", xml, err)
	}
	c.APIVersion = "1.9"
	_, err = c.Contract(t.Context())
	wantError(t, err, "error_fail", "api-version")
}

// wantXML is a transport that requests XML.
type wantXML struct{}

func (wantXML) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Accept", "application/xml")
	return http.DefaultTransport.RoundTrip(req)
}
