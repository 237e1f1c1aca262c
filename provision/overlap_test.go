package provision_test

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/provision"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// gate holds requests whose URL has a part until what they wait for has
// happened.
type gate struct {
	http.RoundTripper
	part   string
	opened <-chan struct{}
	once   sync.Once
	passed chan struct{} // closed when the first request is there
}

func (g *gate) RoundTrip(req *http.Request) (*http.Response, error) {
	if strings.Contains(req.URL.String(), g.part) {
		g.once.Do(func() { close(g.passed) })
		select {
		case <-g.opened:
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
	}
	return g.RoundTripper.RoundTrip(req)
}

// The keys are made while the attestation CA is at work on the challenge: here
// it answers only when they are there. Where the endorsement key would have to
// be made again for that, they come after the last challenge.
func TestKeysBesideChallenge(t *testing.T) {
	w := newWorld(t, nil)
	tpm, _ := newTPM(t, attesttest.Config{})
	w.admit(t, tpm)
	p := w.provisioner(tpm)
	made := make(chan struct{})
	p.HTTPClient = &http.Client{Transport: &gate{
		RoundTripper: w.Client().Transport, part: "operation=PKIOperation", opened: made, passed: make(chan struct{}),
	}, Timeout: 30 * time.Second}
	p.Observe = func(ev provision.Event) {
		if ev.Step == provision.StepKeys && ev.Status == provision.Done {
			close(made)
		}
	}
	state, err := p.Run(t.Context())
	if err != nil {
		t.Fatalf("%v\nrefused: %q", err, w.Refusals())
	}
	checkEnrolled(t, w, state)

	_, chip := newTPM(t, attesttest.Config{Fresh: true, Seed: "another"})
	w.admit(t, &attest.TPM{Transport: chip})
	count := &stepCounter{TPM: chip}
	var last provision.Step
	p = w.provisioner(&attest.TPM{Transport: count})
	if _, err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	primaries := 0
	for _, c := range count.list {
		if c.step == provision.StepKeys && c.code == tpm2.TPMCCCreateLoaded && last != provision.StepKeys {
			if last != provision.StepToken {
				t.Errorf("keys are made after %s", last)
			}
		}
		if c.code == tpm2.TPMCCCreatePrimary {
			primaries++
		}
		last = c.step
	}
	if primaries != 2 {
		t.Errorf("%d primary keys were made", primaries)
	}
}

// Discovery is beside the TPM's work: its answer comes only when the
// endorsement key's certificate was read, and the run does not wait for it
// before.
func TestDiscoveryBesideTPM(t *testing.T) {
	w := newWorld(t, nil)
	tpm, _ := newTPM(t, attesttest.Config{})
	w.admit(t, tpm)
	p := w.provisioner(tpm)
	certified := make(chan struct{})
	g := &gate{RoundTripper: w.Client().Transport, part: "/Discover", opened: certified, passed: make(chan struct{})}
	p.HTTPClient = &http.Client{Transport: g, Timeout: 30 * time.Second}
	p.Observe = func(ev provision.Event) {
		if ev.Step == provision.StepAIK && ev.Status == provision.Done {
			select {
			case <-g.passed:
			default:
				t.Error("the tenant was not asked before the attestation key was certified")
			}
			close(certified)
		}
	}
	if _, err := p.Run(t.Context()); err != nil {
		t.Fatalf("%v\nrefused: %q", err, w.Refusals())
	}
}

// The management server is asked for its services while the device proves its TPM to the
// directory: here that gives a challenge only when the other has been asked.
func TestManagementDiscoveryBesideToken(t *testing.T) {
	w := newWorld(t, nil)
	tpm, _ := newTPM(t, attesttest.Config{})
	w.admit(t, tpm)
	p := w.provisioner(tpm)
	open := make(chan struct{})
	close(open)
	asked := &gate{RoundTripper: w.Client().Transport, part: provisiontest.DiscoveryPath, opened: open, passed: make(chan struct{})}
	p.HTTPClient = &http.Client{Timeout: 30 * time.Second, Transport: &gate{
		RoundTripper: asked, part: "/tpmchallenge/", opened: asked.passed, passed: make(chan struct{}),
	}}
	state, err := p.Run(t.Context())
	if err != nil {
		t.Fatalf("%v\nrefused: %q", err, w.Refusals())
	}
	checkEnrolled(t, w, state)
}

// A discovery that failed early is a failure of StepEnroll, whose next attempt asks again.
func TestManagementDiscoveryFailsEarly(t *testing.T) {
	w := newWorld(t, nil)
	tpm, _ := newTPM(t, attesttest.Config{})
	w.admit(t, tpm)
	p := w.provisioner(tpm)
	p.Backoff = func(provision.Step, int, error) time.Duration { return time.Millisecond }
	w.SetFaults(provisiontest.Fault{Step: provision.StepEnroll, Kind: "503", Requests: 1})
	got := events(p)
	if _, err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(strings.Join(*got, "\n"), "retrying enroll"); n != 1 {
		t.Errorf("%d retries; events %q", n, *got)
	}
}

// A step that fails stops the others, which say so, and nothing stays loaded.
func TestStopped(t *testing.T) {
	w := newWorld(t, nil)
	tpm, chip := newTPM(t, attesttest.Config{})
	w.admit(t, tpm)
	p := w.provisioner(tpm)
	p.Tenant = "nobody.test"
	asked := make(chan struct{})
	g := &gate{RoundTripper: w.Client().Transport, part: "/aik/", opened: make(chan struct{}), passed: asked}
	p.HTTPClient = &http.Client{Transport: waiting{g, asked}}
	got := events(p)
	_, err := p.Run(t.Context())
	if e, ok := err.(*provision.Error); !ok || e.Step != provision.StepDiscover {
		t.Errorf("error %v", err)
	}
	if !slices.Contains(*got, "failed discover") || !slices.Contains(*got, "stopped aik") {
		t.Errorf("events %q", *got)
	}
	if objects, sessions := chip.Loaded(); objects != 0 || sessions != 0 {
		t.Errorf("left loaded: %d objects, %d sessions", objects, sessions)
	}
}

// A request that still connects is stopped, too. Its error has the cause of the
// context.
func TestStoppedConnecting(t *testing.T) {
	w := newWorld(t, nil)
	tpm, _ := newTPM(t, attesttest.Config{})
	p := w.provisioner(tpm)
	p.EKCert.Roots = ekcert.Roots{"": x509.NewCertPool()}
	transport := w.Client().Transport.(*http.Transport).Clone()
	transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		select {
		case <-ctx.Done():
		case <-t.Context().Done():
		}
		return nil, errors.New("no connection")
	}
	p.HTTPClient = &http.Client{Transport: transport}
	got := events(p)
	_, err := p.Run(t.Context())
	if e, ok := err.(*provision.Error); !ok || e.Step != provision.StepEK {
		t.Errorf("error %v", err)
	}
	if !slices.Contains(*got, "failed ek") || !slices.Contains(*got, "stopped discover") {
		t.Errorf("events %q", *got)
	}
}

// waiting has discovery wait until another request is under way.
type waiting struct {
	http.RoundTripper
	until <-chan struct{}
}

func (w waiting) RoundTrip(req *http.Request) (*http.Response, error) {
	if strings.Contains(req.URL.Path, "/Discover") {
		<-w.until
	}
	return w.RoundTripper.RoundTrip(req)
}
