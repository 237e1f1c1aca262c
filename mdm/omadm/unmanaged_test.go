package omadm_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/mdm/internal/fixture"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
)

// An answering transport answers each request alike.
type answering struct {
	status int
	body   string
}

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: a.status, Request: r, Header: http.Header{"Content-Type": {"text/plain"}}, Body: io.NopCloser(strings.NewReader(a.body))}, nil
}

// A server that says that it does not manage the device is believed: by status 410, or by its
// words with another status of a refusal.
func TestUnmanaged(t *testing.T) {
	m := fixture.Manage(t, fixture.Key(), mdmtest.SessionConfig{})
	const run, ending = "The server no longer manages this device. To", "so there is nothing to end"
	for _, c := range []struct {
		answering
		managed bool
	}{
		{answering{410, ""}, false},
		{answering{400, "The device is not enrolled."}, false},
		{answering{403, "It is no longer managed here"}, false},
		{answering{499, "UNENROLLED"}, false},
		{answering{500, "not enrolled"}, true},
		{answering{403, "go away"}, true},
		{answering{200, "not enrolled"}, true},
	} {
		m.Session.HTTPClient = &http.Client{Transport: c}
		_, err := m.Session.Run(t.Context())
		e := fixture.Failure(t, err)
		if got := strings.Contains(e.Remedy(), run); got == c.managed || e.HTTPStatus != c.status {
			t.Errorf("%d %q: %v: %s", c.status, c.body, err, e.Remedy())
		}
		_, err = m.Session.Unenroll(t.Context())
		if got := strings.Contains(fixture.Failure(t, err).Remedy(), ending); got == c.managed {
			t.Errorf("%d %q, to end: %s", c.status, c.body, fixture.Failure(t, err).Remedy())
		}
	}
}
