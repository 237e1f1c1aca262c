package provision_test

import (
	"context"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/provision"
)

// Each step can be taken in a run of its own, one after the other.
func TestStepsAlone(t *testing.T) {
	w := newWorld(t, nil)
	tpm, _ := newTPM(t, attesttest.Config{})
	w.admit(t, tpm)
	store := provision.FileStore(filepath.Join(t.TempDir(), "state"))
	var state *provision.State
	for _, step := range steps(allDone) {
		p := w.provisioner(tpm)
		p.Store, p.Steps = store, []provision.Step{step}
		got := events(p)
		var err error
		if state, err = p.Run(t.Context()); err != nil {
			t.Fatalf("%s: %v\nrefused: %q", step, err, w.Refusals())
		}
		for _, ev := range *got {
			done, name, _ := strings.Cut(ev, " ")
			if name == string(step) && done != "done" || name != string(step) && done == "done" && name != "discover" && name != "token" {
				t.Errorf("%s alone: %q", step, *got)
			}
		}
	}
	checkEnrolled(t, w, state)
}

func TestStepsRefused(t *testing.T) {
	w := newWorld(t, nil)
	tpm, _ := newTPM(t, attesttest.Config{})
	for _, c := range []struct {
		steps []provision.Step
		step  provision.Step // that the error names
		is    error
	}{
		{[]provision.Step{"dance"}, "", nil},
		{[]provision.Step{provision.StepJoin}, provision.StepEK, provision.ErrNotDone},
		{[]provision.Step{provision.StepEK, provision.StepJoin}, provision.StepAIK, provision.ErrNotDone},
		{provision.UserPhase(), provision.StepEK, provision.ErrNotDone},
		{append(provision.Technician(), provision.UserPhase()...), provision.StepRejoin, nil},                 // nobody
		{append(provision.Technician(), provision.StepSignIn), provision.StepRejoin, provision.ErrNotDone},    // without a join
		{append(provision.Technician(), provision.StepRejoin, provision.StepOwner), provision.StepOwner, nil}, // how is not known
	} {
		p := w.provisioner(tpm)
		p.Steps = c.steps
		if slices.Contains(c.steps, provision.StepOwner) {
			p.User = w.user()
		}
		got := events(p)
		_, err := p.Run(t.Context())
		var e *provision.Error
		if !errors.As(err, &e) || e.Step != c.step || c.is != nil && (!errors.Is(err, c.is) || e.Remedy() == "") || len(*got) > 0 {
			t.Errorf("%q: %v after %q", c.steps, err, *got)
		}
		if want := "ek: this step has not been done, nor have aik, keys, join, and rejoin, signin need them"; c.step == provision.StepEK && len(c.steps) == 2 && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", c.steps, err)
		}
	}
}

// A step can be done by something else than its client: here an attestation CA
// that is asked in another way, and a device token that was had beforehand.
func TestDo(t *testing.T) {
	w := newWorld(t, nil)
	tpm, _ := newTPM(t, attesttest.Config{})
	w.admit(t, tpm)
	p := w.provisioner(tpm)
	ca, asked := p.AIK, false
	p.AIK = &aik.Client{URL: "https://nobody.invalid/"}
	p.Do = map[provision.Step]func(context.Context, *provision.Run) (bool, error){
		provision.StepAIK: func(ctx context.Context, r *provision.Run) (bool, error) {
			asked = true
			var err error
			if r.AIK, err = tpm.CreateKey(ctx, attest.Template{Usage: attest.Attest}); err != nil {
				return false, err
			}
			ca.HTTPClient = w.Client()
			r.AIKChain, err = ca.Enroll(ctx, &aik.Request{
				EK: r.EK.Public, EKChain: r.EKChain, AIKCreation: r.AIK.Creation(),
				Activate: tpm.Activator(r.EK, r.AIK),
			})
			if err != nil {
				return false, err
			}
			text, err := r.AIK.MarshalText()
			if err != nil {
				return false, err
			}
			return false, r.Commit(ctx, func(s *provision.State) {
				s.AIK, s.AIKCertificates = string(text), [][]byte{r.AIKChain[0].Raw}
			})
		},
	}
	source := new(tokens)
	p.JoinToken = source
	got := events(p)
	if _, err := p.Run(t.Context()); err == nil || !source.asked || !asked || !slices.Contains(*got, "failed join") {
		t.Fatalf("%v after %q", err, *got)
	}
	p.JoinToken = nil
	state, err := p.Run(t.Context())
	if err != nil {
		t.Fatalf("%v\nrefused: %q", err, w.Refusals())
	}
	checkEnrolled(t, w, state)
	if cert, err := x509.ParseCertificate(state.AIKCertificates[0]); err != nil || len(cert.Raw) == 0 {
		t.Error(err)
	}
}

// A function that forgets what others rely on is told so, not run into.
func TestDoForgets(t *testing.T) {
	w := newWorld(t, nil)
	tpm, _ := newTPM(t, attesttest.Config{})
	w.admit(t, tpm)
	for _, step := range []provision.Step{provision.StepEK, provision.StepAIK, provision.StepDiscover, provision.StepToken, provision.StepKeys, provision.StepJoin} {
		p := w.provisioner(tpm)
		p.Do = map[provision.Step]func(context.Context, *provision.Run) (bool, error){step: func(context.Context, *provision.Run) (bool, error) { return false, nil }}
		_, err := p.Run(t.Context())
		var e *provision.Error
		if !errors.As(err, &e) || e.Step != step || !strings.Contains(err.Error(), "returned without all results") {
			t.Errorf("%s: %v", step, err)
		}
	}
}

// tokens is a source of a token that no directory takes.
type tokens struct{ asked bool }

func (s *tokens) JoinToken(context.Context, *drs.Discovery) (*drs.DeviceToken, error) {
	s.asked = true
	return &drs.DeviceToken{Token: "none"}, nil
}

// An edited state is refused with a reason.
func TestEditedState(t *testing.T) {
	w := newWorld(t, nil)
	tpm, _ := newTPM(t, attesttest.Config{})
	w.admit(t, tpm)
	p := w.provisioner(tpm)
	file := filepath.Join(t.TempDir(), "state")
	p.Store, p.Steps = provision.FileStore(file), []provision.Step{provision.StepKeys}
	if _, err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	spaced := strings.ReplaceAll(string(text), "\t", "  ")
	for edited, want := range map[string]bool{
		spaced: true,
		strings.Replace(string(text), `"deviceKey"`, `"transportkey"`, 1): false,
		strings.Replace(string(text), "BEGIN TSS2", "BEGIN  TSS2", 1):     false,
	} {
		if err := os.WriteFile(file, []byte(edited), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := p.Run(t.Context())
		if want != (err == nil) || !want && !errors.Is(err, provision.ErrState) {
			t.Errorf("%.40q…: %v", edited, err)
		}
	}
}
