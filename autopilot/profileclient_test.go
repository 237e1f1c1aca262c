package autopilot_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/autopilot/autopilottest"
	"github.com/whiteglove/whiteglove/autopilot/graph"
	"github.com/whiteglove/whiteglove/diagnose"
)

// world is a service in which devices are registered, and a client for a device.
func world(t testing.TB, s *autopilottest.Server, devices ...autopilottest.Device) *httptest.Server {
	t.Helper()
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	r := &graph.Registration{
		Client: &graph.Client{BaseURL: h.URL, Token: func(context.Context) (string, error) { return "t", nil }},
		Pause:  func(graph.Stage, int) time.Duration { return 20 * time.Millisecond },
	}
	if s.Unassigned {
		r.Until = graph.StageRegistered
	}
	var rows []autopilot.Row
	for _, d := range devices {
		rows = append(rows, autopilot.Row{Hash: d.Text()})
	}
	if len(rows) == 0 {
		return h
	}
	if _, err := r.Run(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	return h
}

func profileClient(s *autopilottest.Server, h *httptest.Server, d autopilottest.Device) *autopilot.ProfileClient {
	return &autopilot.ProfileClient{
		URL: h.URL + autopilottest.ProfilePath, HTTPClient: h.Client(),
		Ticket: func(context.Context) (string, error) { return s.Ticket(d.Hash()), nil },
	}
}

func TestDownload(t *testing.T) {
	s := &autopilottest.Server{}
	d := autopilottest.Device{EK: key("1"), Serial: "S1"}
	h := world(t, s, d)
	c := profileClient(s, h, d)
	later := d
	later.Taken = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC) // a new hash of the same device
	p, err := c.Download(t.Context(), later.Hash())
	if err != nil {
		t.Fatal(err, s.Refusals())
	}
	reg := s.Devices()[0]
	if p.RegistrationID != reg.ID || p.DeviceID != reg.DirectoryID || p.TenantDomain != autopilottest.DefaultTenant || p.TenantID != autopilottest.DefaultTenantID || !p.ForcedEnrollment || p.CorrelationID == "" {
		t.Errorf("%+v", p)
	}
	if f := p.Lint(); len(f) != 0 {
		t.Errorf("findings %v", f)
	}
}

// Each refusal reaches the caller with its code and a remedy.
func TestDownloadRefused(t *testing.T) {
	d := autopilottest.Device{EK: key("1"), Serial: "S1"}
	other := autopilottest.Device{EK: key("2"), Serial: "S2"}
	board := autopilottest.Device{EK: key("3"), Serial: "S1"}
	s := &autopilottest.Server{}
	h := world(t, s, d)
	s.Elsewhere(other.Hash())
	ask := func(ticket, hash autopilottest.Device) error {
		_, err := profileClient(s, h, ticket).Download(t.Context(), hash.Hash())
		return err
	}
	none := &autopilottest.Server{Unassigned: true}
	hn := world(t, none, d)
	blank := &autopilottest.Server{Unassigned: true, Blank: true}
	hb := world(t, blank, d)
	gone := &autopilottest.Server{}
	hg := world(t, gone, d)
	gone.DeleteProfile()
	download := func(s *autopilottest.Server, h *httptest.Server) error {
		_, err := profileClient(s, h, d).Download(t.Context(), d.Hash())
		return err
	}
	for name, tt := range map[string]struct {
		err  error
		code int
		is   error
	}{
		"not registered":  {ask(autopilottest.Device{Serial: "S3"}, autopilottest.Device{Serial: "S3"}), 807, nil},
		"other tenant":    {ask(other, other), 808, nil},
		"other's ticket":  {ask(other, d), 808, nil},
		"board":           {ask(board, board), 908, nil},
		"no profile":      {download(none, hn), 815, autopilot.ErrNoProfile},
		"blank":           {download(blank, hb), 0, autopilot.ErrNoProfile},
		"profile deleted": {download(gone, hg), 809, nil},
	} {
		var e *autopilot.Error
		if !errors.As(tt.err, &e) || e.Code != tt.code || tt.is != nil && !errors.Is(tt.err, tt.is) || e.Op != "Download" || e.RequestID == "" || e.Retryable() {
			t.Errorf("%s: %v", name, tt.err)
			continue
		}
		if d := diagnose.Explain(tt.err); d.Remedy == "" || tt.code != 0 && d.Protocol != fmt.Sprintf("ZTD %d/%s", tt.code, e.Name) || d.RequestID == "" {
			t.Errorf("%s: %+v", name, d)
		}
	}
	for _, code := range []int{801, 802, 803, 806, 807, 808, 809, 810, 811, 812, 813, 814, 815, 908} {
		s := &autopilottest.Server{Refuse: func(string, *autopilot.Hash) int { return code }}
		h := world(t, s)
		_, err := profileClient(s, h, d).Download(t.Context(), d.Hash())
		var e *autopilot.Error
		if !errors.As(err, &e) || e.Code != code || e.Name == "" || e.Remedy() == "" {
			t.Errorf("%d: %v", code, err)
		}
	}
}

