package provision_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
	"github.com/whiteglove/whiteglove/provision"
)

// A run proves its keys in the enrollment where the policy asks for that, by claims
// or by a report of Azure Attestation.
func TestEnrollAttested(t *testing.T) {
	for name, m := range map[string]*mdmtest.Server{
		"claims":       {RequireAttestation: true, ClaimsOnce: true},
		"asked for":    {Attestation: "RetryOnError", ClaimsOnce: true},
		"Azure":        {RequireAttestation: true, Azure: new(mdmtest.AttestationServer)},
		"old protocol": {RequireAttestation: true, Azure: new(mdmtest.AttestationServer), EnrollmentVersion: "5.0"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(w *world) { w.Management = m })
			tpm, _ := newTPM(t, attesttest.Config{})
			w.admit(t, tpm)
			p := w.provisioner(tpm)
			p.MDM = withVersion(p.MDM, "6.0")
			got := events(p)
			if _, err := p.Run(t.Context()); err != nil {
				t.Fatalf("%v\nrefused: %q", err, w.Refusals())
			}
			if n := len(w.Management.Enrolled()); n != 1 || strings.Contains(strings.Join(*got, " "), "warning") {
				t.Errorf("%d enrolled: %q", n, *got)
			}
		})
	}
}

// withVersion returns a copy of a client that offers a version of the protocol.
func withVersion(c *mdm.Client, version string) *mdm.Client {
	own := new(mdm.Client)
	if c != nil {
		*own = *c
	}
	own.RequestVersion = version
	return own
}

// A run without an attestation key says so, and enrolls nothing where the policy
// insists. Where it does not, the run warns and goes on.
func TestEnrollWithoutAIK(t *testing.T) {
	for behavior, want := range map[string]string{"FailOnError": "no attestation key", "IgnoreOnError": "", "RetryOnError": ""} {
		w := newWorld(t, func(w *world) { w.Management = &mdmtest.Server{Attestation: behavior, EnrollmentVersion: "7.0"} })
		tpm, _ := newTPM(t, attesttest.Config{})
		w.admit(t, tpm)
		p := w.provisioner(tpm)
		p.MDM = withVersion(p.MDM, "7.0")
		var warnings []string
		var run *provision.Run
		p.Do = map[provision.Step]func(context.Context, *provision.Run) (bool, error){
			provision.StepKeys: func(ctx context.Context, r *provision.Run) (bool, error) {
				var err, err2 error
				run = r
				r.DeviceKey, err = tpm.CreateKey(ctx, attest.Template{Algorithm: attest.RSA2048, Usage: attest.Sign})
				r.TransportKey, err2 = tpm.CreateKey(ctx, attest.Template{Algorithm: attest.RSA2048, Usage: attest.Decrypt})
				return false, errors.Join(err, err2)
			},
		}
		p.Observe = func(e provision.Event) {
			warnings = append(warnings, e.Warnings...)
			if e.Step == provision.StepJoin && e.Status == provision.Done {
				run.AIK = nil
			}
		}
		state, err := p.Run(t.Context())
		switch {
		case want == "" && (err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "no attestation key")):
			t.Errorf("%s: %v, %q, refused %q", behavior, err, warnings, w.Refusals())
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || len(state.ManagementCertificates) > 0):
			t.Errorf("%s: %v", behavior, err)
		}
	}
}

// A service that is busy is asked again, as the policy says, until that says it is
// enough.
func TestEnrollAttestationRetried(t *testing.T) {
	for _, c := range []struct {
		behavior string
		busy     int // how many requests are answered with 503
		refused  bool
		warned   bool
	}{
		{"RetryOnError", 2, false, false},
		{"RetryOnError", 99, false, true},
		{"IgnoreOnError", 1, false, true},
		{"FailOnError", 99, true, false},
	} {
		w := newWorld(t, func(w *world) {
			w.Management = &mdmtest.Server{Attestation: c.behavior, Azure: new(mdmtest.AttestationServer)}
		})
		tpm, _ := newTPM(t, attesttest.Config{})
		w.admit(t, tpm)
		p := w.provisioner(tpm)
		p.MDM = withVersion(p.MDM, "6.0")
		service := &busy{RoundTripper: p.HTTPClient.Transport, path: mdmtest.AttestationPath, left: c.busy}
		client := *p.HTTPClient
		client.Transport = service
		p.MDM.HTTPClient = &client
		asked := 0
		p.Backoff = func(_ provision.Step, n int, _ error) time.Duration {
			if asked++; n > 3 {
				return 0
			}
			return time.Millisecond
		}
		warned := false
		p.Observe = func(e provision.Event) { warned = warned || len(e.Warnings) > 0 }
		_, err := p.Run(t.Context())
		if (err != nil) != c.refused || warned != c.warned {
			t.Errorf("%s, busy %d times: %v, warned %v, refused %q", c.behavior, c.busy, err, warned, w.Refusals())
		}
		if c.behavior == "IgnoreOnError" && asked != 0 {
			t.Errorf("%s is tried again", c.behavior)
		}
	}
}
