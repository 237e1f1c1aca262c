package graph_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/autopilot/autopilottest"
	"github.com/whiteglove/whiteglove/autopilot/graph"
)

// Limit holds for a stage, however many devices are in it, and devices are looked at
// in turn: one that gets no profile does not keep the others from being seen.
func TestLimitOfStage(t *testing.T) {
	s := &autopilottest.Server{Unassigned: true}
	var seen events
	r := &graph.Registration{Client: start(t, s), Pause: quick, Limit: 250 * time.Millisecond, Observe: seen.observe}
	var rows []autopilot.Row
	for i := range 24 {
		rows = append(rows, row(fmt.Sprintf("S%c", 'a'+i)))
	}
	begin := time.Now()
	results, err := r.Run(t.Context(), rows)
	if took := time.Since(begin); err == nil || took > 4*time.Second {
		t.Errorf("%v after %v", err, took)
	}
	for i, res := range results {
		if res.Stage != graph.StageFailed || !strings.Contains(res.Err.Error(), `stage "assigning" took over`) {
			t.Errorf("device %d: %v", i, res.Err)
		}
		assigning := 0
		for _, e := range seen.all {
			if e.Row == i && e.Stage == graph.StageAssigning {
				assigning++
			}
		}
		if assigning == 0 {
			t.Errorf("device %d was not looked at", i)
		}
	}
}

// A device that management never shows is given up, and the others go on meanwhile.
func TestOneNeverShows(t *testing.T) {
	s := &autopilottest.Server{}
	c := start(t, s)
	inner := c.HTTPClient.Transport
	var mu sync.Mutex
	hidden, shown := "", time.Time{}
	c.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		mu.Lock()
		defer mu.Unlock()
		if d := s.Devices(); hidden == "" && len(d) > 0 {
			hidden = d[0].ID
		}
		if hidden != "" && strings.HasSuffix(r.URL.Path, "/"+hidden) {
			r.URL.Path += "0"
		}
		return inner.RoundTrip(r)
	})}
	var gaveUp time.Time
	r := &graph.Registration{Client: c, Pause: quick, Until: graph.StageRegistered, Limit: 600 * time.Millisecond, Observe: func(e graph.Event) {
		switch e.Stage {
		case graph.StageRegistered:
			shown = e.Time
		case graph.StageFailed:
			gaveUp = e.Time
		}
	}}
	results, err := r.Run(t.Context(), []autopilot.Row{row("S1"), row("S2"), row("S3")})
	failed := 0
	for _, res := range results {
		if res.Err != nil {
			failed++
		}
	}
	if err == nil || failed != 1 || shown.IsZero() || !shown.Before(gaveUp) {
		t.Errorf("%d failed, %v; the last other one was registered at %v, and one was given up at %v", failed, err, shown, gaveUp)
	}
}

// A serial number with spaces around it, as firmware has, is the same one.
func TestSpacesInSerial(t *testing.T) {
	s := &autopilottest.Server{}
	padded := autopilottest.Device{Serial: "S1  ", EK: key('1')}
	r := &graph.Registration{Client: start(t, s), Pause: quick, Until: graph.StageRegistered}
	for name, row := range map[string]autopilot.Row{
		"of the hash": {Hash: padded.Text()},
		"of the row":  {Serial: " S2 ", Hash: device("S2").Text()},
	} {
		results, err := r.Run(t.Context(), []autopilot.Row{row})
		if err != nil || results[0].Device == nil || strings.TrimSpace(results[0].Device.Serial) != results[0].Device.Serial {
			t.Errorf("%s: %+v, %v", name, results, err)
		}
		if results, err = r.Run(t.Context(), []autopilot.Row{row}); err != nil || !results[0].Existing {
			t.Errorf("%s, again: %+v, %v", name, results, err)
		}
	}
}

