package graph_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/autopilot/autopilottest"
	"github.com/whiteglove/whiteglove/autopilot/graph"
	"github.com/whiteglove/whiteglove/diagnose"
)

// One device goes through all stages.
func TestRegisterOne(t *testing.T) {
	c := &clock{at: time.Now()}
	s := &autopilottest.Server{Now: c.now}
	var seen events
	r := &graph.Registration{Client: start(t, s), Pause: c.pause, Observe: seen.observe}
	row := row("S1")
	row.GroupTag, row.User = "Front desk", "a@contoso.test"
	results, err := r.Run(t.Context(), []autopilot.Row{row})
	if err != nil {
		t.Fatal(err, s.Refusals())
	}
	res := results[0]
	if res.Stage != graph.StageReady || res.Device == nil || res.Device.GroupTag != "Front desk" || res.Device.User != "a@contoso.test" || res.Existing {
		t.Errorf("%+v", res)
	}
	if res.Import.State.RegistrationID != res.Device.ID || res.Assignment == nil || !res.Assignment.Ready() || res.Assignment.Profile == nil || res.Assignment.Profile.Name != "Mock profile" {
		t.Errorf("%+v, %+v", res.Import, res.Assignment)
	}
	want := []graph.Stage{
		graph.StageSubmitted, graph.StageImporting, graph.StageImported, graph.StageRegistered, graph.StageSyncing, graph.StageAssigning, graph.StageReady,
	}
	if got := seen.stages(0); !slices.Equal(got, want) {
		t.Errorf("stages %v", got)
	}
	var words []string
	for _, e := range seen.all {
		words = append(words, e.Status)
		if e.Serial != "S1" || e.Time.IsZero() || e.Err != nil {
			t.Errorf("%+v", e)
		}
	}
	for _, w := range []string{"unknown", "complete", "not found", "inProgress", "notAssigned", "pending", "assignedOutOfSync", "assignedUnkownSyncState"} {
		if !slices.Contains(words, w) && w != "notAssigned" {
			t.Errorf("no event with status %q: %q", w, words)
		}
	}
}

// What the service says at once is no success: that a device belongs to another
// tenant shows only later, and so do other reasons.
func TestRegisterMany(t *testing.T) {
	s := &autopilottest.Server{PageSize: 2}
	s.Elsewhere(device("S2").Hash())
	c := start(t, s)
	noSerial := autopilot.Row{Serial: "S4", Hash: autopilottest.Device{Serial: "S4", Omit: []uint16{14}}.Text()}
	rows := []autopilot.Row{row("S1"), row("S2"), row("S1"), noSerial, row("S5")}
	records, err := c.Import(t.Context(), "", rows...)
	if err != nil || len(records) != 5 {
		t.Fatal(records, err)
	}
	for _, r := range records {
		if r.State.Status != "unknown" || r.State.Err() != nil || r.State.Done() {
			t.Errorf("at once: %+v", r.State)
		}
	}
	s2 := &autopilottest.Server{PageSize: 2}
	s2.Elsewhere(device("S2").Hash())
	r := &graph.Registration{Client: start(t, s2), Until: graph.StageRegistered, Pause: quick, Forget: true}
	results, err := r.Run(t.Context(), rows)
	var e *graph.Error
	if !errors.As(err, &e) || !strings.Contains(err.Error(), "3 of 5 devices") {
		t.Errorf("%v", err)
	}
	for i, want := range []string{"", "808/ZtdDeviceAssignedToOtherTenant", "ZtdDeviceDuplicated", "802/InvalidZtdHardwareHash", ""} {
		switch res := results[i]; {
		case want == "" && (res.Err != nil || res.Stage != graph.StageRegistered || res.Device == nil):
			t.Errorf("device %d: %+v", i, res)
		case want != "" && (res.Stage != graph.StageFailed || res.Err == nil || !strings.Contains(res.Err.Error(), want)):
			t.Errorf("device %d: %v, want %s", i, res.Err, want)
		}
	}
	left := 0
	for _, err := range r.Client.Imports(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		left++
	}
	if left != 3 {
		t.Errorf("%d records are left, want those of the three that failed", left)
	}
}

