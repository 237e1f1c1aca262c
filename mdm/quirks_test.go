package mdm_test

import (
	"net/http"
	"reflect"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
)

// What a quirk makes of an enrollment and of a renewal: the code of the error,
// or 0. Quirks that are not here change nothing for the client.
var (
	quirkEnroll = map[string]uint32{
		"NeedUPN":  0x80180001, // the token has none
		"LongKeys": 0x80180027, // the policy wants a longer key than there is
	}
	quirkRenew = map[string]uint32{"NoRenewal": 0x80180001, "SpecPKCS7Only": 0x80180001}
	// Of a refused request: what is wrong is that the device is not registered.
	quirkRefusal = map[string]uint32{"EmptyRefusals": 0x801900C8, "HTMLRefusals": 0x801901F4}
)

// With each quirk of a real server enrollment, renewal and refusal come to the
// right end.
func TestQuirks(t *testing.T) {
	server := new(mdmtest.Server)
	deny := false
	server.Deny = func(op, _ string) *mdmtest.Denial {
		if op != "Enroll" || !deny {
			return nil
		}
		return &mdmtest.Denial{Subcode: "s:Authorization", ErrorType: "DeviceCapReached", Message: "Too many devices"}
	}
	quirks := reflect.TypeFor[mdmtest.Quirks]()
	for i := range quirks.NumField() {
		name := quirks.Field(i).Name
		t.Run(name, func(t *testing.T) {
			server.Quirks = mdmtest.Quirks{}
			reflect.ValueOf(&server.Quirks).Elem().Field(i).SetBool(true)
			deny = false
			testEnrollment(t, server, quirkEnroll[name], quirkRenew[name])
			deny = true
			testRefusal(t, server, quirkRefusal[name])
		})
	}
}

func testEnrollment(t *testing.T, server *mdmtest.Server, enrollCode, renewCode uint32) {
	t.Helper()
	q, before := server.Quirks, len(server.Enrolled())
	if enrollCode != 0 {
		discovery, h := startTLS(t, server)
		_, err := enroll(t, &mdm.Client{HTTPClient: h}, discovery)
		if got := failure(t, err).HRESULT(); got != enrollCode || len(server.Enrolled()) != before {
			t.Errorf("enrollment: %v", err)
		}
		return
	}
	e := enrollTLS(t, server)
	if want := map[bool]string{true: "User", false: "System"}[q.UserStore]; e.Scope != want || e.Server == "" {
		t.Errorf("store %q, server %q", e.Scope, e.Server)
	}
	got, err := e.renew(t.Context(), nil)
	switch {
	case renewCode == 0 && err != nil:
		t.Errorf("renewal: %v; server: %q", err, server.Refusals())
	case renewCode != 0 && (got != nil || failure(t, err).HRESULT() != renewCode):
		t.Errorf("renewal: %+v, %v", got, err)
	}
	if q.SpecPKCS7Only {
		if _, err := e.renew(t.Context(), func(r *mdm.Renewal) { r.SpecType = true }); err != nil {
			t.Errorf("renewal as specified: %v", err)
		}
	}
}

// testRefusal checks that what a server does not grant is told as it is, and
// that nothing else is taken for a certificate.
func testRefusal(t *testing.T, server *mdmtest.Server, code uint32) {
	t.Helper()
	if server.Quirks.NeedUPN || server.Quirks.LongKeys {
		return
	}
	discovery, h := startTLS(t, server)
	got, err := enroll(t, &mdm.Client{HTTPClient: h}, discovery)
	if got != nil {
		t.Fatal("enrolled")
	}
	e := failure(t, err)
	if code != 0 {
		if e.HRESULT() != code || e.Fault != nil {
			t.Errorf("refusal: %v", e)
		}
		return
	}
	if e.HRESULT() != 0x80180013 || e.Message != "Too many devices" || e.TraceID == "" || e.Remedy() == "" {
		t.Errorf("refusal: %v, trace %q", e, e.TraceID)
	}
}