// A list of records that lags behind is no sign that a record is gone.
func TestRecordsLag(t *testing.T) {
	left := 2
	s := &autopilottest.Server{Speed: 200} // an import takes half a second
	s.Fail = func(op string, w http.ResponseWriter) bool {
		if op != "Imports" || left == 0 {
			return false
		}
		left--
		_ = json.NewEncoder(w).Encode(map[string]any{"value": []any{}})
		return true
	}
	r := &graph.Registration{Client: start(t, s), Pause: quick, Until: graph.StageImported}
	results, err := r.Run(t.Context(), []autopilot.Row{row("S1"), row("S2")})
	if err != nil || left != 0 || results[0].Existing || results[1].Existing {
		t.Errorf("%+v, %v", results, err)
	}
}

// A service that gives each record an import identifier of its own lists none by the
// client's. The records are there all the same.
func TestRecordsNotListed(t *testing.T) {
	s := &autopilottest.Server{}
	s.Fail = func(op string, w http.ResponseWriter) bool {
		if op == "Imports" {
			_ = json.NewEncoder(w).Encode(map[string]any{"value": []any{}})
		}
		return op == "Imports"
	}
	s.Elsewhere(device("S2").Hash())
	r := &graph.Registration{Client: start(t, s), Pause: quick, Until: graph.StageImported}
	results, err := r.Run(t.Context(), []autopilot.Row{row("S1"), row("S2")})
	if err == nil || results[0].Err != nil || results[0].Existing || results[0].Stage != graph.StageImported || code(results[1].Err) != 808 {
		t.Errorf("%v, %+v", err, results)
	}
}

// One row that cannot be sent is its own failure, as one that the service refuses
// is.
func TestOneBadRow(t *testing.T) {
	s := &autopilottest.Server{}
	r := &graph.Registration{Client: start(t, s), Pause: quick, Until: graph.StageImported}
	rows := []autopilot.Row{row("S1"), {Serial: "S2", Hash: "AAAA"}, row("S3"), {Serial: "S4"}}
	results, err := r.Run(t.Context(), rows)
	if err == nil || !strings.Contains(err.Error(), "2 of 4 devices") || !errors.Is(err, graph.ErrRefused) {
		t.Error(err)
	}
	for i, res := range results {
		if bad := i%2 == 1; bad != (res.Err != nil) || bad && (!errors.Is(res.Err, graph.ErrRefused) || res.Import != nil) {
			t.Errorf("device %d: %+v", i, res)
		}
	}
	if len(s.Devices()) != 2 {
		t.Errorf("%d devices", len(s.Devices()))
	}
}

// A pause that the service asks for and that is beyond Limit is not begun.
func TestFarRetryAfter(t *testing.T) {
	for _, after := range []string{"86400", "Fri, 31 Dec 9999 23:59:59 GMT", "2147483647"} {
		s := &autopilottest.Server{Fail: func(_ string, w http.ResponseWriter) bool {
			w.Header().Set("Retry-After", after)
			http.Error(w, "{}", http.StatusTooManyRequests)
			return true
		}}
		r := &graph.Registration{Client: start(t, s), Pause: quick}
		begin := time.Now()
		_, err := r.Run(t.Context(), []autopilot.Row{row("S1"), row("S2")})
		var e *graph.Error
		if !errors.As(err, &e) || time.Since(begin) > 5*time.Second || !strings.Contains(err.Error(), "429") {
			t.Errorf("%s: %v after %v", after, err, time.Since(begin))
		}
	}
}

// An import that stays "unknown" ends with its limit or its context, not before, and
// says which stage it was in.
func TestUnknownForEver(t *testing.T) {
	s := &autopilottest.Server{Speed: 1} // 95 seconds
	r := &graph.Registration{Client: start(t, s), Pause: quick, Limit: 150 * time.Millisecond}
	results, err := r.Run(t.Context(), []autopilot.Row{row("S1"), row("S2")})
	if err == nil || !strings.Contains(err.Error(), `stage "importing" took over 150ms`) || results[1].Import == nil || results[1].Import.State.Status != "unknown" {
		t.Errorf("%v, %+v", err, results)
	}
	r.Limit = 0
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if results, err = r.Run(ctx, []autopilot.Row{row("S3"), row("S4")}); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) > 5*time.Second || results[0].Import == nil {
		t.Errorf("%v, %+v", err, results)
	}
}

