package whiteglove_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove"
	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
)

// TestCommands counts the TPM commands of a whole run, step by step, and bounds
// their sum. Beside the enrollment that attest's own test counts, a run opens a
// second challenge (the directory's), signs the request for the management
// token, and makes a management key and its request.
func TestCommands(t *testing.T) {
	for _, c := range []struct {
		name   string
		config attesttest.Config
		most   int
	}{
		{"ready", attesttest.Config{}, 32},
		{"fresh", attesttest.Config{Fresh: true}, 40},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, nil)
			tpm, chip := newTPM(t, c.config)
			w.admit(t, tpm)
			rec := attesttest.Counter(chip)
			p := w.provisioner(&attest.TPM{Transport: rec})
			total := 0
			step := func(name string) {
				counts := rec.Counts()
				n := 0
				var parts []string
				for _, command := range slices.Sorted(maps.Keys(counts)) {
					n += counts[command]
					parts = append(parts, fmt.Sprintf("%s %d", strings.TrimPrefix(command, "TPM2_"), counts[command]))
				}
				total += n
				t.Logf("%-9s %2d  %s", name, n, strings.Join(parts, ", "))
				rec.Reset()
			}
			p.Observe = func(ev whiteglove.Event) {
				if ev.Status != whiteglove.Started {
					step(string(ev.Step))
				}
			}
			if _, err := p.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			step("release")
			t.Logf("%-9s %2d", "sum", total)
			if total > c.most {
				t.Errorf("%d TPM commands, want at most %d", total, c.most)
			}
		})
	}
}
