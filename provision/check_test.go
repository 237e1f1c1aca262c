package provision_test

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/provision"
)

// nothing is a function that does nothing.
func nothing(context.Context, *provision.Run) (bool, error) { return false, nil }

// What is wrong with a Provisioner is said before anything is sent.
func TestRequired(t *testing.T) {
	type do = map[provision.Step]func(context.Context, *provision.Run) (bool, error)
	w := newWorld(t, nil)
	tpm, _ := newTPM(t, attesttest.Config{})
	for name, c := range map[string]struct {
		change func(p *provision.Provisioner)
		want   string
	}{
		"no TPM":           {func(p *provision.Provisioner) { p.TPM = nil }, "Provisioner.TPM is not set"},
		"no tenant":        {func(p *provision.Provisioner) { p.Tenant = "" }, "Provisioner.Tenant is not set"},
		"no management":    {func(p *provision.Provisioner) { p.Management = "" }, "Provisioner.Management is not set"},
		"no scheme":        {func(p *provision.Provisioner) { p.Management = "mdm.contoso.test" }, `"mdm.contoso.test" is not an absolute URL`},
		"plain http":       {func(p *provision.Provisioner) { p.Management = "http://mdm.contoso.test/" }, "is not https"},
		"empty steps":      {func(p *provision.Provisioner) { p.Steps = []provision.Step{} }, "Provisioner.Steps is empty"},
		"unknown step":     {func(p *provision.Provisioner) { p.Steps = []provision.Step{"dance"} }, `Provisioner.Steps: there is no step "dance"`},
		"unknown function": {func(p *provision.Provisioner) { p.Do = do{"Join": nothing} }, `Provisioner.Do: there is no step "Join"`},
		"nil function":     {func(p *provision.Provisioner) { p.Do = do{provision.StepJoin: nil} }, "the function for step join is nil"},
		"shows no certificate": {func(p *provision.Provisioner) {
			p.HTTPClient, p.MutualTLS, p.Steps = &http.Client{Transport: new(busy)}, nil, provision.Technician()
		}, "session: the device could not show its certificate through a *provision_test.busy: set Provisioner.MutualTLS"},
		"shows none to the tenant": {func(p *provision.Provisioner) {
			p.DRS.HTTPClient, p.MutualTLS, p.Steps = &http.Client{Transport: new(busy)}, nil, provision.Technician()
		}, "seal: the device could not show its certificate"},
	} {
		p := w.provisioner(tpm)
		c.change(p)
		got := events(p)
		state, err := p.Run(t.Context())
		var e *provision.Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) || e.Retryable() || len(*got) > 0 {
			t.Errorf("%s: %+v, %v after %q", name, state, err, *got)
		}
		if _, planned := p.Plan(t.Context()); planned == nil || planned.Error() != err.Error() {
			t.Errorf("%s: Run says %v, Plan %v", name, err, planned)
		}
	}
}

// A plan is what the run then does.
func TestPlan(t *testing.T) {
	w := newWorld(t, nil)
	tpm, _ := newTPM(t, attesttest.Config{})
	w.admit(t, tpm)
	store := provision.FileStore(filepath.Join(t.TempDir(), "state"))
	for _, steps := range [][]provision.Step{{provision.StepAIK, provision.StepEK}, {provision.StepKeys}, {provision.StepJoin}, nil} {
		p := w.provisioner(tpm)
		p.Store, p.Steps = store, steps
		plan, err := p.Plan(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var ended []provision.Step
		p.Observe = func(ev provision.Event) {
			if ev.Status == provision.Done || ev.Status == provision.Resumed {
				ended = append(ended, ev.Step)
			}
		}
		if _, err := p.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		sorted := slices.Clone(plan)
		slices.Sort(sorted)
		slices.Sort(ended)
		if len(plan) == 0 || !slices.Equal(sorted, ended) {
			t.Errorf("%q: planned %q, took %q", steps, plan, ended)
		}
	}
}

// If the time is up while a run waits to try again, the error says why it had to.
func TestCauseOutlivesContext(t *testing.T) {
	for name, cut := range map[string]int{"in a pause": 0, "in an attempt": 1} {
		w := newWorld(t, nil)
		tpm, _ := newTPM(t, attesttest.Config{})
		w.admit(t, tpm)
		ctx, cancel := context.WithCancel(t.Context())
		p := w.provisioner(tpm)
		p.Steps = []provision.Step{provision.StepDiscover} // of steps side by side, any may be the first that notices the end
		server := &busy{RoundTripper: w.Client().Transport, path: "/Discover", left: 1}
		p.HTTPClient = &http.Client{Transport: server}
		p.Backoff = func(_ provision.Step, n int, _ error) time.Duration {
			if n > cut {
				cancel()
				return time.Hour
			}
			return time.Millisecond
		}
		if cut > 0 {
			p.Observe = func(ev provision.Event) {
				if ev.Step == provision.StepDiscover && ev.Attempt == 2 && ev.Status == provision.Started {
					cancel()
				}
			}
		}
		_, err := p.Run(ctx)
		var e *drs.Error
		if !errors.Is(err, context.Canceled) || !errors.As(err, &e) || e.HTTPStatus != http.StatusServiceUnavailable || !strings.Contains(err.Error(), "/Discover") {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
}

// A device token needs no nonce: the run then asks the directory for one.
func TestTokenWithoutNonce(t *testing.T) {
	w := newWorld(t, nil)
	tpm, _ := newTPM(t, attesttest.Config{})
	w.admit(t, tpm)
	p := w.provisioner(tpm)
	p.Do = map[provision.Step]func(context.Context, *provision.Run) (bool, error){
		provision.StepToken: func(ctx context.Context, r *provision.Run) (bool, error) {
			proof := proof(tpm, r.EK, r.AIK)
			proof.EKChain, proof.AIKChain = r.EKChain, r.AIKChain
			token, err := r.Provisioner.DRS.Authenticate(ctx, r.Discovery, proof)
			if err != nil {
				return false, err
			}
			token.Nonce = nil
			r.Token = token
			return false, r.Commit(ctx, func(s *provision.State) { s.ZTDID = token.ZTDID })
		},
	}
	state, err := p.Run(t.Context())
	if err != nil {
		t.Fatalf("%v\nrefused: %q", err, w.Refusals())
	}
	checkEnrolled(t, w, state)
}
