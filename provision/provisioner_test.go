package provision_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/provision"
)

// events collects "status step" of a run, in the order of the steps' ends.
func events(p *provision.Provisioner) *[]string {
	list := new([]string)
	p.Observe = func(ev provision.Event) {
		if ev.Status != provision.Started {
			*list = append(*list, fmt.Sprintf("%s %s", ev.Status, ev.Step))
		}
	}
	return list
}

var allDone = []string{"done ek", "done aik", "done discover", "done token", "done keys", "done join", "done enroll"}

// steps returns the steps of events.
func steps(events []string) []provision.Step {
	var list []provision.Step
	for _, ev := range events {
		_, step, _ := strings.Cut(ev, " ")
		list = append(list, provision.Step(step))
	}
	return list
}

func TestRun(t *testing.T) {
	for name, config := range map[string]attesttest.Config{
		"as Windows leaves it": {},
		"fresh":                {Fresh: true},
		"without certificate":  {NoCertificate: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			tpm, chip := newTPM(t, config)
			w.admit(t, tpm)
			p := w.provisioner(tpm)
			got := events(p)
			state, err := p.Run(t.Context())
			if err != nil {
				t.Fatalf("%v\nrefused: %q", err, w.Refusals())
			}
			if slices.Sort(*got); !slices.Equal(*got, slices.Sorted(slices.Values(allDone))) {
				t.Errorf("events %q", *got)
			}
			if r := w.Refusals(); len(r) > 0 {
				t.Errorf("refused: %q", r)
			}
			if objects, sessions := chip.Loaded(); objects != 0 || sessions != 0 {
				t.Errorf("left loaded: %d objects, %d sessions", objects, sessions)
			}
			checkEnrolled(t, w, state)
		})
	}
}

// checkEnrolled checks that directory and management server know the device,
// once, and that its certificates lead to their roots.
func checkEnrolled(t *testing.T, w *world, state *provision.State) {
	t.Helper()
	enabled := 0
	for _, o := range w.Directory.Objects() {
		if !o.Enabled {
			continue
		}
		enabled++
		if o.DeviceID != state.DeviceID {
			t.Errorf("enabled is device %s, joined %s", o.DeviceID, state.DeviceID)
		}
	}
	if n := len(w.Management.Enrolled()); enabled != 1 || n != 1 {
		t.Errorf("%d devices enabled, %d enrolled", enabled, n)
	}
	for _, c := range []struct {
		name  string
		chain [][]byte
		roots *x509.CertPool
	}{
		{"device", [][]byte{state.DeviceCertificate}, w.Directory.Roots()},
		{"management", state.ManagementCertificates, w.Management.Roots()},
	} {
		cert, err := x509.ParseCertificate(c.chain[0])
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		for _, der := range c.chain[1:] {
			issuer, err := x509.ParseCertificate(der)
			if err != nil {
				t.Fatal(err)
			}
			pool.AddCert(issuer)
		}
		_, err = cert.Verify(x509.VerifyOptions{Roots: c.roots, Intermediates: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
		if err != nil {
			t.Errorf("%s certificate: %v", c.name, err)
		}
	}
}

func TestRunOnP384(t *testing.T) {
	w := newWorld(t, nil)
	tpm, _ := newTPM(t, attesttest.Config{})
	w.admit(t, tpm)
	p := w.provisioner(tpm)
	p.SelectEK = func(ek *attest.EK) bool { return ek.CertificateIndex == 0x01C00016 }
	p.EnrollEK = true // the emulator has no certificate for it
	state, err := p.Run(t.Context())
	if err != nil {
		t.Fatalf("%v\nrefused: %q", err, w.Refusals())
	}
	checkEnrolled(t, w, state)
}

func TestRunOnSWTPM(t *testing.T) {
	chip, err := attesttest.StartSWTPM(t.TempDir())
	if errors.Is(err, attesttest.ErrNoSWTPM) && os.Getenv("WHITEGLOVE_REQUIRE_SWTPM") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer chip.Close()
	w := newWorld(t, nil)
	tpm := &attest.TPM{Transport: chip}
	w.admit(t, tpm)
	state, err := w.provisioner(tpm).Run(t.Context())
	if err != nil {
		t.Fatalf("%v\nrefused: %q", err, w.Refusals())
	}
	checkEnrolled(t, w, state)
}

// A run that is cut off after any step is finished by the next one, after a
// reboot, with one device object and one enrollment.
func TestResume(t *testing.T) {
	for i, last := range allDone {
		t.Run(last, func(t *testing.T) {
			w := newWorld(t, nil)
			tpm, chip := newTPM(t, attesttest.Config{})
			w.admit(t, tpm)
			p := w.provisioner(tpm)
			p.Store = provision.FileStore(filepath.Join(t.TempDir(), "state"))
			ctx, cancel := context.WithCancel(t.Context())
			p.Observe = func(ev provision.Event) {
				if "done "+string(ev.Step) == last && ev.Status == provision.Done {
					cancel()
				}
			}
			if _, err := p.Run(ctx); i < len(allDone)-1 && !errors.Is(err, context.Canceled) {
				t.Fatalf("cut off after %s: %v", last, err)
			}
			if err := chip.Reboot(); err != nil {
				t.Fatal(err)
			}
			got := events(p)
			state, err := p.Run(t.Context())
			if err != nil {
				t.Fatalf("%v\nrefused: %q", err, w.Refusals())
			}
			if !slices.Contains(*got, "resumed "+strings.TrimPrefix(last, "done ")) && last != "done discover" && last != "done token" {
				t.Errorf("events %q", *got)
			}
			checkEnrolled(t, w, state)
		})
	}
}

func TestForeignState(t *testing.T) {
	w := newWorld(t, nil)
	tpm, chip := newTPM(t, attesttest.Config{})
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
	p.Tenant = "other.test"
	if _, err := p.Run(t.Context()); !errors.Is(err, provision.ErrState) {
		t.Errorf("other tenant: %v", err)
	}
	p.Tenant = "contoso.test"
	if err := chip.Replace(); err != nil {
		t.Fatal(err)
	}
	_, err = p.Run(t.Context())
	var e *provision.Error
	if !errors.Is(err, provision.ErrState) || !errors.As(err, &e) || e.Step != provision.StepEK || e.Remedy() == "" {
		t.Errorf("other TPM: %v", err)
	}
	if after, err := os.ReadFile(file); err != nil || string(after) != string(before) {
		t.Error("the refused state was changed")
	}
}

// No token, no nonce and no key in the clear is in a stored state.
func TestStateHoldsNoSecret(t *testing.T) {
	w := newWorld(t, nil)
	tpm, _ := newTPM(t, attesttest.Config{})
	w.admit(t, tpm)
	p := w.provisioner(tpm)
	file := filepath.Join(t.TempDir(), "state")
	p.Store = provision.FileStore(file)
	if _, err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"eyJhbGciOi", "eyJ0eXAiOi", "Bearer", "BEGIN RSA", "BEGIN EC", "BEGIN PRIVATE KEY"} {
		if strings.Contains(string(text), bad) {
			t.Errorf("the state holds %q", bad)
		}
	}
	if n := strings.Count(string(text), "BEGIN TSS2 PRIVATE KEY"); n != 4 {
		t.Errorf("%d wrapped keys, want 4", n)
	}
}
