package graph_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/autopilot/autopilottest"
	"github.com/whiteglove/whiteglove/autopilot/graph"
)

// always starts a server that gives each request the same answer, and returns a
// client of it.
func always(t *testing.T, contentType, body string) *graph.Client {
	t.Helper()
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(h.Close)
	return &graph.Client{BaseURL: h.URL, Token: token}
}

// calls are all calls that change or read one object.
var calls = map[string]func(ctx context.Context, c *graph.Client, id string) error{
	"Imported": func(ctx context.Context, c *graph.Client, id string) error { _, err := c.Imported(ctx, id); return err },
	"Forget":   func(ctx context.Context, c *graph.Client, id string) error { return c.Forget(ctx, id) },
	"Device":   func(ctx context.Context, c *graph.Client, id string) error { _, err := c.Device(ctx, id); return err },
	"Update": func(ctx context.Context, c *graph.Client, id string) error {
		return c.Update(ctx, id, graph.Properties{GroupTag: "x"})
	},
	"AssignUser":   func(ctx context.Context, c *graph.Client, id string) error { return c.AssignUser(ctx, id, "a@b", "") },
	"UnassignUser": func(ctx context.Context, c *graph.Client, id string) error { return c.UnassignUser(ctx, id) },
	"Delete": func(ctx context.Context, c *graph.Client, id string) error {
		return c.Delete(ctx, &graph.Device{ID: id})
	},
	"AssignmentBeta": func(ctx context.Context, c *graph.Client, id string) error {
		_, err := c.AssignmentBeta(ctx, id)
		return err
	},
	"UnblockBeta":           func(ctx context.Context, c *graph.Client, id string) error { return c.UnblockBeta(ctx, id) },
	"DeleteManagedDevice":   func(ctx context.Context, c *graph.Client, id string) error { return c.DeleteManagedDevice(ctx, id) },
	"DeleteDirectoryDevice": func(ctx context.Context, c *graph.Client, id string) error { return c.DeleteDirectoryDevice(ctx, id) },
}

// A page of a proxy is no success, whatever its status: not for calls that expect
// no body either.
func TestProxyPage(t *testing.T) {
	c := always(t, "text/html", "<html>Please sign in</html>")
	for name, do := range calls {
		var e *graph.Error
		if err := do(t.Context(), c, "1"); !errors.Is(err, graph.ErrMalformed) || !errors.As(err, &e) || e.Op != name || e.Remedy() == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := c.SyncBeta(t.Context()); !errors.Is(err, graph.ErrMalformed) {
		t.Errorf("SyncBeta: %v", err)
	}
	n, err := c.CleanUp(t.Context(), &graph.CleanUp{Managed: []graph.ManagedDevice{{ID: "1"}}})
	if n != 0 || !errors.Is(err, graph.ErrMalformed) {
		t.Errorf("CleanUp: %d, %v", n, err)
	}
}

// JSON of another form than asked for is no answer: nothing was found, and nothing
// is known of the object.
func TestOtherJSON(t *testing.T) {
	for _, body := range []string{`{}`, `null`, `{"status":"ok"}`} {
		c := always(t, "application/json", body)
		for _, name := range []string{"Imported", "Device", "AssignmentBeta"} {
			if err := calls[name](t.Context(), c, "1"); !errors.Is(err, graph.ErrMalformed) {
				t.Errorf("%s, %s: %v", body, name, err)
			}
		}
		if _, err := c.Import(t.Context(), "", row("S1")); !errors.Is(err, graph.ErrMalformed) {
			t.Errorf("%s, Import: %v", body, err)
		}
		if _, err := c.Import(t.Context(), "", row("S1"), row("S2")); !errors.Is(err, graph.ErrMalformed) {
			t.Errorf("%s, Import of two: %v", body, err)
		}
		if _, err := c.Find(t.Context(), "S1"); !errors.Is(err, graph.ErrMalformed) {
			t.Errorf("%s, Find: %v", body, err)
		}
		if _, err := c.SyncStatusBeta(t.Context()); !errors.Is(err, graph.ErrMalformed) {
			t.Errorf("%s, SyncStatusBeta: %v", body, err)
		}
		if p, err := c.PlanCleanUp(t.Context(), "S1"); !errors.Is(err, graph.ErrMalformed) {
			t.Errorf("%s, PlanCleanUp: %v, %v", body, p, err)
		}
	}
	// The answer about another object.
	c := always(t, "application/json", `{"id":"2","deploymentProfileAssignmentStatus":"pending"}`)
	for _, name := range []string{"Imported", "Device", "AssignmentBeta"} {
		if err := calls[name](t.Context(), c, "1"); !errors.Is(err, graph.ErrMalformed) {
			t.Errorf("another object, %s: %v", name, err)
		}
	}
}

// Without an identifier a path would name the collection, or what is above it.
// Nothing is sent then.
func TestNoIdentifier(t *testing.T) {
	asked := 0
	c := &graph.Client{Token: token, HTTPClient: &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
		asked++
		return nil, errors.New("no network")
	})}}
	for name, do := range calls {
		for _, id := range []string{"", ".", ".."} {
			var e *graph.Error
			if err := do(t.Context(), c, id); !errors.Is(err, graph.ErrRefused) || !errors.As(err, &e) || e.Op != name {
				t.Errorf("%s %q: %v", name, id, err)
			}
		}
	}
	if p, err := c.PlanCleanUp(t.Context(), " "); p != nil || !errors.Is(err, graph.ErrRefused) {
		t.Errorf("PlanCleanUp: %v, %v", p, err)
	}
	if asked != 0 {
		t.Errorf("%d requests were sent", asked)
	}
}

