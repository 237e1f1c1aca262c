package provision_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/internal/softtpm"
	"github.com/whiteglove/whiteglove/provision"
)

// A stepCounter counts TPM commands by the step that sends them.
type stepCounter struct {
	transport.TPM
	mu     sync.Mutex
	counts map[provision.Step]map[string]int
	list   []stepCommand
}

// A stepCommand is a command of a step.
type stepCommand struct {
	step provision.Step
	code tpm2.TPMCC
}

// SendContext is what attest.TPM calls.
func (c *stepCounter) SendContext(ctx context.Context, command []byte) ([]byte, error) {
	step, code := provision.StepOf(ctx), tpm2.TPMCC(binary.BigEndian.Uint32(command[6:]))
	c.mu.Lock()
	if c.counts == nil {
		c.counts = make(map[provision.Step]map[string]int)
	}
	if c.counts[step] == nil {
		c.counts[step] = make(map[string]int)
	}
	c.counts[step][strings.TrimPrefix(softtpm.CommandName(uint32(code)), "TPM2_")]++
	c.list = append(c.list, stepCommand{step, code})
	c.mu.Unlock()
	return c.Send(command)
}

// TestCommands counts the TPM commands of a whole run, step by step, and bounds
// their sum. Beside the enrollment that attest's own test counts, a run opens a
// second challenge (the directory's), signs the request for the management
// token, and makes a management key and its request.
func TestCommands(t *testing.T) {
	for _, c := range []struct {
		name   string
		config attesttest.Config
		steps  []provision.Step
		most   int
	}{
		{"ready", attesttest.Config{}, nil, 30},
		{"fresh", attesttest.Config{Fresh: true}, nil, 34},
		{"technician ready", attesttest.Config{}, provision.Technician(), 32},
		{"technician fresh", attesttest.Config{Fresh: true}, provision.Technician(), 36},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, nil)
			tpm, chip := newTPM(t, c.config)
			w.admit(t, tpm)
			count := &stepCounter{TPM: chip}
			p := w.provisioner(&attest.TPM{Transport: count})
			p.Steps = c.steps
			if _, err := p.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, step := range append(slices.Concat(steps(allDone), []provision.Step{provision.StepSession, provision.StepSeal}), "") {
				n := 0
				var parts []string
				for _, command := range slices.Sorted(maps.Keys(count.counts[step])) {
					n += count.counts[step][command]
					parts = append(parts, fmt.Sprintf("%s %d", command, count.counts[step][command]))
				}
				t.Logf("%-9s %2d  %s", step, n, strings.Join(parts, ", "))
			}
			if n := len(count.list); n > c.most {
				t.Errorf("%d TPM commands, want at most %d", n, c.most)
			}
		})
	}
}