// The public servers as they are, each with all of its quirks.
func TestPublicServers(t *testing.T) {
	for _, c := range []struct {
		name          string
		upn           bool
		enroll, renew uint32
	}{
		{"fleet", true, 0, 0x80180001},
		{"fleet", false, 0x80180001, 0},
		{"dominion", false, 0x801900C8, 0},
		{"dominion", true, 0x80180027, 0},
		{"poc", false, 0, 0x80180001},
		{"wmdm", false, 0, 0x80180001},
		{"baby", false, 0, 0x80180001},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := &mdmtest.Server{Quirks: mdmtest.QuirksOf(c.name)}
			if server.Quirks == (mdmtest.Quirks{}) {
				t.Fatal("no quirks")
			}
			discovery, h := startTLS(t, server)
			client := &mdm.Client{Device: mdm.Device{ID: testDevice}, HTTPClient: h}
			token := newToken(t)
			if c.upn {
				token = userToken(t, jwt.MapClaims{"upn": "fooUser@contoso.test", "deviceid": testDevice, "idtyp": "device"})
			}
			d, err := client.Discover(t.Context(), discovery, "")
			if err != nil {
				t.Fatal(err)
			}
			p, err := client.Policy(t.Context(), d, token)
			if err == nil {
				_, err = client.Enroll(t.Context(), d, p, &mdm.Request{Credential: token, Key: mdmKey(), Context: extra()})
			}
			if c.enroll != 0 {
				e := failure(t, err)
				if e.HRESULT() != c.enroll {
					t.Error(e)
				}
				if !c.upn && (len(e.Warnings) != 1 || e.Remedy() == "") {
					t.Errorf("warnings: %q", e.Warnings)
				}
				return
			}
			if err != nil {
				t.Fatalf("%v; server: %q", err, server.Refusals())
			}
		})
	}
	if mdmtest.QuirksOf("another") != (mdmtest.Quirks{}) {
		t.Error("an unknown server has quirks")
	}
}

// A policy that asks for more than the server means to have may be changed by
// the caller, as the documentation says.
func TestPolicyChanged(t *testing.T) {
	server := &mdmtest.Server{Quirks: mdmtest.Quirks{LongKeys: true}}
	discovery, h := startTLS(t, server)
	client := &mdm.Client{Device: mdm.Device{ID: testDevice}, HTTPClient: h}
	d, err := client.Discover(t.Context(), discovery, "")
	if err != nil {
		t.Fatal(err)
	}
	p, err := client.Policy(t.Context(), d, newToken(t))
	if err != nil || p.MinimalKeyLength != 4096 {
		t.Fatalf("%+v, %v", p, err)
	}
	p.MinimalKeyLength = 2048
	if _, err := client.Enroll(t.Context(), d, p, &mdm.Request{Credential: newToken(t), Key: mdmKey(), Context: extra()}); err != nil {
		t.Error(err)
	}
}

// The versions that a server with FewVersions refuses are refused as such.
func TestRequestVersions(t *testing.T) {
	discovery, h := startTLS(t, &mdmtest.Server{Quirks: mdmtest.Quirks{FewVersions: true, FaultsAsOK: true, LowerCaseFaults: true}})
	for version, code := range map[string]uint32{
		"": 0, "4.0": 0, "5.0": 0, "6.0": 0, "3.0": 0x80180001, "7.0": 0x80180001, "9.0": 0x80180001,
	} {
		d, err := (&mdm.Client{RequestVersion: version, HTTPClient: h}).Discover(t.Context(), discovery, "")
		switch {
		case code == 0 && err != nil:
			t.Errorf("%s: %v", version, err)
		case code != 0 && (d != nil || failure(t, err).HRESULT() != code || failure(t, err).HTTPStatus != http.StatusOK):
			t.Errorf("%s: %v", version, err)
		}
	}
}
