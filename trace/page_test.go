package trace_test

import (
	"bytes"
	"html"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/provision"
	"github.com/whiteglove/whiteglove/trace"
)

// The axis has a few round marks over the whole run, and the heads say what the
// trace is about.
func TestAxis(t *testing.T) {
	for whole, want := range map[time.Duration]string{
		3 * time.Millisecond:    "0s 1ms 2ms",
		20 * time.Millisecond:   "0s 2ms 4ms 6ms 8ms 10ms 12ms 14ms 16ms 18ms",
		2600 * time.Millisecond: "0s 500ms 1s 1.5s 2s",
		11 * time.Minute:        "0s 1m40s 3m20s 5m0s 6m40s 8m20s 10m0s",
	} {
		var tr trace.Trace
		start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		tr.Observe(provision.Event{Time: start, Step: provision.StepEK, Status: provision.Started})
		tr.Observe(provision.Event{Time: start.Add(whole), Step: provision.StepEK, Status: provision.Done})
		tr.SetSubject("device <1>")
		var page, text bytes.Buffer
		if err := tr.WriteHTML(&page); err != nil {
			t.Fatal(err)
		}
		if err := tr.WriteMarkdown(&text); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, m := range regexp.MustCompile(`<span style="left:[0-9.]+%">([^<]+)</span>`).FindAllStringSubmatch(page.String(), -1) {
			got = append(got, m[1])
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%v: %q", whole, got)
		}
		if !strings.Contains(page.String(), html.EscapeString("device <1>")) || !strings.Contains(text.String(), "\ndevice ") {
			t.Errorf("no subject: %s", text.String())
		}
	}
}
