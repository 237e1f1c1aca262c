package provision_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/drs/drstest"
	"github.com/whiteglove/whiteglove/provision"
)

// A silent transport records that a request was sent, and fails it.
type silent struct{ asked []string }

func (s *silent) RoundTrip(req *http.Request) (*http.Response, error) {
	s.asked = append(s.asked, req.URL.String())
	return nil, errors.New("nothing may be sent")
}

// Against the public service, a run without a token for the join says so before anything
// is sent.
func TestNoJoinToken(t *testing.T) {
	w := newWorld(t, nil)
	tpm, _ := newTPM(t, attesttest.Config{})
	p := w.provisioner(tpm)
	none := new(silent)
	p.DRS, p.HTTPClient, p.MutualTLS = nil, &http.Client{Transport: none}, nil
	_, err := p.Run(t.Context())
	var e *provision.Error
	if !errors.Is(err, provision.ErrNoJoinToken) || !errors.As(err, &e) || e.Step != provision.StepToken || !strings.Contains(err.Error(), "JoinToken") {
		t.Errorf("got %v", err)
	}
	if remedy := diagnose.Explain(err).Remedy; !strings.Contains(remedy, "device ticket") {
		t.Errorf("remedy %q", remedy)
	}
	if _, err := p.Plan(t.Context()); !errors.Is(err, provision.ErrNoJoinToken) {
		t.Errorf("plan: %v", err)
	}
	if len(none.asked) != 0 {
		t.Errorf("sent %q", none.asked)
	}
	p.JoinToken = &drs.DeviceToken{Token: "ticket"}
	if _, err := p.Plan(t.Context()); err != nil {
		t.Errorf("with a ticket: %v", err)
	}
}

// A directory without TPM challenges gets no more than the discovery.
func TestNoChallengeInDiscovery(t *testing.T) {
	w := newWorld(t, func(w *world) { w.Directory.Public = true })
	tpm, _ := newTPM(t, attesttest.Config{})
	p := w.provisioner(tpm)
	_, err := p.Run(t.Context())
	if !errors.Is(err, provision.ErrNoJoinToken) || !errors.Is(err, drs.ErrNoChallenge) {
		t.Errorf("got %v", err)
	}
	if n := len(w.Directory.Refusals()); n != 0 {
		t.Errorf("refused %q", w.Directory.Refusals())
	}
}

// Both phases at a directory that behaves as the public service, with a device ticket: no
// attestation and no nonce is sent, and the device stays the same.
func TestPublicService(t *testing.T) {
	w := newWorld(t, func(w *world) {
		setup(w)
		w.Directory.Public = true
	})
	tpm, _ := newTPM(t, attesttest.Config{})
	w.admit(t, tpm)
	ticket, err := w.Directory.IssueTicket(imported(t, w))
	if err != nil {
		t.Fatal(err)
	}
	p := w.provisioner(tpm)
	p.Setup.Pause = 1
	p.JoinToken, p.User, p.Steps = ticket, w.user(), slices.Concat(provision.Technician(), provision.UserPhase())
	state, err := p.Run(t.Context())
	if err != nil {
		t.Fatalf("%v\nrefused: %q", err, w.Refusals())
	}
	if state.User.DeviceID != state.DeviceID || len(w.Directory.Refusals()) != 0 {
		t.Errorf("device %s, then %s; refused %q", state.DeviceID, state.User.DeviceID, w.Directory.Refusals())
	}
}

// A onceValid source returns a ticket that has expired when it is asked for again.
type onceValid struct {
	ticket drs.DeviceToken
	asked  int
}

func (o *onceValid) JoinToken(context.Context, *drs.Discovery) (*drs.DeviceToken, error) {
	t := o.ticket
	if o.asked++; o.asked > 1 {
		t.Expires = time.Now().Add(-time.Hour)
	}
	return &t, nil
}

// Without a valid ticket, a user's plain join succeeds. The directory does not know the device
// again, and the run says so.
func TestPlainUserJoin(t *testing.T) {
	w := newWorld(t, func(w *world) {
		setup(w)
		w.Directory.Public = true
	})
	tpm, _ := newTPM(t, attesttest.Config{})
	w.admit(t, tpm)
	ticket, err := w.Directory.IssueTicket(imported(t, w))
	if err != nil {
		t.Fatal(err)
	}
	p := w.provisioner(tpm)
	p.Setup.Pause = 1
	p.User, p.Steps = w.user(), slices.Concat(provision.Technician(), provision.UserPhase())
	p.JoinToken = &onceValid{ticket: *ticket}
	var warnings []string
	p.Observe = func(ev provision.Event) { warnings = append(warnings, ev.Warnings...) }
	state, err := p.Run(t.Context())
	if err != nil {
		t.Fatalf("%v\nrefused: %q", err, w.Refusals())
	}
	if state.User.DeviceID == "" || state.User.DeviceID == state.DeviceID || !slices.ContainsFunc(warnings, func(s string) bool { return strings.Contains(s, "did not recognize") }) {
		t.Errorf("device %s, then %s; warnings %q", state.DeviceID, state.User.DeviceID, warnings)
	}
}

// A refused nonce does not end a user's join: it goes on without an attestation.
func TestRefusedNonce(t *testing.T) {
	deny := false
	w := newWorld(t, func(w *world) {
		setup(w)
		w.Directory.Fail = func(op string, rw http.ResponseWriter) bool {
			if !deny || op != "Nonce" {
				return false
			}
			rw.WriteHeader(http.StatusUnauthorized)
			return true
		}
	})
	tpm, _ := newTPM(t, attesttest.Config{})
	w.admit(t, tpm)
	p := w.provisioner(tpm)
	p.Setup.Pause = 1
	p.User, p.Steps = w.user(), slices.Concat(provision.Technician(), provision.UserPhase())
	deny = true
	var warnings []string
	p.Observe = func(ev provision.Event) { warnings = append(warnings, ev.Warnings...) }
	state, err := p.Run(t.Context())
	if err != nil || len(state.User.DeviceCertificate) == 0 {
		t.Fatalf("%v\nrefused: %q", err, w.Refusals())
	}
	if !slices.ContainsFunc(warnings, func(s string) bool { return strings.Contains(s, "gives no nonce") }) {
		t.Errorf("warnings %q", warnings)
	}
}

// imported returns the ZTDID of a device that was imported.
func imported(t *testing.T, w *world) string {
	t.Helper()
	i := slices.IndexFunc(w.Directory.Objects(), func(o drstest.Object) bool { return o.ZTDID != "" })
	if i < 0 {
		t.Fatal("no device was imported")
	}
	return w.Directory.Objects()[i].ZTDID
}
