package provision_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/whiteglove/whiteglove/attest/attesttest"
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
