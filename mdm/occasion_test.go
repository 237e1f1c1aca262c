package mdm_test

import (
	"errors"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/internal/fixture"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
)

// A token of a device without a reason to enroll without a user is not sent. One
// that says false is: the caller has thought of it.
func TestOccasion(t *testing.T) {
	client := &mdm.Client{Device: mdm.Device{ID: testDevice}, HTTPClient: &http.Client{Transport: broken{}}}
	d := &mdm.Discovery{EnrollURL: "https://mdm.test/e", EnrollVersion: "5.0"}
	made := func(change jwt.MapClaims) mdm.Token {
		claims := fixture.TokenClaims()
		maps.Copy(claims, change)
		text, err := jwt.NewWithClaims(jwt.SigningMethodRS256, claims).SignedString(tokenKey())
		if err != nil {
			t.Fatal(err)
		}
		return mdm.Token(text)
	}
	for _, c := range []struct {
		name  string
		token mdm.Credential
		items []mdm.Item
		sent  bool
	}{
		{"nothing", newToken(t), nil, false},
		{"a registration alone", newToken(t), []mdm.Item{{Name: mdm.ItemZeroTouch, Value: testZTD}}, false},
		{"placeholder for a user", made(jwt.MapClaims{"upn": "fooUser@contoso.test"}), nil, false},
		{"no idtyp", made(jwt.MapClaims{"idtyp": nil}), nil, false},
		{"pre-provisioning", newToken(t), mdm.PreProvisioning(""), true},
		{"self-deployment", newToken(t), mdm.SelfDeploying(testZTD), true},
		{"hybrid join", newToken(t), []mdm.Item{mdm.BoolItem(mdm.ItemHybrid, true)}, true},
		{"virtual machine", newToken(t), []mdm.Item{mdm.BoolItem(mdm.ItemAzureVM, true)}, true},
		{"thought of", newToken(t), []mdm.Item{mdm.BoolItem(mdm.ItemWhiteGlove, false)}, true},
		{"a user's", made(jwt.MapClaims{"idtyp": "user", "upn": "user@contoso.test"}), nil, true},
		{"opaque", mdm.OpaqueToken("x"), nil, true},
	} {
		_, err := client.Enroll(t.Context(), d, nil, &mdm.Request{Credential: c.token, Key: mdmKey(), Context: c.items})
		e := failure(t, err)
		if sent := e.URL != ""; sent != c.sent {
			t.Errorf("%s: sent %v: %v", c.name, sent, err)
		}
		if !c.sent && (!strings.Contains(err.Error(), "PlugandForget") || !strings.Contains(e.Remedy(), "context items")) {
			t.Errorf("%s: %v: %s", c.name, err, e.Remedy())
		}
	}
	if _, err := client.Recover(t.Context(), d, nil, &mdm.Request{Credential: newToken(t), Key: mdmKey()}); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("recovery: %v", err)
	}
}

// The identifier of a device that is a GUID is sent as 32 digits, in the request
// and in the description of the device.
func TestDeviceIDDigits(t *testing.T) {
	s, discovery := start(t)
	var r recorder
	client := &mdm.Client{Device: mdm.Device{ID: "0D9E0F0A-6d35-4b7e-8c11-3a0f5b1c2d3e"}, HTTPClient: &http.Client{Transport: &r}}
	if _, err := enroll(t, client, discovery); err != nil {
		t.Fatalf("%v; server: %q", err, s.Refusals())
	}
	if last := r.bodies[len(r.bodies)-1]; !strings.Contains(last, item("DeviceID", "0D9E0F0A6d354b7e8c113a0f5b1c2d3e")) {
		t.Error(last)
	}
	for id, want := range map[string]string{"unit-7": "unit-7", testDevice: strings.ReplaceAll(testDevice, "-", ""), "": ""} {
		if got := (mdm.Device{ID: id}).WithDefaults().ID; got != want {
			t.Errorf("%q is sent as %q", id, got)
		}
	}
}

// What follows a discovery carries its activity in the query, and a query that
// has one keeps it.
func TestActivity(t *testing.T) {
	_, discovery := start(t)
	d, err := new(mdm.Client).Discover(t.Context(), discovery, "")
	if err != nil {
		t.Fatal(err)
	}
	id := regexp.MustCompile(`\.svc\?client-request-id=([0-9a-f-]{36})$`)
	if p, e := id.FindStringSubmatch(d.PolicyURL), id.FindStringSubmatch(d.EnrollURL); p == nil || e == nil || p[1] != e[1] {
		t.Errorf("%s, %s", d.PolicyURL, d.EnrollURL)
	}
	for url, want := range map[string]string{
		"https://mdm.test/e?client-request-id=1": "https://mdm.test/e?client-request-id=1",
		"https://mdm.test/e?a=b":                 "https://mdm.test/e?a=b&client-request-id=8c6060c4-3d78-4d73-ae17-e8bce88426ee",
	} {
		answer := strings.Replace(namesService(url), "<s:Body>", `<s:Header><ActivityId xmlns="http://schemas.microsoft.com/2004/09/ServiceModel/Diagnostics">
			8c6060c4-3d78-4d73-ae17-e8bce88426ee
		</ActivityId></s:Header><s:Body>`, 1)
		client := &mdm.Client{HTTPClient: &http.Client{Transport: canned{Status: 200, Body: answer}}}
		d, err := client.Discover(t.Context(), "https://mdm.test"+mdmtest.DiscoveryPath, "")
		if err != nil || d.EnrollURL != want || d.PolicyURL != "" {
			t.Errorf("%+v, %v", d, err)
		}
	}
}

// namesService returns an answer that names one service.
func namesService(enroll string) string {
	return `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><DiscoverResponse xmlns="http://schemas.microsoft.com/windows/management/2012/01/enrollment">` +
		`<DiscoverResult><AuthPolicy>Federated</AuthPolicy><EnrollmentServiceUrl>` + enroll + `</EnrollmentServiceUrl></DiscoverResult></DiscoverResponse></s:Body></s:Envelope>`
}
