package command

import (
	"strings"
	"testing"
)

func TestCheckURL(t *testing.T) {
	for raw, want := range map[string][2]string{ // of CheckURL and CheckOpenURL
		"":                      {"", ""},
		"https://a.test/{x}":    {"", ""},
		"http://127.0.0.1:1/":   {"", ""},
		"http://a.test":         {"http://a.test is not https", ""},
		"ftp://a.test":          {"is not https", "neither of https nor of http"},
		"a.test/path":           {"https:// is missing before it", "https:// is missing before it"},
		"foo":                   {"is not an absolute URL", "is not an absolute URL"},
		"https://u:pw@a.test/":  {"has a user name or a password", "has a user name or a password"},
		"http://u:pw@a.test/":   {"has a user name or a password", "has a user name or a password"},
		"https://a.test:999999": {"-x: the port 999999 is not from 1 to 65535", "the port 999999 is not"},
		"https://a.test:0/":     {"the port 0 is not from 1 to 65535", "the port 0 is not"},
		"http://127.0.0.1:/x":   {"the port is missing after the colon", "the port is missing after the colon"},
		"https://:443/":         {"the host is missing", "the host is missing"},
		"https://a.test/#x":     {"has a fragment (#x)", "has a fragment (#x)"},
		"https://a.test:65535?": {"", ""},
		"https://%zz@a.test:x/": {"is not an absolute URL", "is not an absolute URL"},
	} {
		for i, err := range []error{CheckURL("-x", raw), CheckOpenURL("-x", raw)} {
			if want := want[i]; (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "-x: ") || strings.Contains(err.Error(), "pw@")) {
				t.Errorf("%q: %v, want %q", raw, err, want)
			}
		}
	}
}

func TestCheckBaseURL(t *testing.T) {
	for raw, want := range map[string]string{
		"": "", "https://a.test/x": "", "https://a.test:70000": "the port 70000",
		"https://a.test?x=1": "-x: the URL has a query", "https://a.test/x?": "-x: the URL has a query",
	} {
		if err := CheckBaseURL("-x", raw); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", raw, err, want)
		}
	}
}

func TestCheckAddress(t *testing.T) {
	for address, good := range map[string]bool{
		"127.0.0.1:0": true, ":8443": true, "[::1]:1": true, "localhost:https": true,
		"": false, "foo": false, "127.0.0.1": false, "127.0.0.1:": false, ":70000": false, ":-1": false, "::1:5": false, "a:b": false,
	} {
		if err := CheckAddress("-x", address); (err == nil) != good {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func TestCheckTenant(t *testing.T) {
	for name, good := range map[string]bool{
		"": true, "contoso.com": true, "72f988bf-86f1-41af-91ab-2d7cd011db47": true, "common": true,
		"foo bar": false, "a/b": false, "https://contoso.com": false, "user@contoso.com": false, strings.Repeat("a", 254): false,
	} {
		if err := CheckTenant("-x", name); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}