// To run again is harmless, and changes the group tag.
func TestRegisterAgain(t *testing.T) {
	s := &autopilottest.Server{}
	c := start(t, s)
	r := &graph.Registration{Client: c, Pause: quick}
	first, err := r.Run(t.Context(), []autopilot.Row{row("S1"), row("S2")})
	if err != nil {
		t.Fatal(err)
	}
	again := []autopilot.Row{row("S1"), row("S2")}
	again[1].GroupTag = "New tag"
	second, err := r.Run(t.Context(), again)
	if err != nil {
		t.Fatal(err)
	}
	for i, res := range second {
		if !res.Existing || res.Stage != graph.StageReady || res.Device.ID != first[i].Device.ID {
			t.Errorf("device %d: %+v", i, res)
		}
	}
	if d := s.Devices(); len(d) != 2 || d[1].GroupTag != "New tag" || d[0].GroupTag != "" {
		t.Errorf("%+v", d)
	}
}

// Failures that may pass are waited for: busy services, throttling with its
// Retry-After, and answers that were lost, whose requests are not repeated.
func TestRegisterThroughFailures(t *testing.T) {
	var failed atomic.Int32
	left := map[string]int{"Import": 2, "Imported": 2, "Imports": 1, "Device": 1, "SyncBeta": 1, "SyncStatusBeta": 1, "AssignmentBeta": 1}
	s := &autopilottest.Server{}
	s.Fail = func(op string, w http.ResponseWriter) bool {
		if left[op] == 0 {
			return false
		}
		left[op]--
		failed.Add(1)
		if left[op] == 1 {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "slow down", http.StatusTooManyRequests)
		} else {
			http.Error(w, "busy", http.StatusServiceUnavailable)
		}
		return true
	}
	c := start(t, s)
	inner := c.HTTPClient.Transport
	lost := 0
	c.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		res, err := inner.RoundTrip(r)
		if err == nil && r.Method == http.MethodPost && res.StatusCode == http.StatusCreated && lost == 0 {
			lost++
			res.Body.Close()
			return nil, io.ErrUnexpectedEOF
		}
		return res, err
	})}
	var seen events
	r := &graph.Registration{Client: c, Pause: quick, Observe: seen.observe}
	results, err := r.Run(t.Context(), []autopilot.Row{row("S1")})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Devices()) != 1 || results[0].Existing || lost != 1 {
		t.Errorf("%d devices; %+v; %d answers lost", len(s.Devices()), results[0], lost)
	}
	waits := 0
	for _, e := range seen.all {
		if e.Err != nil {
			waits++
			if e.Wait <= 0 || e.Stage == graph.StageFailed {
				t.Errorf("%+v", e)
			}
		}
	}
	if n := int(failed.Load()); waits < n || n != 9 {
		t.Errorf("%d pauses after %d failures", waits, n)
	}
}

