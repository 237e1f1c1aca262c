package wire_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/whiteglove/whiteglove/internal/wire"
)

func TestCheckSecure(t *testing.T) {
	for raw, want := range map[string]string{
		"https://a.test/x?y": "", "http://localhost:1/": "", "http://127.0.0.9/": "", "http://[::1]:8/": "",
		"http://a.test/?key=secret": "http://a.test/ is not https", "http://10.0.0.1/": "not https", "file://a/etc": "not https",
		"": "not an absolute URL", "/x": "not an absolute URL", "://": "the text is not an absolute URL",
		"https://": `"https://" is not an absolute URL: the host is missing after https://`, "HTTP://": `"http://" is not an absolute URL: the host is missing after http://`,
		"https:///x?key=secret": `"https:///x" is not an absolute URL: the host is missing`, "https://u:secret@/x": `"https:///x" is not an absolute URL: the host is missing`,
		"https:/x": `"https:/x" is not an absolute URL: the host is missing after https://`, "https://%zz@a.test": "the text is not an absolute URL", "foo": `"foo" is not an absolute URL: https:// is missing`,
	} {
		err := wire.CheckSecure(raw)
		switch {
		case want == "" && err != nil, want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: %v", raw, err)
		case errors.Is(err, wire.ErrInsecure) != strings.Contains(want, "not https"):
			t.Errorf("%q: ErrInsecure is wrong in %v", raw, err)
		}
	}
}

func TestLoopback(t *testing.T) {
	for raw, want := range map[string]bool{
		"https://127.0.0.1:8080/x": true, "http://[::1]/x": true, "http://localhost/": true,
		"https://graph.example/": false, "http://127.0.0.1.example": false, "http://10.0.0.1/": false, "": false, "://": false,
	} {
		if got := wire.Loopback(raw); got != want {
			t.Errorf("%q: %v", raw, got)
		}
	}
}

func TestNoRedirects(t *testing.T) {
	h := httptest.NewServer(http.RedirectHandler("/x", http.StatusFound))
	defer h.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := wire.Do(wire.NoRedirects(nil), req, 1<<10)
	if err != nil || got.Status != http.StatusFound || http.DefaultClient.CheckRedirect != nil {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestWords(t *testing.T) {
	long := wire.Words(" " + strings.Repeat("ä", 2000) + "\n")
	if len(long) > 1003 || !utf8.ValidString(long) || !strings.HasSuffix(long, "ä…") || wire.Words(" a b\n") != "a b" {
		t.Errorf("got %q", long)
	}
	for in, want := range map[string]string{
		"": "", "plain, äöü": "plain, äöü", "bad\xffUTF-8": "bad\ufffdUTF-8", "over\u202etxt.exe": "over\ufffdtxt.exe",
		"\x1b[2J\x1b]0;title\x07text": "\ufffd[2J\ufffd]0;title\ufffdtext", "a\r\nb\x00\x7f": "a  b\ufffd\ufffd",
	} {
		if got := wire.Words(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

// Nothing that a server says changes what a terminal shows.
func TestVisible(t *testing.T) {
	for s, want := range map[string]string{
		"": "", "a b": "a b", "é世\u00a0x": "é世 x", "a\r\n\tb": "a   b",
		"\x1b[2J\x07\x00\x7f": "\ufffd[2J\ufffd\ufffd\ufffd", "\u009b1m\u202eabc\u2066": "\ufffd1m\ufffdabc\ufffd", "\xff\x9b": "\ufffd\ufffd",
	} {
		if got := wire.Visible(s); got != want {
			t.Errorf("%q is %q, want %q", s, got, want)
		}
	}
	if got := wire.Words("\n\x1b[1m\n"); got != "\ufffd[1m" {
		t.Errorf("got %q", got)
	}
}
