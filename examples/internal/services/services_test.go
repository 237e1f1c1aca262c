package services

import (
	"strings"
	"testing"
)

// A password in the URL is refused, and is not in the error; so is what cannot work.
func TestFlags(t *testing.T) {
	if _, err := Open("https://u:hunter2@mock.test", "", nil); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
	for _, flags := range [][3]string{
		{"http://127.0.0.1:1", "", "-server is of http, so nothing vouches for the attestation CA: give -roots, or use https"},
		{"", "roots.pem", "-roots goes with -server"},
		{"https://127.0.0.1:999999", "", "-server: the port 999999 is not"},
		{"https://mock.test?x", "", "-server: the URL has a query"},
		{"http://127.0.0.1:1", "roots.pem", ""},
		{"https://mock.test", "", ""},
		{"", "", ""},
	} {
		if err := CheckFlags(flags[0], flags[1]); (err == nil) != (flags[2] == "") || err != nil && !strings.Contains(err.Error(), flags[2]) {
			t.Errorf("%q: %v", flags, err)
		}
	}
	if s, err := Open("https://mock.test/", "", nil); err != nil || s.URL != "https://mock.test" {
		t.Errorf("%+v, %v", s, err)
	}
}