// A second synchronization comes too soon: the service says how long to wait.
func TestSyncThrottle(t *testing.T) {
	s := &autopilottest.Server{}
	c := start(t, s)
	if err := c.SyncBeta(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := c.SyncBeta(t.Context())
	var e *graph.Error
	if !errors.Is(err, graph.ErrBusy) || !errors.As(err, &e) || e.HTTPStatus != http.StatusConflict || !e.Retryable() || e.Remedy() == "" {
		t.Errorf("while in progress: %v", err)
	}
	time.Sleep(80 * time.Millisecond)
	err = c.SyncBeta(t.Context())
	if errors.Is(err, graph.ErrBusy) || !errors.As(err, &e) || e.HTTPStatus != http.StatusTooManyRequests || e.RetryAfter != time.Second || !e.Retryable() {
		t.Errorf("too soon: %v", err)
	}
	st, err := c.SyncStatusBeta(t.Context())
	if err != nil || st.Status != "completed" || st.LastSync.IsZero() || st.Triggered.IsZero() {
		t.Errorf("%+v, %v", st, err)
	}
	r := &graph.Registration{Client: c, Pause: quick}
	begin := time.Now()
	if _, err := r.Run(t.Context(), []autopilot.Row{row("S1")}); err != nil || time.Since(begin) < 500*time.Millisecond {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
}

// Each code of the deployment service reaches the caller with its name and a remedy,
// and package diagnose reads it from the error.
func TestRegisterCodes(t *testing.T) {
	for _, want := range []int{801, 802, 803, 806, 807, 808, 809, 810, 811, 812, 813, 814, 815, 908} {
		s := &autopilottest.Server{Refuse: func(op string, _ *autopilot.Hash) int {
			if op == "Import" {
				return want
			}
			return 0
		}}
		r := &graph.Registration{Client: start(t, s), Until: graph.StageImported, Pause: quick}
		results, err := r.Run(t.Context(), []autopilot.Row{row("S1")})
		if err == nil || code(results[0].Err) != want || results[0].Stage != graph.StageFailed {
			t.Errorf("%d: %v", want, results[0].Err)
			continue
		}
		var e *graph.Error
		errors.As(results[0].Err, &e)
		d := diagnose.Explain(err)
		if e.Name == "" || e.Remedy() == "" || e.Retryable() || d.Protocol != fmt.Sprintf("ZTD %d/%s", want, e.Name) || d.Remedy != e.Remedy() || d.Op != "Import" {
			t.Errorf("%d: %v; %+v", want, e, d)
		}
	}
}

// The directory's refusal to make an object for a device that it has.
func TestRegisterInDirectory(t *testing.T) {
	s := &autopilottest.Server{Precreate: func(*autopilot.Hash, string) (string, string, error) { return "", "", autopilottest.ErrInDirectory }}
	r := &graph.Registration{Client: start(t, s), Until: graph.StageImported, Pause: quick}
	if results, _ := r.Run(t.Context(), []autopilot.Row{row("S1")}); code(results[0].Err) != 814 {
		t.Error(results[0].Err)
	}
}

// A board that was replaced makes a serial number ambiguous.
func TestRegisterBoard(t *testing.T) {
	s := &autopilottest.Server{}
	r := &graph.Registration{Client: start(t, s), Until: graph.StageRegistered, Pause: quick}
	old := autopilottest.Device{Serial: "S1", EK: key('a')}
	board := autopilottest.Device{Serial: "S1", EK: key('b')}
	if _, err := r.Run(t.Context(), []autopilot.Row{{Hash: old.Text()}}); err != nil {
		t.Fatal(err)
	}
	if results, _ := r.Run(t.Context(), []autopilot.Row{{Hash: board.Text()}}); code(results[0].Err) != 813 {
		t.Error(results[0].Err)
	}
}

// A stage that does not end is given up, and so is a registration whose context
// ends.
func TestRegisterLimit(t *testing.T) {
	s := &autopilottest.Server{Unassigned: true}
	r := &graph.Registration{Client: start(t, s), Pause: quick, Limit: 2 * time.Second}
	results, err := r.Run(t.Context(), []autopilot.Row{row("S1")})
	if err == nil || results[0].Stage != graph.StageFailed || results[0].Device == nil || !strings.Contains(err.Error(), `stage "assigning" took over 2s`) {
		t.Errorf("%v, %+v", err, results[0])
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if results, err = r.Run(ctx, []autopilot.Row{row("S2")}); !errors.Is(err, context.DeadlineExceeded) || results[0].Stage != graph.StageFailed {
		t.Errorf("%v, %+v", err, results[0])
	}
	if _, err := (&graph.Registration{Client: r.Client, Until: "soon"}).Run(t.Context(), nil); err == nil {
		t.Error("there is a stage soon")
	}
	if results, err := r.Run(t.Context(), nil); err != nil || len(results) != 0 {
		t.Errorf("nothing to do: %v, %v", results, err)
	}
}

// A row that cannot be sent fails before anything is sent, and alone.
func TestRegisterUnusable(t *testing.T) {
	s := &autopilottest.Server{}
	r := &graph.Registration{Client: start(t, s), Pause: quick, Until: graph.StageImported}
	results, err := r.Run(t.Context(), []autopilot.Row{row("S1"), {Serial: "S2", Hash: "AAAA"}})
	if !errors.Is(err, graph.ErrRefused) || !errors.Is(results[1].Err, graph.ErrRefused) || results[1].Import != nil || results[0].Err != nil || len(s.Devices()) != 1 {
		t.Errorf("%v, %+v", err, results)
	}
	if results, err = r.Run(t.Context(), []autopilot.Row{{Serial: "S3"}}); !errors.Is(err, graph.ErrRefused) || results[0].Stage != graph.StageFailed || len(s.Devices()) != 1 {
		t.Errorf("alone: %v, %+v", err, results)
	}
}

// Devices of management whose import record is gone are found by their serial number.
func TestRegisterRecordGone(t *testing.T) {
	s := &autopilottest.Server{}
	c := start(t, s)
	s.Fail = func(op string, w http.ResponseWriter) bool {
		if op == "Imported" && len(s.Devices()) > 0 {
			http.Error(w, "{}", http.StatusNotFound)
			return true
		}
		return false
	}
	slow := func(graph.Stage, int) time.Duration { return 150 * time.Millisecond }
	r := &graph.Registration{Client: c, Until: graph.StageRegistered, Pause: slow}
	results, err := r.Run(t.Context(), []autopilot.Row{row("S1")})
	if err != nil || results[0].Stage != graph.StageRegistered || results[0].Device.Serial != "S1" {
		t.Errorf("%v, %+v", err, results[0])
	}
}
