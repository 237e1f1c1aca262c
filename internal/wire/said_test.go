package wire_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/internal/wire"
)

// What a refusal says is found in whatever form it comes.
func TestSaid(t *testing.T) {
	for body, want := range map[string]string{
		"":                                 "",
		" \r\n ":                           "",
		"Device limit reached\n":           "Device limit reached",
		"a\x1b[31m\tb\nc":                  "a\ufffd[31m b c",
		"\x00\x01\x02":                     "",
		"\xff\xd8\xff\xe0\x10":             "",
		"Ger\xe4t unbekannt, bitte melden": "Ger\ufffdt unbekannt, bitte melden",
		`{"message":"no license"}`:         "no license",
		`{"error":{"code":"x","message":"no <b>license</b>"}}`:                   "no <b>license</b>",
		`{"message":"Bad request","errors":[{"name":"base","reason":"not it"}]}`: "Bad request",
		`{"errors":[{"name":"base","reason":"not it"}]}`:                         "not it",
		`{"Error":"invalid","error_description":"AADSTS1: x"}`:                   "AADSTS1: x",
		`{"odata.error":{"code":"x"}}`:                                           `{"odata.error":{"code":"x"}}`,
		`"just words"`:                                                           "just words",
		`{"message":`:                                                            `{"message":`,
		`<!DOCTYPE html><html><head><title>500</title><style>p{x}</style><script>if (a<b) alert("x")</script></head><body><h1>Server&nbsp;Error</h1><!-- <p>secret</p> --><p>Try &lt;later&gt;</p></body></html>`: "500 Server Error Try <later>",
		`<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>No</Message></Error>`:                                                                                                                      "AccessDenied No",
		"<html><script>never closed": "",
		"\ufeff<html>ok":             "ok",
	} {
		if got := wire.Said([]byte(body)); got != want {
			t.Errorf("%q says %q, want %q", body, got, want)
		}
	}
	for _, long := range []string{strings.Repeat("word ", 1<<20), strings.Repeat("<", 1<<20), strings.Repeat("<!--", 1<<18), strings.Repeat("[", 1<<20), strings.Repeat("<script", 1<<17)} {
		if got := wire.Said([]byte(long)); len(got) > 1010 {
			t.Errorf("%.10s: %d bytes", long, len(got))
		}
	}
}

func TestIsHTML(t *testing.T) {
	for body, want := range map[string]bool{
		"<html>": true, " \n<!DOCTYPE HTML PUBLIC": true, "\ufeff<HTML lang=en>": true,
		"": false, "<!DOCTYPE s>": false, "<s:Envelope>": false, "html": false,
	} {
		if wire.IsHTML([]byte(body)) != want {
			t.Errorf("%q", body)
		}
	}
}

func TestRefusal(t *testing.T) {
	for _, c := range []struct {
		status      int
		field, text string
		want        string
	}{
		{401, "Www-Authenticate", `Basic realm="x"`, `HTTP status 401 asks for "Basic"`},
		{407, "Proxy-Authenticate", "Negotiate", `HTTP status 407 asks for "Negotiate"`},
		{401, "Proxy-Authenticate", "Basic", ""},
		{403, "Www-Authenticate", "Basic", ""},
		{401, "", "", ""},
	} {
		err := wire.Refusal(&wire.Answer{Status: c.status, Header: http.Header{c.field: {c.text}}})
		if (err == nil) != (c.want == "") || err != nil && (!errors.Is(err, wire.ErrHTTPAuth) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%d %s: %v", c.status, c.text, err)
		}
	}
}
