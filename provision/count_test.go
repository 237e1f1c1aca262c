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

	objects, sessions int // that are loaded
	chip              int // what the chip runs behind the kernel's resource manager
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
	answer, err := c.Send(command)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.model(code, command, answer)
	return answer, err
}

// model adds what the chip runs if the kernel's resource manager (/dev/tpmrm0) passes a
// command on. It loads every object and session of the program before each command, saves
// them after it, and flushes the objects (tpm2_prepare_space and tpm2_commit_space in
// Linux's drivers/char/tpm/tpm2-space.c).
func (c *stepCounter) model(code tpm2.TPMCC, command, answer []byte) {
	cost := 1 + 3*c.objects + 2*c.sessions
	if len(answer) < 10 || binary.BigEndian.Uint32(answer[6:]) != 0 {
		c.chip += cost
		return
	}
	switch code {
	case tpm2.TPMCCCreatePrimary, tpm2.TPMCCCreateLoaded, tpm2.TPMCCLoad:
		c.objects++
		cost += 2
	case tpm2.TPMCCStartAuthSession:
		c.sessions++
		cost++
	case tpm2.TPMCCFlushContext:
		if command[10] == 0x80 {
			c.objects--
			cost -= 2
		} else {
			c.sessions--
			cost--
		}
	}
	c.chip += cost
}

// TestCommands counts the TPM commands of a whole run, step by step, and bounds
// their sum, and what the chip runs for them behind the kernel's resource manager. Beside the enrollment that attest's own test counts, a run opens a
// second challenge (the directory's), signs the request for the management
// token, and makes a management key and its request.
func TestCommands(t *testing.T) {
	for _, c := range []struct {
		name   string
		handle uint32 // Provisioner.AIKHandle
		hold   bool   // the caller holds Keep, and closes the transport
		config attesttest.Config
		steps  []provision.Step
		most   int
		chip   int
	}{
		{"ready", 0, false, attesttest.Config{}, nil, 29, 168},
		{"fresh", 0, false, attesttest.Config{Fresh: true}, nil, 33, 265},
		{"technician ready", 0, false, attesttest.Config{}, provision.Technician(), 31, 186},
		{"technician fresh", 0, false, attesttest.Config{Fresh: true}, provision.Technician(), 35, 289},
		{"ready, not flushed", 0, true, attesttest.Config{}, nil, 26, 155},
		{"fresh, not flushed", 0, true, attesttest.Config{Fresh: true}, nil, 29, 242},
		{"ready, persistent AIK", 0x81050000, false, attesttest.Config{}, nil, 28, 141},
		{"fresh, persistent AIK", 0x81050000, false, attesttest.Config{Fresh: true}, nil, 34, 250},
		{"technician ready, persistent AIK", 0x81050000, false, attesttest.Config{}, provision.Technician(), 30, 159},
		{"technician fresh, persistent AIK", 0x81050000, false, attesttest.Config{Fresh: true}, provision.Technician(), 36, 274},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, nil)
			tpm, chip := newTPM(t, c.config)
			w.admit(t, tpm)
			count := &stepCounter{TPM: chip}
			own := &attest.TPM{Transport: count}
			if c.hold {
				own.Keep()
			}
			p := w.provisioner(own)
			p.Steps, p.AIKHandle = c.steps, c.handle
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
			if n := len(count.list); n > c.most || count.chip > c.chip {
				t.Errorf("%d TPM commands, want at most %d; behind the kernel's resource manager %d, want at most %d", n, c.most, count.chip, c.chip)
			}
		})
	}
}
