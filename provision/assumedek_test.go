package provision_test

import (
	"context"
	"crypto"
	"encoding/binary"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/provision"
)

// A swapped TPM has, at the index of its RSA certificate, what another TPM has there.
type swapped struct {
	transport.TPM
	other transport.TPM
}

func (s *swapped) Send(command []byte) ([]byte, error) {
	at := 0
	switch tpm2.TPMCC(binary.BigEndian.Uint32(command[6:])) {
	case tpm2.TPMCCNVReadPublic:
		at = 10
	case tpm2.TPMCCNVRead:
		at = 14
	}
	if at > 0 && binary.BigEndian.Uint32(command[at:]) == 0x01C00002 {
		return s.other.Send(command)
	}
	return s.TPM.Send(command)
}

// keyOf returns the public key of the first endorsement certificate of a state.
func keyOf(t *testing.T, s *provision.State) crypto.PublicKey {
	t.Helper()
	cert, err := ekcert.Parse(s.EKCertificates[0])
	if err != nil {
		t.Fatal(err)
	}
	return cert.PublicKey
}

// An endorsement key that the certificate in NV memory makes one assume, and that the TPM
// does not have, is not used: the run finds the one that it has, or another that has a
// certificate.
func TestAssumedEK(t *testing.T) {
	for name, c := range map[string]struct {
		config attesttest.Config
		swap   bool
		rsa    bool // whether the RSA key is used in the end
	}{
		"nonce":                   {attesttest.Config{Fresh: true, EKNonce: []byte("nonce")}, false, true},
		"nonce, persistent":       {attesttest.Config{EKNonce: []byte("nonce")}, false, true},
		"template":                {attesttest.Config{Fresh: true, EKTemplate: otherTemplate()}, false, true},
		"template, persistent":    {attesttest.Config{EKTemplate: otherTemplate()}, false, true},
		"certificate":             {attesttest.Config{Fresh: true}, true, false},
		"certificate, persistent": {attesttest.Config{}, true, false},
	} {
		w := newWorld(t, nil)
		tpm, chip := newTPM(t, c.config)
		w.admit(t, tpm)
		if c.swap {
			_, foreign := newTPM(t, attesttest.Config{Seed: "foreign"})
			tpm = &attest.TPM{Transport: &swapped{chip, foreign}}
		}
		var own crypto.PublicKey
		for ek, err := range tpm.EKs(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if (ek.CertificateIndex == 0x01C00002) == c.rsa {
				own = ek.Public
				break
			}
		}
		state, err := w.provisioner(tpm).Run(t.Context())
		if err != nil {
			t.Errorf("%s: %v\nrefused: %q", name, err, w.Refusals())
			continue
		}
		checkEnrolled(t, w, state)
		if !own.(interface{ Equal(crypto.PublicKey) bool }).Equal(keyOf(t, state)) {
			t.Errorf("%s: certificate of another key", name)
		}
		if objects, sessions := chip.Loaded(); objects != 0 || sessions != 0 {
			t.Errorf("%s: left loaded: %d objects, %d sessions", name, objects, sessions)
		}
	}
}

// otherTemplate is a template of the RSA endorsement key with another attribute.
func otherTemplate() []byte {
	a := tpm2.RSAEKTemplate
	a.ObjectAttributes.NoDA = true
	return tpm2.Marshal(a)
}

// A noMessages transport sends no message to an attestation CA.
type noMessages struct{ http.RoundTripper }

func (n noMessages) RoundTrip(req *http.Request) (*http.Response, error) {
	if strings.Contains(req.URL.String(), "operation=PKIOperation") {
		return nil, errors.New("nothing is sent")
	}
	return n.RoundTripper.RoundTrip(req)
}

// A run that ended before the TPM was asked whether it has the assumed key is continued
// all the same; another TPM is still told apart.
func TestAssumedEKResumed(t *testing.T) {
	w := newWorld(t, nil)
	_, chip := newTPM(t, attesttest.Config{})
	_, foreign := newTPM(t, attesttest.Config{Seed: "foreign"})
	tpm := &attest.TPM{Transport: &swapped{chip, foreign}}
	w.admit(t, tpm)
	store := provision.FileStore(filepath.Join(t.TempDir(), "state"))
	failing := false
	run := func(tpm *attest.TPM) (*provision.State, error) {
		p := w.provisioner(tpm)
		p.Store = store
		p.Backoff = func(provision.Step, int, error) time.Duration { return -1 }
		if failing {
			p.HTTPClient = &http.Client{Transport: noMessages{w.Client().Transport}}
		}
		return p.Run(t.Context())
	}
	failing = true
	state, err := run(tpm)
	if err == nil || state.AIK == "" || len(state.AIKCertificates) > 0 {
		t.Fatalf("%v", err)
	}
	assumed := keyOf(t, state)
	failing = false
	another, _ := newTPM(t, attesttest.Config{Seed: "another"})
	if _, err := run(another); !errors.Is(err, provision.ErrState) {
		t.Errorf("another TPM: %v", err)
	}
	if state, err = run(tpm); err != nil {
		t.Fatalf("%v\nrefused: %q", err, w.Refusals())
	}
	checkEnrolled(t, w, state)
	if assumed.(interface{ Equal(crypto.PublicKey) bool }).Equal(keyOf(t, state)) {
		t.Error("the assumed key was used")
	}
}

// A stuck TPM answers nothing.
type stuck struct{ until <-chan struct{} }

func (s stuck) Send([]byte) ([]byte, error) {
	<-s.until
	return nil, errors.New("closed")
}

// A TPM that does not answer is why a run fails, and the error says so.
func TestTPMDoesNotAnswer(t *testing.T) {
	w := newWorld(t, nil)
	until := make(chan struct{})
	defer close(until)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	p := w.provisioner(&attest.TPM{Transport: stuck{until}})
	p.Steps = []provision.Step{provision.StepEK, provision.StepAIK} // no other step fails at the time limit
	_, err := p.Run(ctx)
	var e *provision.Error
	if !errors.As(err, &e) || e.Step != provision.StepEK || !errors.Is(err, attest.ErrNoAnswer) || !errors.Is(err, context.DeadlineExceeded) ||
		!strings.Contains(err.Error(), "TPM2_NV_ReadPublic: the TPM has not answered for 5 s") {
		t.Errorf("%v", err)
	}
}
