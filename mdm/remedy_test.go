package mdm_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
)

// A remedy speaks of what was sent: no token at a discovery, a certificate in a
// renewal, a password where there is one.
func TestRemedyFitsOperation(t *testing.T) {
	for _, subcode := range []string{"s:MessageFormat", "s:Authentication", "s:Authorization", "a:InvalidSecurity", "", "x:Unheard"} {
		f := &mdm.Fault{Code: "s:Receiver", Subcode: subcode}
		for op, words := range map[string]string{"Discover": "token", "Renew": "token is", "Session": "token"} {
			e := &mdm.Error{Op: op, HTTPStatus: 500, Fault: f}
			if text := e.Remedy(); text == "" || strings.Contains(strings.ReplaceAll(text, "no token", ""), words) {
				t.Errorf("%s after %q: %q", op, subcode, text)
			}
		}
		c := &mdm.Client{Device: mdm.Device{ID: testDevice}, HTTPClient: &http.Client{Transport: canned{Status: 500, Body: fault(subcode, "")}}}
		_, err := c.Policy(t.Context(), &mdm.Discovery{PolicyURL: "https://mdm.test/p"}, mdm.Password{User: "user@contoso.test", Secret: "x"})
		if text := failure(t, err).Remedy(); text == "" || strings.Contains(text, "the token") {
			t.Errorf("password after %q: %q", subcode, text)
		}
	}
	e := discoverCanned(t, canned{Status: 200, Body: fault("s:MessageFormat", "")})
	if !strings.Contains(e.Remedy(), "request version") {
		t.Errorf("%s", e.Remedy())
	}
}

// An empty token is no bug, and the remedy says what is missing.
func TestEmptyToken(t *testing.T) {
	for _, with := range []mdm.Credential{mdm.Token(""), mdm.OpaqueToken("")} {
		_, err := new(mdm.Client).Policy(t.Context(), &mdm.Discovery{PolicyURL: "https://mdm.test/p"}, with)
		if e := failure(t, err); e.Remedy() != "Give the token that the server's sign-in gave (in the programs: -token)." {
			t.Errorf("%T: %v: %s", with, err, e.Remedy())
		}
	}
}

// The message in a fault's detail is not lost beside the reason.
func TestFaultDetail(t *testing.T) {
	e := discoverCanned(t, canned{Status: 200, Body: fault("s:Authorization", "DeviceNotSupported")})
	if e.Detail != "in detail" || e.ServerMessage() != "in words: in detail" || !strings.Contains(e.Error(), "in words: in detail") {
		t.Errorf("%v; %q", e, e.ServerMessage())
	}
	e = discoverCanned(t, canned{Status: 200, Body: strings.Replace(fault("s:Authorization", "DeviceNotSupported"), "in detail", "personally owned", 1)})
	if !strings.Contains(e.Remedy(), "the likeliest first. If the device is personally owned, register it as corporate.") {
		t.Errorf("%s", e.Remedy())
	}
	e = discoverCanned(t, canned{Status: 200, Body: strings.Replace(fault("s:Authorization", "DeviceNotSupported"), "in detail", "words", 1)})
	if e.ServerMessage() != "in words" {
		t.Errorf("%q", e.ServerMessage())
	}
}

// A service of http is not called a redirect, and an address without a scheme is
// named.
func TestAddresses(t *testing.T) {
	e := discoverCanned(t, canned{Status: 200, Body: discovered("<EnrollmentServiceUrl>http://mdm.test/e</EnrollmentServiceUrl>")})
	if !strings.Contains(e.Error(), "EnrollmentServiceUrl") || !strings.Contains(e.Remedy(), "names an address that is not one of https") {
		t.Errorf("%v; %s", e, e.Remedy())
	}
	e = discoverCanned(t, canned{Status: 302, Header: http.Header{"Location": {"http://mdm.test/"}}})
	if !strings.Contains(e.Remedy(), "leads to an address without https") {
		t.Errorf("%v; %s", e, e.Remedy())
	}
	for raw, want := range map[string]string{
		"127.0.0.1:24433":                 `"127.0.0.1:24433" is not an absolute URL: https:// is missing`,
		"mdm.test:443/Discovery.svc":      `"mdm.test:443/Discovery.svc" is not an absolute URL: https:// is missing`,
		"mdm.test/x?key=secret":           `"mdm.test/x" is not an absolute URL: https:// is missing`,
		"user:secret@mdm.test:1/":         `"mdm.test:1/" is not an absolute URL: https:// is missing`,
		"[::1]:24433":                     `"[::1]:24433" is not an absolute URL: https:// is missing`,
		"":                                `"" is not an absolute URL`,
		"/EnrollmentServer/Discovery.svc": "is not an absolute URL",
	} {
		_, err := new(mdm.Client).Discover(t.Context(), raw, "")
		if text := failure(t, err).Error(); !strings.Contains(text, want) || strings.Contains(text, "secret") || raw == "" && strings.Contains(text, "missing") {
			t.Errorf("%q: %s", raw, text)
		}
	}
}

// A run that succeeds says nothing of what other servers refuse.
func TestNoWarnings(t *testing.T) {
	var logged bytes.Buffer
	discovery, h := startTLS(t, new(mdmtest.Server))
	c := &mdm.Client{HTTPClient: h, Logger: slog.New(slog.NewTextHandler(&logged, nil))}
	if _, err := enroll(t, c, discovery); err != nil || logged.Len() > 0 {
		t.Errorf("%v; log %s", err, &logged)
	}
}
