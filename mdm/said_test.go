package mdm_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/internal/wire"
	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/omadm"
)

// Servers that refuse without SOAP say why in JSON, in text or on a web page.
// The words are kept, and there is a remedy.
func TestWordsWithoutSOAP(t *testing.T) {
	basic := http.Header{"Www-Authenticate": {`Basic realm="proxy"`}}
	for _, c := range []struct {
		got   canned
		words string
		cure  string
		cause string
	}{
		{got: canned{Status: 400, Body: `{"message":"Bad request","errors":[{"name":"base","reason":"no"}]}`}, words: "Bad request", cure: "refuses the request", cause: "status 400"},
		{got: canned{Status: 401, Body: "Token\x1b[2J is expired\n"}, words: "Token\ufffd[2J is expired", cure: "credentials", cause: "status 401"},
		{got: canned{Status: 401, Body: "no", Header: basic}, words: "no", cure: "sign-in by HTTP", cause: `asks for "Basic"`},
		{got: canned{Status: 403, Body: "<html><head><title>Blocked</title><script>x()</script></head><p>by policy</html>"}, words: "Blocked by policy", cure: "let the device in", cause: "status 403"},
		{got: canned{Status: 404, Body: "404 page not found"}, words: "404 page not found", cure: "check the URL", cause: "status 404"},
		{got: canned{Status: 407}, words: "", cure: "proxy asks", cause: "status 407"},
		{got: canned{Status: 409, Body: `{"x":1}`}, words: `{"x":1}`, cure: "refuses", cause: "status 409"},
		{got: canned{Status: 500, Body: "<!DOCTYPE html><h1>Server Error</h1>"}, words: "Server Error", cure: "run again later", cause: "status 500"},
		{got: canned{Status: 502, Body: strings.Repeat("bad gateway ", 1000)}, words: strings.Repeat("bad gateway ", 3), cure: "proxy", cause: "status 502"},
		{got: canned{Status: 200, Body: "<!DOCTYPE html><html><body>Please sign in</body></html>"}, words: "Please sign in", cure: "proxy", cause: "web page"},
	} {
		e := discoverCanned(t, c.got)
		if len(e.Message) > 1100 || !strings.HasPrefix(e.Message, c.words) || (c.words == "") != (e.Message == "") || !strings.Contains(e.Error(), c.cause) || !strings.Contains(e.Remedy(), c.cure) {
			t.Errorf("discovery: %v; says %q; %s", e, e.Message, e.Remedy())
		}
		s := omadm.Session{Server: "https://mdm.test/", Device: mdm.Device{ID: testDevice}, Tree: new(omadm.Tree), HTTPClient: &http.Client{Transport: c.got}}
		_, err := s.Run(t.Context())
		if e := failure(t, err); !strings.HasPrefix(e.Message, c.words) || !strings.Contains(e.Error(), c.cause) || e.Remedy() == "" {
			t.Errorf("session: %v; says %q; %s", e, e.Message, e.Remedy())
		}
		if c.got.Header != nil {
			c.got.Header = nil
			c.cause = "status 401"
		}
		_, err = (&mdm.TokenClient{Endpoint: "https://login.test/token", HTTPClient: &http.Client{Transport: c.got}}).Exchange(t.Context(), &mdm.TokenRequest{Certificate: deviceCertificate(t), DeviceKey: mdmKey()})
		if e := failure(t, err); !strings.HasPrefix(e.Message, c.words) && !strings.HasPrefix(c.words, "{") || !strings.Contains(e.Error(), c.cause) || e.Remedy() == "" {
			t.Errorf("token: %v; says %q; %s", e, e.Message, e.Remedy())
		}
	}
}

// NotSupported is explained by the message, and an error after a redirect says where the
// redirect came from.
func TestRemedyOfMessage(t *testing.T) {
	for message, want := range map[string]string{
		"Device Identifier not preregistered": "register it as corporate",
		"The device is already enrolled":      "unblock it in device management",
		"not today":                           "do what its message says",
		"":                                    "The server does not manage this kind of device.",
	} {
		e := &mdm.Error{Op: "Enroll", HTTPStatus: 500, Message: message, Fault: &mdm.Fault{Type: "NotSupported"}}
		if got := e.Remedy(); !strings.Contains(got, want) {
			t.Errorf("%q: %s", message, got)
		}
	}
	if got := (&mdm.Error{Op: "Enroll", HTTPStatus: 500, Fault: &mdm.Fault{Type: "InMaintenance"}}).Remedy(); !strings.Contains(got, "tenant's device management is under maintenance") {
		t.Error(got)
	}
	for _, c := range []struct {
		e    mdm.Error
		want string
	}{
		{mdm.Error{Op: "Discover", URL: "https://a.test/x", HTTPStatus: 302, Err: wire.ErrInsecure}, "or let a.test pass. Else the operator of a.test must"},
		{mdm.Error{Op: "Discover", HTTPStatus: 302, Err: wire.ErrInsecure}, "or let the server pass. Else the operator of the server must"},
		{mdm.Error{Op: "Discover", HTTPStatus: 200, Err: wire.ErrInsecure}, "The server names an address that is not one of https"},
		{mdm.Error{Op: "Discover", Err: wire.ErrInsecure}, "The address is not one of https: correct it."},
	} {
		if got := c.e.Remedy(); !strings.Contains(got, c.want) {
			t.Errorf("%v: %s, not %s", &c.e, got, c.want)
		}
	}
	old := []string{"The token expired on 2026-11-28 09:00 UTC: get a new one."}
	expired := &mdm.Error{Op: "Enroll", HTTPStatus: 500, Fault: &mdm.Fault{Subcode: "s:Authentication"}, Warnings: old}
	if got := expired.Remedy(); got != old[0] {
		t.Errorf("an expired token: %s", got)
	}
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/there" {
			http.Redirect(w, r, "/there", http.StatusTemporaryRedirect)
			return
		}
		w.WriteHeader(http.StatusForbidden)
	}))
	defer h.Close()
	_, err := new(mdm.Client).Discover(t.Context(), h.URL+"/here", "")
	if want := "mdm: Discover " + h.URL + "/there, redirected from " + h.URL + "/here: HTTP status 403"; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v", err)
	}
}
