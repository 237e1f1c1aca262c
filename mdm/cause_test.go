package mdm_test

import (
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
)

// The code with three causes names the likeliest first, by what the server
// says and by how the device enrolls.
func TestNotSupported(t *testing.T) {
	const record, personal, platform = "record still exists", "personally owned", "platform or version"
	for _, c := range []struct {
		message string
		items   []mdm.Item
		want    string
	}{
		{"", extra(), record},
		{"", nil, platform},
		{"The device is over its one-time limit check", nil, record},
		{"Device Identifier not preregistered", extra(), personal},
		{"Personal devices are blocked", nil, personal},
		{"The platform is restricted", extra(), platform},
	} {
		server := &mdmtest.Server{
			Passwords: func(string, string) bool { return true },
			Deny: func(string, string) *mdmtest.Denial {
				return &mdmtest.Denial{ErrorType: "DeviceNotSupported", Message: c.message}
			},
		}
		discovery, h := startTLS(t, server)
		client := &mdm.Client{Device: mdm.Device{ID: testDevice}, HTTPClient: h}
		var with mdm.Credential = newToken(t)
		if c.items == nil {
			with = mdm.Password{User: "u@contoso.test"}
		}
		_, err := client.Enroll(t.Context(), &mdm.Discovery{EnrollURL: strings.Replace(discovery, "Discovery", "Enrollment", 1)}, nil,
			&mdm.Request{Credential: with, Key: mdmKey(), Context: c.items})
		e := failure(t, err)
		_, list, _ := strings.Cut(e.Remedy(), "the likeliest first. ")
		first, rest, _ := strings.Cut(list, ". ")
		if e.HRESULT() != 0x80180014 || !strings.Contains(first, c.want) || strings.Contains(rest, c.want) || strings.Count(rest, "If ") != 2 {
			t.Errorf("%q: %v; %s", c.message, e, e.Remedy())
		}
	}
}

// Faults that have lost their namespaces are faults all the same; other
// envelopes without are not believed.
func TestFaultsWithoutNamespace(t *testing.T) {
	const body = `<Code><Value>Receiver</Value><Subcode><Value>Authorization</Value></Subcode></Code><Reason><Text>no</Text></Reason>`
	for _, text := range []string{
		`<Envelope><Body><Fault>` + body + `</Fault></Body></Envelope>`,
		`<s:Envelope><s:Body><s:Fault>` + body + `</s:Fault></s:Body></s:Envelope>`,
		`<envelope><body><fault>` + strings.ToLower(body) + `</fault></body></envelope>`,
	} {
		if e := discoverCanned(t, canned{Status: 500, Body: text}); e.HRESULT() != 0x80180003 || e.Message != "no" {
			t.Errorf("%s: %v", text, e)
		}
	}
	text := `<Envelope><Body>` + strings.TrimSuffix(strings.TrimPrefix(discovered("<EnrollmentServiceUrl>https://mdm.test/e</EnrollmentServiceUrl>"), soap12), end) + `</Body></Envelope>`
	if e := discoverCanned(t, canned{Status: 200, Body: text}); e.HRESULT() != 0x801900C8 {
		t.Error(e)
	}
}

// A server whose certificate is refused has a code of its own, not one of the
// network's.
func TestServerCertificates(t *testing.T) {
	h := httptest.NewUnstartedServer(new(mdmtest.Server))
	h.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that are to fail
	h.StartTLS()
	t.Cleanup(h.Close)
	trusting := func(at time.Time) *http.Client {
		c := h.Client()
		transport := c.Transport.(*http.Transport).Clone()
		transport.TLSClientConfig.Time = func() time.Time { return at }
		return &http.Client{Transport: transport}
	}
	d := &mdm.Discovery{PolicyURL: h.URL + "/EnrollmentServer/Policy.svc"}
	for _, c := range []struct {
		name             string
		client           *http.Client
		discover, policy uint32
	}{
		{"unknown root", &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}}, 0x80180012, 0x80180012},
		{"expired", trusting(time.Now().AddDate(200, 0, 0)), 0x8018000D, 0x80180012},
	} {
		client := &mdm.Client{HTTPClient: c.client}
		_, err := client.Discover(t.Context(), h.URL+mdmtest.DiscoveryPath, "")
		if e := failure(t, err); e.HRESULT() != c.discover || e.Retryable() || e.Remedy() == "" {
			t.Errorf("%s: %v", c.name, e)
		}
		_, err = client.Policy(t.Context(), d, mdm.Token("a.b.c"))
		if e := failure(t, err); e.HRESULT() != c.policy || e.Retryable() || e.Remedy() == "" {
			t.Errorf("%s: %v", c.name, e)
		}
	}
}

func TestDiscoveryURL(t *testing.T) {
	for in, want := range map[string]string{
		"contoso.com":             "https://EnterpriseEnrollment.contoso.com/EnrollmentServer/Discovery.svc",
		"user@a.contoso.com":      "https://EnterpriseEnrollment.a.contoso.com/EnrollmentServer/Discovery.svc",
		"contoso":                 "",
		"":                        "",
		"user@":                   "",
		".contoso.com":            "",
		"contoso.com/x":           "",
		"contoso.com:8080":        "",
		"contoso.com@other.com@x": "",
		"https://contoso.com":     "",
		"contoso.com?x":           "",
	} {
		got, err := mdm.DiscoveryURL(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}

// Redirects are followed from https to https, and nowhere else.
func TestRedirects(t *testing.T) {
	server := new(mdmtest.Server)
	discovery, h := startTLS(t, server)
	for _, c := range []struct {
		name, to string
		status   int
		code     uint32
	}{
		{"302", discovery, http.StatusFound, 0},
		{"308", discovery, http.StatusPermanentRedirect, 0},
		{"303, which asks for GET", discovery, http.StatusSeeOther, 0x8019012F},
		{"to http", strings.Replace(discovery, "https", "http", 1), http.StatusFound, 0x8018001A},
		{"to a file", "file:///etc/passwd", http.StatusFound, 0x8018001A},
		{"to nowhere", "", http.StatusFound, 0x8019012E},
	} {
		moved := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", c.to)
			w.WriteHeader(c.status)
		}))
		// httptest's servers have one certificate: the client trusts both.
		_, err := (&mdm.Client{HTTPClient: h}).Discover(t.Context(), moved.URL, "")
		switch {
		case c.code == 0 && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.code != 0 && failure(t, err).HRESULT() != c.code:
			t.Errorf("%s: %v", c.name, err)
		}
		moved.Close()
	}
}
