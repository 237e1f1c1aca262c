package refusal_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/whiteglove/whiteglove/internal/refusal"
)

func TestLog(t *testing.T) {
	var l refusal.Log
	if got := l.Refusals(); len(got) != 0 {
		t.Errorf("at first there is %q", got)
	}
	var text bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&text, nil))
	l.Add(nil, "join", errors.New("no proof"))
	l.Add(logger, "leave", errors.New("too late"))
	want := []string{"join: no proof", "leave: too late"}
	got := l.Refusals()
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	got[0] = "changed"
	if got := l.Refusals(); !slices.Equal(got, want) {
		t.Errorf("the caller's change is kept: %q", got)
	}
	if s := text.String(); strings.Count(s, "\n") != 1 || !strings.Contains(s, "WARN") || !strings.Contains(s, `op=leave reason="too late"`) {
		t.Errorf("logged %q", s)
	}
}

// TestLimit adds more refusals than the log keeps, from several goroutines. The
// newest ones stay.
func TestLimit(t *testing.T) {
	const each, limit = 500, 1000
	var l refusal.Log
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := range each {
				l.Add(nil, fmt.Sprint(g), fmt.Errorf("%d", i))
			}
		})
	}
	all.Wait()
	if got := l.Refusals(); len(got) != limit {
		t.Fatalf("%d are kept", len(got))
	}
	for i := range limit {
		l.Add(nil, "then", fmt.Errorf("%d", i))
	}
	got := l.Refusals()
	if len(got) != limit || got[0] != "then: 0" || got[limit-1] != fmt.Sprintf("then: %d", limit-1) {
		t.Errorf("%d are kept, from %q to %q", len(got), got[0], got[len(got)-1])
	}
}
