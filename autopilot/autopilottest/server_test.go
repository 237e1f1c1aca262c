package autopilottest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/autopilot/autopilottest"
	"github.com/whiteglove/whiteglove/autopilot/graph"
)

// A service registers a device, and the device asks for its profile.
func Example() {
	service := &autopilottest.Server{}
	server := httptest.NewServer(service)
	defer server.Close()
	device := autopilottest.Device{Serial: "MOCK-0007"}
	r := &graph.Registration{
		Client: &graph.Client{BaseURL: server.URL, Token: func(context.Context) (string, error) { return "any", nil }},
		Pause:  func(graph.Stage, int) time.Duration { return 20 * time.Millisecond },
	}
	results, err := r.Run(context.Background(), []autopilot.Row{{Hash: device.Text()}})
	if err != nil {
		fmt.Println(err)
		return
	}
	c := &autopilot.ProfileClient{
		URL:    server.URL + autopilottest.ProfilePath,
		Ticket: func(context.Context) (string, error) { return service.Ticket(device.Hash()), nil },
	}
	p, err := c.Download(context.Background(), device.Hash())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(results[0].Stage, p.TenantDomain, p.RegistrationID == results[0].Device.ID)
	// Output: ready contoso.test true
}

// Times are the real ones, as many times shorter as the server is faster.
func TestSpeed(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := &autopilottest.Server{Speed: 1, Now: func() time.Time { return now }, BaseURL: "https://127.0.0.1/below"}
	c := &graph.Client{BaseURL: s.BaseURL, Token: func(context.Context) (string, error) { return "any", nil }, HTTPClient: &http.Client{Transport: direct{s}}}
	records, err := c.Import(t.Context(), "", autopilot.Row{Hash: autopilottest.Device{}.Text()})
	if err != nil {
		t.Fatal(err)
	}
	status := func() string {
		m, err := c.Imported(t.Context(), records[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		return m.State.Status
	}
	now = now.Add(94 * time.Second)
	before := status()
	now = now.Add(time.Second)
	if after := status(); before != "unknown" || after != "complete" {
		t.Errorf("%s, then %s", before, after)
	}
	id := s.Devices()[0].ID
	if _, err := c.Device(t.Context(), id); err == nil {
		t.Error("the device shows at once")
	}
	now = now.Add(20 * time.Second)
	if _, err := c.Device(t.Context(), id); err != nil {
		t.Error(err)
	}
	if err := c.SyncBeta(t.Context()); err != nil {
		t.Error(err)
	}
	assignment := func(after time.Duration) string {
		now = now.Add(after)
		a, err := c.AssignmentBeta(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return a.Status
	}
	for i, want := range []string{"notAssigned", "pending", "assignedOutOfSync", "assignedUnkownSyncState"} {
		if got := assignment([]time.Duration{0, time.Minute, 100 * time.Second, 100 * time.Second}[i]); got != want {
			t.Errorf("%d: %s, want %s", i, got, want)
		}
	}
	var e *graph.Error
	if err := c.SyncBeta(t.Context()); err == nil || !strings.Contains(err.Error(), "429") {
		t.Errorf("within ten minutes: %v, %v", err, e)
	}
	now = now.Add(10 * time.Minute)
	if err := c.SyncBeta(t.Context()); err != nil {
		t.Error(err)
	}
}

// direct serves requests by a handler.
type direct struct{ http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w.Result(), nil
}

// The profile service checks what a device sends.
func TestDownloadChecks(t *testing.T) {
	s := &autopilottest.Server{}
	h := autopilottest.Device{}.Hash()
	good, _ := json.Marshal(map[string]any{"hardwareHash": h})
	damaged := h.Bytes()
	damaged[40] ^= 1
	broken, _ := json.Marshal(map[string]any{"hardwareHash": damaged})
	for name, tt := range map[string]struct {
		method, ticket, cv string
		body               []byte
		status             int
		word               string
	}{
		"unknown ticket": {"POST", "x", "AAAAAAAAAAAAAAAAAAAAAA.0", good, 401, "unauthorized"},
		"no vector":      {"POST", s.Ticket(h), "", good, 400, `"ErrorCode":801`},
		"no JSON":        {"POST", s.Ticket(h), "AAAAAAAAAAAAAAAAAAAAAA.0", []byte("hash"), 400, `"ErrorCode":801`},
		"no hash":        {"POST", s.Ticket(h), "AAAAAAAAAAAAAAAAAAAAAA.0", []byte("{}"), 400, `"ErrorCode":801`},
		"more":           {"POST", s.Ticket(h), "AAAAAAAAAAAAAAAAAAAAAA.0", []byte(`{"hash":1}`), 400, `"ErrorCode":801`},
		"damaged":        {"POST", s.Ticket(h), "AAAAAAAAAAAAAAAAAAAAAA.0", broken, 200, `"ErrorCode":802`},
		"method":         {"GET", s.Ticket(h), "AAAAAAAAAAAAAAAAAAAAAA.0", nil, 405, `"ErrorCode":801`},
		"good":           {"POST", s.Ticket(h), "AAAAAAAAAAAAAAAAAAAAAA.0", good, 200, `"ErrorCode":807`},
	} {
		r := httptest.NewRequest(tt.method, autopilottest.ProfilePath, bytes.NewReader(tt.body))
		r.Header.Set("X-Device-Token", tt.ticket)
		r.Header.Set("MS-CV", tt.cv)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.word) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if n := len(s.Refusals()); n != 8 {
		t.Errorf("%d refusals: %q", n, s.Refusals())
	}
}

// A made-up hash says so, has the right length, and is the same each time.
func TestDevice(t *testing.T) {
	d := autopilottest.Device{Serial: "A"}
	if text := d.Text(); text != (autopilottest.Device{Serial: "A"}).Text() || len(text) != 4000 || !d.Hash().Mock() || d.Hash().Verify() != nil {
		t.Errorf("%d characters", len(d.Text()))
	}
	if a, b := d.Hash().Hardware().UUID, (autopilottest.Device{Serial: "B"}).Hash().Hardware().UUID; a == b || len(a) != 36 {
		t.Errorf("UUIDs %s and %s", a, b)
	}
	long := autopilottest.Device{Serial: strings.Repeat("x", 100_000)}.Hash()
	if long.Hardware().Serial != "" || long.Verify() != nil || !long.Mock() {
		t.Error("a record that is too long")
	}
	odd := autopilottest.Device{UUID: "no UUID"}.Hash()
	if odd.Hardware().UUID != "00000000-0000-0000-0000-000000000000" {
		t.Error(odd.Hardware().UUID)
	}
}

// No hash from this package is without its mark: not one that is nearly too long, and
// not one with a record of the mark's type that says something else.
func TestAlwaysMock(t *testing.T) {
	for n := 64800; n < 65100; n++ {
		text := autopilottest.Encode([]autopilot.Record{{Type: 999, Data: make([]byte, n)}})
		if h, err := autopilot.ParseHash(text); err != nil || !h.Mock() || h.Verify() != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	for name, d := range map[string]autopilottest.Device{
		"another mark": {Extra: []autopilot.Record{{Type: 255, Data: []byte("real")}}},
		"no mark":      {Omit: []uint16{255}},
		"empty":        {Extra: []autopilot.Record{{Type: 255}}},
	} {
		if !d.Hash().Mock() {
			t.Errorf("%s: it is no mock", name)
		}
		if _, err := (&graph.Client{HTTPClient: &http.Client{Transport: direct{http.NotFoundHandler()}}}).Import(t.Context(), "", autopilot.Row{Hash: d.Text()}); !errors.Is(err, graph.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What cannot be an access token is refused in the words of Microsoft Graph.
func TestNoToken(t *testing.T) {
	server := httptest.NewServer(new(autopilottest.Server))
	defer server.Close()
	for header, want := range map[string]string{
		"":                 "Access token is empty.",
		"Bearer ":          "Access token is empty.",
		"Basic abc":        "Access token is empty.",
		"Bearer two words": "CompactToken parsing failed with error code: 80049217",
		"Bearer {\"a\":1}": "CompactToken parsing failed with error code: 80049217",
		"Bearer token":     "",
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/v1.0/deviceManagement/windowsAutopilotDeviceIdentities", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", header)
		res, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || (res.StatusCode == http.StatusUnauthorized) != (want != "") || !strings.Contains(string(text), want) {
			t.Errorf("%q: %d, %v: %s", header, res.StatusCode, err, text)
		}
	}
}