// The settings of setup have two forms: Microsoft replaced outOfBoxExperienceSettings
// by outOfBoxExperienceSetting, whose members have other names. An answer has one of
// them or both.
func TestExperienceNames(t *testing.T) {
	const older = `"outOfBoxExperienceSettings":{"hidePrivacySettings":true,"hideEULA":true,"userType":"standard","deviceUsageType":"shared","skipKeyboardSelectionPage":true,"hideEscapeLink":true}`
	const newer = `"outOfBoxExperienceSetting":{"privacySettingsHidden":true,"eulaHidden":true,"userType":"standard","deviceUsageType":"shared","keyboardSelectionPageSkipped":true,"escapeLinkHidden":true}`
	for name, members := range map[string]string{
		"older": older + `,"enableWhiteGlove":true,"extractHardwareHash":true`,
		"newer": newer + `,"preprovisioningAllowed":true,"hardwareHashExtractionEnabled":true`,
		"both":  older + "," + newer + `,"enableWhiteGlove":true,"preprovisioningAllowed":true,"extractHardwareHash":true,"hardwareHashExtractionEnabled":true`,
		"null":  `"outOfBoxExperienceSettings":null,` + newer + `,"enableWhiteGlove":false,"preprovisioningAllowed":true,"hardwareHashExtractionEnabled":true`,
	} {
		c := always(t, "application/json", `{"id":"1","deploymentProfileAssignmentStatus":"assignedInSync","deploymentProfile":{"id":"2","displayName":"P",`+members+`}}`)
		a, err := c.AssignmentBeta(t.Context(), "1")
		if err != nil || a.Profile == nil {
			t.Errorf("%s: %+v, %v", name, a, err)
			continue
		}
		x := a.Profile.Experience
		if a.Profile.Name != "P" || !x.HidePrivacy || !x.HideEULA || !x.SkipKeyboard || !x.HideEscapeLink || x.UserType != "standard" || x.DeviceUsage != "shared" ||
			!a.Profile.PreProvisioning || !a.Profile.ExtractHash {
			t.Errorf("%s: %+v", name, a.Profile)
		}
	}
	s := &autopilottest.Server{}
	for p, err := range start(t, s).ProfilesBeta(t.Context()) {
		if err != nil || !p.Experience.HideEULA || p.Experience.DeviceUsage != "singleUser" {
			t.Errorf("%+v, %v", p, err)
		}
	}
}

// A service may keep no serial numbers: a single record is that of a single row, and of
// several nothing can be said.
func TestRecordsWithoutSerials(t *testing.T) {
	c := start(t, &autopilottest.Server{})
	inner := c.HTTPClient.Transport
	c.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		res, err := inner.RoundTrip(r)
		if err == nil && r.Method == http.MethodPost {
			text, _ := io.ReadAll(res.Body)
			res.Body.Close()
			text = regexp.MustCompile(`"serialNumber":"[^"]*"`).ReplaceAll(text, []byte(`"serialNumber":""`))
			res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
			res.Header.Del("Content-Length")
		}
		return res, err
	})}
	r := &graph.Registration{Client: c, Pause: quick, Until: graph.StageSubmitted}
	if results, err := r.Run(t.Context(), []autopilot.Row{row("S1")}); err != nil || results[0].Import == nil {
		t.Errorf("one: %v, %+v", err, results)
	}
	results, err := r.Run(t.Context(), []autopilot.Row{row("S2"), row("S3")})
	if err == nil || results[0].Import != nil || results[1].Import != nil || !strings.Contains(err.Error(), "2 of 2 devices") || !strings.Contains(err.Error(), "does not have the device") {
		t.Errorf("two: %v, %+v", err, results)
	}
}

// A record without a batch of the client's choice is a batch of its own.
func TestOwnImportID(t *testing.T) {
	h := httptest.NewServer(&autopilottest.Server{})
	defer h.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.URL+"/v1.0/deviceManagement/importedWindowsAutopilotDeviceIdentities",
		strings.NewReader(`{"serialNumber":"S1","hardwareIdentifier":"`+device("S1").Text()+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer x")
	res, err := h.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var m graph.Imported
	if err := json.NewDecoder(res.Body).Decode(&m); err != nil || m.ID == "" || m.ImportID != m.ID {
		t.Errorf("%+v, %v", m, err)
	}
}