// Failures on the way, and what is not sent at all.
func TestDownloadFailures(t *testing.T) {
	d := autopilottest.Device{EK: key("1")}
	answer := func(status int, body string) *autopilot.ProfileClient {
		h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Device-Token") != "ticket" || r.Header.Get("MS-CV") == "" || r.Method != http.MethodPost {
				t.Errorf("%s %v", r.Method, r.Header)
			}
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(status)
			w.Write([]byte(body))
		}))
		t.Cleanup(h.Close)
		return &autopilot.ProfileClient{URL: h.URL, Ticket: func(context.Context) (string, error) { return "ticket", nil }}
	}
	for name, tt := range map[string]struct {
		c         *autopilot.ProfileClient
		status    int
		is        error
		retryable bool
	}{
		"busy":      {answer(503, "busy"), 503, nil, true},
		"throttled": {answer(429, ""), 429, nil, true},
		"page":      {answer(200, "<html>proxy</html>"), 200, autopilot.ErrMalformed, false},
		"denied":    {answer(403, "<html>"), 403, nil, false},
		"large":     {answer(200, strings.Repeat("x", 300<<10)), 0, autopilot.ErrMalformed, false},
		"refused":   {answer(404, `{"ErrorCode":807}`), 404, nil, false},
	} {
		_, err := tt.c.Download(t.Context(), d.Hash())
		var e *autopilot.Error
		if !errors.As(err, &e) || e.HTTPStatus != tt.status || tt.is != nil && !errors.Is(err, tt.is) || e.Retryable() != tt.retryable || e.URL == "" {
			t.Errorf("%s: %v", name, err)
		}
		if tt.retryable && e.RetryAfter != 7*time.Second {
			t.Errorf("%s: Retry-After %v", name, e.RetryAfter)
		}
	}
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the other host was asked") }))
	t.Cleanup(other.Close)
	away := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	t.Cleanup(away.Close)
	_, err := (&autopilot.ProfileClient{URL: away.URL, Ticket: func(context.Context) (string, error) { return "ticket", nil }}).Download(t.Context(), d.Hash())
	if e, ok := errors.AsType[*autopilot.Error](err); !ok || e.HTTPStatus != http.StatusTemporaryRedirect || e.Retryable() {
		t.Errorf("redirect: %v", err)
	}
	asked := false
	ticket := func(context.Context) (string, error) { asked = true; return "secret", nil }
	for name, c := range map[string]*autopilot.ProfileClient{
		"mock to the real service": {URL: "https://ztd.dds.microsoft.com/x", Ticket: ticket},
		"plain http":               {URL: "http://profile.example/", Ticket: ticket},
		"no URL":                   {Ticket: ticket},
		"no ticket":                {URL: "https://127.0.0.1:1/"},
	} {
		if _, err := c.Download(t.Context(), d.Hash()); err == nil || asked || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := (&autopilot.ProfileClient{URL: "https://ztd.dds.microsoft.com/x", Ticket: ticket}).Download(t.Context(), d.Hash()); !errors.Is(err, autopilot.ErrRefused) {
		t.Error(err)
	}
	c := &autopilot.ProfileClient{URL: "https://127.0.0.1:1/", Ticket: func(context.Context) (string, error) { return "", errors.New("no account") }}
	if _, err := c.Download(t.Context(), d.Hash()); err == nil || !strings.Contains(err.Error(), "device ticket: no account") {
		t.Error(err)
	}
	if _, err := c.Download(t.Context(), nil); err == nil {
		t.Error("no hash")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c.Ticket = ticket
	if _, err := c.Download(ctx, d.Hash()); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
