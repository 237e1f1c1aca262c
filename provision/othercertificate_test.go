package provision_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/provision"
)

// A stored certificate for another key than the stored one is refused: somebody put it there.
func TestCertificateOfOtherKey(t *testing.T) {
	w := newWorld(t, nil)
	tpm, _ := newTPM(t, attesttest.Config{})
	w.admit(t, tpm)
	store := provision.FileStore(filepath.Join(t.TempDir(), "state"))
	p := w.provisioner(tpm)
	p.Store = store
	p.Steps = []provision.Step{provision.StepDiscover, provision.StepEK, provision.StepAIK, provision.StepKeys, provision.StepToken, provision.StepJoin}
	good, err := p.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*provision.State)
		step   provision.Step
	}{
		"AIK":       {func(s *provision.State) { s.AIKCertificates = [][]byte{good.DeviceCertificate} }, provision.StepAIK},
		"AIK's CA":  {func(s *provision.State) { s.AIKCertificates = good.AIKCertificates[1:] }, provision.StepAIK},
		"device":    {func(s *provision.State) { s.DeviceCertificate = good.AIKCertificates[0] }, provision.StepJoin},
		"no change": {func(*provision.State) {}, ""},
	} {
		s := *good
		c.change(&s)
		if err := store.Save(t.Context(), &s); err != nil {
			t.Fatal(err)
		}
		_, err := p.Run(t.Context())
		var e *provision.Error
		switch {
		case c.step == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.step != "" && (!errors.Is(err, provision.ErrState) || !errors.As(err, &e) || e.Step != c.step):
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The same holds for the management certificate and for that of the user's phase.
func TestCertificateOfOtherKeyLater(t *testing.T) {
	w := newWorld(t, nil)
	tpm, _ := newTPM(t, attesttest.Config{})
	w.admit(t, tpm)
	store := provision.FileStore(filepath.Join(t.TempDir(), "state"))
	p := w.provisioner(tpm)
	p.Store = store
	if _, err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.Steps, p.User = provision.UserPhase(), w.user()
	good, err := p.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for step, change := range map[provision.Step]func(*provision.State){
		provision.StepSession: func(s *provision.State) {
			s.ManagementCertificates, s.SetUp = append([][]byte{good.DeviceCertificate}, good.ManagementCertificates[1:]...), time.Time{}
		},
		provision.StepRejoin: func(s *provision.State) {
			user := *good.User
			s.User, user.DeviceCertificate = &user, good.DeviceCertificate
		},
		provision.StepSignIn: func(s *provision.State) {
			user := *good.User
			s.User, user.DeviceCertificate, user.Session = &user, good.DeviceCertificate, nil
		},
	} {
		s := *good
		change(&s)
		if err := store.Save(t.Context(), &s); err != nil {
			t.Fatal(err)
		}
		p.Steps = []provision.Step{step}
		_, err := p.Run(t.Context())
		var e *provision.Error
		if !errors.Is(err, provision.ErrState) || !errors.As(err, &e) || e.Step == "" {
			t.Errorf("%s: %v", step, err)
		}
	}
}