// A Registration without a Client says so.
func TestNoClient(t *testing.T) {
	var e *graph.Error
	if _, err := (&graph.Registration{}).Run(t.Context(), []autopilot.Row{row("S1")}); !errors.As(err, &e) || e.Op != "Register" {
		t.Error(err)
	}
}

// busyError is an error of a token source.
type busyError bool

// Error implements error.
func (e busyError) Error() string { return "the token endpoint is busy" }

// Retryable reports what e says.
func (e busyError) Retryable() bool { return bool(e) }

// A token source knows whether its failure passes.
func TestTokenBusy(t *testing.T) {
	for _, passes := range []bool{true, false} {
		c := start(t, &autopilottest.Server{})
		asked := 0
		c.Token = func(context.Context) (string, error) {
			if asked++; asked < 3 {
				return "", busyError(passes)
			}
			return "secret-token", nil
		}
		r := &graph.Registration{Client: c, Pause: quick, Until: graph.StageSubmitted}
		if results, err := r.Run(t.Context(), []autopilot.Row{row("S1")}); (err == nil) != passes || !passes && !errors.Is(err, busyError(false)) {
			t.Errorf("%v: %v, %+v", passes, err, results)
		}
	}
}

// When the context ends between two attempts, why the first failed is not lost.
func TestCauseOutlivesContext(t *testing.T) {
	s := &autopilottest.Server{Fail: func(_ string, w http.ResponseWriter) bool {
		http.Error(w, "{}", http.StatusServiceUnavailable)
		return true
	}}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	r := &graph.Registration{Client: start(t, s), Pause: func(graph.Stage, int) time.Duration { return time.Minute }}
	_, err := r.Run(ctx, []autopilot.Row{row("S1")})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "HTTP status 503") {
		t.Error(err)
	}
}

// An import that is complete without a registration is not waited for: there is no
// device to look for.
func TestCompleteWithoutRegistration(t *testing.T) {
	for _, id := range []string{"", "00000000-0000-0000-0000-000000000000"} {
		c := start(t, &autopilottest.Server{})
		inner := c.HTTPClient.Transport
		c.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			res, err := inner.RoundTrip(r)
			if err != nil || r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/importedWindowsAutopilotDeviceIdentities/") {
				return res, err
			}
			var m graph.Imported
			if err := json.NewDecoder(res.Body).Decode(&m); err != nil {
				return nil, err
			}
			res.Body.Close()
			m.State = graph.ImportState{Status: "complete", RegistrationID: id}
			text, err := json.Marshal(m)
			res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
			return res, err
		})}
		begin := time.Now()
		r := &graph.Registration{Client: c, Pause: quick, Until: graph.StageRegistered, Limit: 3 * time.Second}
		if results, err := r.Run(t.Context(), []autopilot.Row{row("S1")}); err == nil || !strings.Contains(err.Error(), "no registration identifier") || time.Since(begin) > 2*time.Second {
			t.Errorf("%q: %v, %+v", id, err, results)
		}
	}
}

// A device that is registered again gets the user of its row, and keeps its own if the
// row names none or the same.
func TestRegisterAgainUser(t *testing.T) {
	s := &autopilottest.Server{}
	c := start(t, s)
	updates := 0
	inner := c.HTTPClient.Transport
	c.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "/updateDeviceProperties") {
			updates++
		}
		return inner.RoundTrip(r)
	})}
	r := &graph.Registration{Client: c, Pause: quick, Until: graph.StageRegistered}
	for _, step := range []struct {
		user, want string
		updates    int
	}{{"", "", 0}, {"ann@contoso.test", "ann@contoso.test", 1}, {"Ann@Contoso.test", "ann@contoso.test", 1}, {"", "ann@contoso.test", 1}, {"bob@contoso.test", "bob@contoso.test", 2}} {
		row := row("S1")
		row.User = step.user
		results, err := r.Run(t.Context(), []autopilot.Row{row})
		if err != nil || results[0].Device.User != step.want || updates != step.updates {
			t.Errorf("%q: %v, %+v, %d updates", step.user, err, results[0].Device, updates)
		}
	}
}
