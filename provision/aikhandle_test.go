package provision_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/provision"
)

// nameAt returns the name of what a TPM has at a handle, or nil.
func nameAt(chip *attesttest.TPM, handle tpm2.TPMHandle) []byte {
	rsp, err := tpm2.ReadPublic{ObjectHandle: handle}.Execute(chip)
	if err != nil {
		return nil
	}
	return rsp.Name.Buffer
}

// A run that is given a handle keeps its attestation key there, and so does the run that
// goes on. It does not take a handle that has something else.
func TestAIKHandle(t *testing.T) {
	const handle = 0x81050000
	for _, fresh := range []bool{false, true} {
		w := newWorld(t, nil)
		tpm, chip := newTPM(t, attesttest.Config{Fresh: fresh})
		w.admit(t, tpm)
		store := provision.FileStore(filepath.Join(t.TempDir(), "state"))
		for _, steps := range [][]provision.Step{{provision.StepEK, provision.StepAIK}, nil, append(provision.Technician(), provision.UserPhase()...)} {
			p := w.provisioner(&attest.TPM{Transport: chip})
			p.Store, p.Steps, p.AIKHandle, p.User = store, steps, handle, w.user()
			state, err := p.Run(t.Context())
			if err != nil {
				t.Fatalf("%v\nrefused: %q", err, w.Refusals())
			}
			if name := nameAt(chip, handle); string(name) != string(state.AIKName) {
				t.Errorf("the TPM has %x, the state %x", name, state.AIKName)
			}
			if objects, sessions := chip.Loaded(); objects != 0 || sessions != 0 {
				t.Errorf("left loaded: %d objects, %d sessions", objects, sessions)
			}
		}
		p := w.provisioner(&attest.TPM{Transport: chip}) // another key, as the state is another
		p.AIKHandle = handle
		p.Steps = []provision.Step{provision.StepEK, provision.StepAIK}
		before := nameAt(chip, handle)
		_, err := p.Run(t.Context())
		var e *attest.Error
		if !errors.As(err, &e) || e.RC != 0 || !strings.Contains(err.Error(), "another object") || string(nameAt(chip, handle)) != string(before) {
			t.Errorf("handle of another key: %v", err)
		}
	}
	tpm, _ := newTPM(t, attesttest.Config{})
	p := newWorld(t, nil).provisioner(tpm)
	p.AIKHandle = 0x81000001
	if _, err := p.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "0x81000001") {
		t.Errorf("%v", err)
	}
}
