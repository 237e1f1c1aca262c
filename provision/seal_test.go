package provision_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/drs/drstest"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
	"github.com/whiteglove/whiteglove/provision"
)

func TestSeal(t *testing.T) {
	w := newWorld(t, nil)
	tpm, _ := newTPM(t, attesttest.Config{})
	w.admit(t, tpm)
	p := w.provisioner(tpm)
	p.Store = provision.FileStore(filepath.Join(t.TempDir(), "state"))
	if _, err := p.Run(t.Context()); err != nil { // joined and enrolled, not sealed
		t.Fatal(err)
	}
	p.Steps = []provision.Step{provision.StepSeal}
	for i, want := range []string{"done seal", "resumed seal"} {
		got := events(p)
		state, err := p.Run(t.Context())
		if err != nil {
			t.Fatalf("%v\nrefused: %q", err, w.Refusals())
		}
		if last := (*got)[len(*got)-1]; last != want || state.Sealed.IsZero() {
			t.Errorf("run %d ends with %q, sealed %v", i, last, state.Sealed)
		}
		for _, o := range w.Directory.Objects() {
			if o.Enabled || len(o.Identities) > 0 {
				t.Errorf("the directory still has the device: %+v", o)
			}
		}
		if n := len(w.Management.Enrolled()); n != 1 {
			t.Errorf("%d devices enrolled", n)
		}
	}
}

// An un-join whose answer was lost is done again, and the directory no longer
// knows the device.
func TestSealLost(t *testing.T) {
	w := newWorld(t, nil)
	tpm, _ := newTPM(t, attesttest.Config{})
	w.admit(t, tpm)
	p := w.provisioner(tpm)
	file := filepath.Join(t.TempDir(), "state")
	p.Store = provision.FileStore(file)
	if _, err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p.Steps = []provision.Step{provision.StepSeal}
	for range 2 {
		if err := os.WriteFile(file, before, 0o600); err != nil {
			t.Fatal(err)
		}
		state, err := p.Run(t.Context())
		if err != nil || state.Sealed.IsZero() {
			t.Fatalf("%v\nrefused: %q", err, w.Refusals())
		}
	}
	if r := w.Refusals(); len(r) != 1 {
		t.Errorf("refused: %q", r)
	}
}

// With SealEarly the device has left the tenant when its sessions begin; without, it
// has not. Either way it ends sealed and set up, and the user's phase comes last.
func TestSealEarly(t *testing.T) {
	for _, early := range []bool{false, true} {
		left, w := false, newWorld(t, nil)
		w.AddUser("ada@contoso.test", "secret")
		next := w.Management.Session.Next
		w.Management.Session.Next = func(id string, done []mdmtest.Response) []mdmtest.Command {
			left = !slices.ContainsFunc(w.Directory.Objects(), func(o drstest.Object) bool { return o.Enabled })
			if next == nil {
				return nil
			}
			return next(id, done)
		}
		tpm, _ := newTPM(t, attesttest.Config{})
		w.admit(t, tpm)
		p := w.provisioner(tpm)
		p.SealEarly, p.User, p.Setup.Pause = early, w.User("ada@contoso.test"), 1
		p.Steps = append(provision.Technician(), provision.UserPhase()...)
		want := []provision.Step{provision.StepSession, provision.StepSeal}
		if early {
			want = []provision.Step{provision.StepSeal, provision.StepSession}
		}
		plan, err := p.Plan(t.Context())
		if at := slices.Index(plan, want[0]); err != nil || at < 0 || plan[at+1] != want[1] || plan[at+2] != provision.StepRejoin {
			t.Errorf("%v: plan %v, %v", early, plan, err)
		}
		got := events(p)
		state, err := p.Run(t.Context())
		if err != nil {
			t.Fatalf("%v: %v\nrefused: %q", early, err, w.Refusals())
		}
		order := steps(*got)
		if at := slices.Index(order, want[0]); state.Sealed.IsZero() || state.SetUp.IsZero() || left != early || order[at+1] != want[1] || order[at+2] != provision.StepRejoin {
			t.Errorf("%v: sealed %v, set up %v, had left %v, %v", early, state.Sealed, state.SetUp, left, order)
		}
	}
}
