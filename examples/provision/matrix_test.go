package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/drs/login"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/services"
	"github.com/whiteglove/whiteglove/internal/errtext"
	"github.com/whiteglove/whiteglove/provision"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
	"github.com/whiteglove/whiteglove/trace"
)

// The user of the matrix.
const (
	userName     = "alice@" + provisiontest.Tenant
	userPassword = "correct horse"
)

// statuses are the HTTP statuses of the matrix besides 429.
var statuses = []string{"400", "401", "403", "404", "500", "503"}

// passingFaults are the kinds of faults that another try overcomes.
var passingFaults = []string{"429", "500", "503", "cut", "slow", "timeout"}

// TestFaultMatrix lets requests of each step go wrong in each way, in a run of
// both phases. The run must end in success after a retry, or in one typed error
// whose diagnosis is complete and whose text says nothing twice. It leaves out the faults that have no meaning, see
// [provisiontest.Fault.Valid], and prints how each run ended. Without
// WHITEGLOVE_CAMPAIGN it takes every kind once.
func TestFaultMatrix(t *testing.T) {
	kinds := append(slices.Sorted(maps.Keys(provisiontest.FaultKinds())), statuses...)
	rows, full := make([][]*cell, len(provisiontest.FaultSteps())), os.Getenv("WHITEGLOVE_CAMPAIGN") != ""
	t.Run("", func(t *testing.T) {
		for i, step := range provisiontest.FaultSteps() {
			for j, kind := range kinds {
				if f := (provisiontest.Fault{Step: step, Kind: kind}); f.Valid() && (full || j%len(rows) == i) {
					rows[i] = append(rows[i], &cell{fault: f})
				}
			}
			t.Run(string(step), func(t *testing.T) {
				t.Parallel()
				server := &provisiontest.Server{AdmitAny: true, Users: map[string]string{userName: userPassword}}
				start(t, server)
				for _, c := range rows[i] {
					t.Run(c.fault.Kind, func(t *testing.T) { c.run(t, server) })
				}
			})
		}
	})
	cells := slices.DeleteFunc(slices.Concat(rows...), func(c *cell) bool { return !c.ran })
	good := 0
	for _, c := range cells {
		if c.good {
			good++
		}
	}
	for line := range strings.Lines(table(cells)) {
		t.Log(strings.TrimRight(line, " \n"))
	}
	t.Logf("%d of %d faults ended in success or in an error that is fully diagnosed", good, len(cells))
}

// A cell is a run that meets a fault, and how it ended.
type cell struct {
	fault     provisiontest.Fault
	met       int // how often it met the fault
	retries   atomic.Int64
	diagnosis *diagnose.Diagnosis // nil after success
	ran, good bool
}

// table returns cells as a table, a line each.
func table(cells []*cell) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FAULT\tMET\tRETRIES\tEND\tOPERATION\tCODE\tSYMBOL\tREMEDY")
	for _, c := range cells {
		fmt.Fprintf(w, "%s:%s\t%d\t%d\t", c.fault.Step, c.fault.Kind, c.met, c.retries.Load())
		if d := c.diagnosis; d != nil {
			fmt.Fprintf(w, "%s\t%s\t0x%08X\t%s\t%s\n", d.Step, d.Op, d.HRESULT, d.Symbol, d.Remedy)
		} else {
			fmt.Fprintln(w, "done\t\t\t\t")
		}
	}
	w.Flush()
	return b.String()
}

// run runs both phases while one request goes wrong. If the fault is a wrong clock
// or certificate, all requests do, since those stay wrong.
func (c *cell) run(t *testing.T, server *provisiontest.Server) {
	if c.fault.Kind == "expired" || c.fault.Kind == "skew" {
		c.fault.Requests = -1
	}
	p := c.provisioner(t, server)
	server.SetFaults(c.fault)
	_, err := p.Run(t.Context())
	c.met, c.ran = server.Met(), true
	server.SetFaults()
	c.good = c.judge(t, err)
}

// provisioner returns a Provisioner that runs both phases, with at most three
// retries a step.
func (c *cell) provisioner(t *testing.T, server *provisiontest.Server) *provision.Provisioner {
	chip, err := attesttest.New(attesttest.Config{FastKeys: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { chip.Close() })
	ekRoots, _, err := services.EKRoots("")
	if err != nil {
		t.Fatal(err)
	}
	s := &services.Services{URL: server.URL, Roots: command.Pool(server.Roots)}
	p := newProvisioner(chip, s, ekRoots, new(counts), new(trace.Trace))
	p.Tenant, p.EnrollEK = provisiontest.Tenant, c.fault.Step == "ek"
	p.Steps = append(provision.Technician(), provision.UserPhase()...)
	p.Setup.Pause = time.Millisecond
	if c.fault.Step == provision.StepProfile {
		register(t, server, p)
	}
	page := &login.Client{HTTPClient: p.HTTPClient}
	p.User = &provision.User{Name: userName, SignIn: drs.SignIn{Password: userPassword}, JoinToken: func(ctx context.Context, d *drs.Discovery) (drs.Token, error) {
		t, err := page.Password(ctx, d, userName, userPassword)
		if err != nil {
			return "", err
		}
		return t.Token, nil
	}}
	if c.fault.Kind == "timeout" {
		p.HTTPClient.Timeout = 3 * time.Second
	}
	p.Backoff = func(_ provision.Step, n int, _ error) time.Duration {
		if n > 3 {
			return 0
		}
		c.retries.Add(1)
		return time.Millisecond
	}
	return p
}

// register registers the device of p, and has p ask for its profile.
func register(t *testing.T, server *provisiontest.Server, p *provision.Provisioner) {
	t.Helper()
	h, err := (&provisiontest.Device{TPM: p.TPM}).Hash(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Register(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	p.Hash, p.Profile = h, server.ProfileClient(h)
	p.Profile.HTTPClient = p.HTTPClient
}

// judge reports whether a run ended as TestFaultMatrix wants it.
func (c *cell) judge(t *testing.T, err error) bool {
	if c.met == 0 {
		t.Errorf("no request met the fault: %v", err)
	}
	if err == nil {
		return c.met > 0
	}
	var e *provision.Error
	d := diagnose.Explain(err)
	c.diagnosis = &d
	if !errors.As(err, &e) || d.Step == "" || d.Op == "" || d.HRESULT == 0 && d.Protocol == "" || d.Remedy == "" {
		t.Errorf("%v\n%+v", err, d)
		return false
	}
	for _, fault := range errtext.Faults(err.Error()) {
		t.Errorf("%s: %v", fault, err)
	}
	if slices.Contains(passingFaults, c.fault.Kind) {
		t.Errorf("not overcome: %v", err)
		return false
	}
	return c.met > 0
}
