package provision_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/internal/errtext"
	"github.com/whiteglove/whiteglove/provision"
)

// A state that cannot be used says which file it is and why, and the remedy follows the
// reason: the state of another device is not to be removed.
func TestUnusableState(t *testing.T) {
	dir := t.TempDir()
	good, err := provision.FormatState(&provision.State{Version: 2, Tenant: "other.test"})
	if err != nil {
		t.Fatal(err)
	}
	tpm, _ := newTPM(t, attesttest.Config{})
	foreign, _ := newTPM(t, attesttest.Config{Seed: "another"})
	w := newWorld(t, nil)
	w.admit(t, foreign)
	whole := filepath.Join(dir, "foreign")
	p := w.provisioner(foreign)
	p.Store, p.Steps = provision.FileStore(whole), []provision.Step{provision.StepEK, provision.StepAIK}
	if _, err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		text   []byte
		says   string
		remedy string
	}{
		"cut":          {good[:len(good)/2], "ends in the middle", "Give the right file"},
		"empty":        {nil, "is not a state file", "Give the right file"},
		"text":         {[]byte("hello"), "is not a state file", "Give the right file"},
		"JSON":         {[]byte("{}"), "is not a state file", "Give the right file"},
		"edited":       {[]byte(strings.Replace(string(good), "other", "third", 1)), "was edited or damaged", "Give the right file"},
		"tenant":       {good, `it belongs to tenant "other.test"`, "Give the tenant that the state belongs to"},
		"TPM":          {text, "another TPM", "Give the state of this device (in the programs: -state), and keep this one"},
		"other's file": {[]byte("\x00\x01"), "is not a state file", "Give the right file"},
	} {
		file := filepath.Join(dir, "state")
		if err := os.WriteFile(file, c.text, 0o600); err != nil {
			t.Fatal(err)
		}
		p := w.provisioner(tpm)
		p.Store = provision.FileStore(file)
		_, err := p.Run(t.Context())
		d := diagnose.Explain(err)
		if !errors.Is(err, provision.ErrState) || !strings.Contains(err.Error(), c.says) || !strings.Contains(d.Remedy, c.remedy) || strings.Contains(d.Remedy, "remove") && !strings.Contains(c.remedy, "right file") {
			t.Errorf("%s: %v. %s", name, err, d.Remedy)
		}
		if strings.Contains(c.remedy, "right file") && !strings.Contains(err.Error(), file+" ") {
			t.Errorf("%s: the file is not named: %v", name, err)
		}
		for _, fault := range errtext.Faults(err.Error()) {
			t.Errorf("%s: %s: %v", name, fault, err)
		}
	}
	_, err = provision.FileStore(dir).Load(context.Background())
	if !errors.Is(err, provision.ErrState) || !strings.Contains(err.Error(), dir+" is a folder") {
		t.Error(err)
	}
}

// A missing step and a state that is in use say what to do.
func TestRemedyOfRun(t *testing.T) {
	for err, want := range map[error]string{
		provision.ErrNotDone: "-steps", provision.ErrLocked: "Wait until the other run", provision.ErrState: "remove it to provision the device again",
	} {
		d := diagnose.Explain(&provision.Error{Err: err})
		if !strings.Contains(d.Remedy, want) {
			t.Errorf("%v: %s", err, d.Remedy)
		}
	}
}

// A profile that a run cannot follow says what to do.
func TestUnusableProfile(t *testing.T) {
	for _, c := range []struct {
		profile    autopilot.Profile
		says, cure string
	}{
		{autopilot.Profile{TenantDomain: "contoso.test", DomainJoin: 1}, "(hybrid join), which this run does not do", "joins Microsoft Entra only"},
		{autopilot.Profile{TenantID: "8d3c9f2a-0000-4000-8000-000000000002"}, "the profile belongs to tenant", "Give the tenant of the profile"},
	} {
		p := &provision.Provisioner{Tenant: "8d3c9f2a-0000-4000-8000-000000000001"}
		err := p.Apply(&c.profile)
		d := diagnose.Explain(err)
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(d.Remedy, c.cure) || d.Symbol == "E_FAIL" {
			t.Errorf("%v", d)
		}
	}
}
