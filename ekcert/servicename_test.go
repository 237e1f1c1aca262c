package ekcert_test

import (
	"crypto"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/ekcert"
)

// A service is asked by the name that the caller's function returns, and not without one.
func TestServiceName(t *testing.T) {
	var asked []string
	h := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path)
		w.WriteHeader(http.StatusNotFound)
	}))
	defer h.Close()
	own := errors.New("the list of names is gone")
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"x", nil, ""},
		{"", nil, "Service.Name returned neither a name nor an error"},
		{"", own, own.Error()},
		{"y", own, own.Error()},
	} {
		s := &ekcert.Service{URL: h.URL + "/", HTTPClient: h.Client(), Name: func(crypto.PublicKey) (string, error) { return c.name, c.err }}
		_, err := s.Fetch(t.Context(), ekKey(t).Public())
		if err == nil || !strings.Contains(err.Error(), c.want) || c.err != nil && !errors.Is(err, c.err) {
			t.Errorf("%q, %v: %v", c.name, c.err, err)
		}
	}
	if len(asked) != 1 || !strings.HasSuffix(asked[0], "x") {
		t.Errorf("asked for %q", asked)
	}
}
