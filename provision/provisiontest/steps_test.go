package provisiontest_test

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/provision"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// signed returns a JWT with one claim.
func signed(t *testing.T, name, value string) string {
	t.Helper()
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{name: value}).SignedString([]byte("key"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Each request belongs to the step that it is made for.
func TestSteps(t *testing.T) {
	form := func(name, value string) string { return url.Values{name: {value}}.Encode() }
	const registration = provisiontest.DirectoryPath + "/EnrollmentServer/"
	// Each step's fault is a status of its own.
	statuses := make(map[int]provision.Step)
	var faults []provisiontest.Fault
	for i, step := range provisiontest.FaultSteps() {
		statuses[450+i] = step
		faults = append(faults, provisiontest.Fault{Step: step, Kind: strconv.Itoa(450 + i), Requests: -1})
	}
	s, c := start(t)
	s.SetFaults(faults[1:]...) // without that of TLS
	for _, tt := range []struct {
		step                       provision.Step
		method, path, body, bearer string
	}{
		{"profile", "POST", provisiontest.AutopilotPath + "/ztd/v1/profile", "{}", ""},
		{"", "GET", provisiontest.AutopilotPath + "/v1.0/nothing", "{}", ""},
		{"ek", "POST", provisiontest.MakerPath + "?operation=PKIOperation", "", ""},
		{"aik", "GET", "/aik/SIM0-KeyId-00/templates/Aik/scep?operation=GetCACaps", "", ""},
		{"discover", "GET", discover, "", ""},
		{"token", "POST", registration + "tpmchallenge/contoso.test", "{}", ""},
		{"token", "POST", token, form("grant_type", "srv_challenge"), ""},
		{"token", "POST", token, form("assertion", "x"), ""},
		{"enroll", "POST", token, form("request", signed(t, "grant_type", "device_token")), ""},
		{"signin", "POST", token, form("request", signed(t, "grant_type", "password")), ""},
		{"signin", "POST", token, form("request", signed(t, "grant_type", "refresh_token")), ""},
		{"rejoin", "POST", token, form("grant_type", "password"), ""},
		{"join", "POST", registration + "device/?api-version=2.0", "{}", signed(t, "idtyp", "device")},
		{"join", "POST", registration + "device/?api-version=2.0", "{}", ""},
		{"rejoin", "POST", registration + "device/?api-version=2.0", "{}", signed(t, "idtyp", "user")},
		{"seal", "DELETE", registration + "device/00000000-0000-0000-0000-000000000000", "", ""},
		{"", "GET", provisiontest.DiscoveryPath, "", ""},
		{"", "GET", "/nothing", "", ""},
		{"enroll", "POST", provisiontest.DiscoveryPath, "<x/>", ""},
		{"enroll", "POST", provisiontest.ManagementPath + "/EnrollmentServer/Enrollment.svc", "<x/>", ""},
		{"session", "POST", provisiontest.ManagementPath + "/ManagementServer/MDM.svc", "<x/>", ""},
		{"discover", "GET", provisiontest.DirectoryPath + "/contoso.test/.well-known/openid-configuration", "", ""},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tt.method, s.URL+tt.path, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		if tt.bearer != "" {
			req.Header.Set("Authorization", "Bearer "+tt.bearer)
		}
		res, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if got := statuses[res.StatusCode]; got != tt.step {
			t.Errorf("%s %s %.30s is of %q, not %q", tt.method, tt.path, tt.body, got, tt.step)
		}
	}
}
