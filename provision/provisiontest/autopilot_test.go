package provisiontest_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/autopilot/autopilottest"
	"github.com/whiteglove/whiteglove/autopilot/graph"
	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/provision"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// startServer starts all parties; service may be nil.
func startServer(t *testing.T, service *autopilottest.Server) *provisiontest.Server {
	t.Helper()
	s := &provisiontest.Server{Autopilot: service}
	if err := s.Start(""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// hashedDevice returns a device that no directory knows, and its hardware hash.
func hashedDevice(t *testing.T) (*provisiontest.Device, *autopilot.Hash) {
	t.Helper()
	d, err := provisiontest.NewDevice(attesttest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	h, err := d.Hash(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return d, h
}

// provisioner returns a Provisioner that asks for the device's profile, and knows
// neither tenant nor steps.
func provisioner(s *provisiontest.Server, d *provisiontest.Device, h *autopilot.Hash) *provision.Provisioner {
	p := s.Provisioner(d)
	p.Tenant, p.Hash, p.Profile = "", h, s.ProfileClient(h)
	return p
}

// An imported hash makes a disabled object, which the device with that TPM enables,
// and no other. The profile gives tenant and steps.
func TestRegistered(t *testing.T) {
	s := startServer(t, nil)
	d, h := hashedDevice(t)
	if err := s.Register(t.Context(), h); err != nil {
		t.Fatal(err, s.Refusals())
	}
	objects := s.Directory.Objects()
	if len(objects) != 1 || objects[0].Enabled || objects[0].ZTDID != s.Autopilot.Devices()[0].ID || !slices.Contains(objects[0].PhysicalIDs, "[ZTDID]:"+objects[0].ZTDID) {
		t.Fatalf("%+v", objects)
	}
	plan, err := s.Graph().PlanCleanUp(t.Context(), h.Hardware().Serial)
	if err != nil || len(plan.Directory) != 1 || plan.Directory[0].Enabled || plan.Directory[0].DeviceID != objects[0].DeviceID {
		t.Errorf("%v, %v", plan, err)
	}

	// Another device has no chance: neither with this hash nor without one.
	other, _ := hashedDevice(t)
	asked := 0
	p := provisioner(s, other, h)
	inner := p.HTTPClient.Transport
	p.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) { asked++; return inner.RoundTrip(r) })}
	p.Profile.HTTPClient = p.HTTPClient
	_, err = p.Run(t.Context())
	var e *provision.Error
	diagnosis := diagnose.Explain(err)
	if !errors.As(err, &e) || e.Step != provision.StepProfile || !strings.Contains(err.Error(), "does not belong to this TPM") || asked != 0 ||
		diagnosis.HRESULT != 0x801C03EA || diagnosis.Remedy == "" || diagnosis.Retryable {
		t.Errorf("another device: %v after %d requests; %+v", err, asked, diagnosis)
	}
	if _, err := s.Provisioner(other).Run(t.Context()); err == nil {
		t.Error("another device without a hash joined")
	}
	if s.Directory.Objects()[0].Enabled {
		t.Fatal("another device enabled the object")
	}

	// The device itself.
	p = provisioner(s, d, h)
	p.Store = new(memory)
	var warnings []string
	var steps []provision.Step
	p.Observe = func(ev provision.Event) {
		warnings = append(warnings, ev.Warnings...)
		if ev.Status == provision.Done {
			steps = append(steps, ev.Step)
		}
	}
	state, err := p.Run(t.Context())
	if err != nil {
		t.Fatalf("%v\nrefused: %q", err, s.Refusals())
	}
	reg := s.Autopilot.Devices()[0]
	o := s.Directory.Objects()[0]
	if !o.Enabled && state.Sealed.IsZero() || state.DeviceID != reg.DirectoryID || state.ZTDID != reg.ID || state.Profile.RegistrationID != reg.ID ||
		state.Tenant != autopilottest.DefaultTenantID || !strings.HasPrefix(state.DeviceName, "MOCK-") || len(warnings) > 0 {
		t.Errorf("state %+v, object %+v, warnings %q", state, o, warnings)
	}
	if steps[0] != provision.StepProfile || !slices.Contains(steps, provision.StepSeal) || len(steps) != 10 {
		t.Errorf("steps %v", steps)
	}

	// A later run has the profile in its state, and asks nobody.
	s.Autopilot.DeleteProfile()
	var resumed []provision.Step
	p.Observe = func(ev provision.Event) {
		if ev.Status == provision.Resumed {
			resumed = append(resumed, ev.Step)
		}
	}
	again, err := p.Run(t.Context())
	if err != nil || again.DeviceName != state.DeviceName || !slices.Contains(resumed, provision.StepProfile) {
		t.Errorf("again: %v, resumed %v", err, resumed)
	}
}

// A stored profile is used by the TPM that it was downloaded for, and by no other.
func TestStoredProfile(t *testing.T) {
	s := startServer(t, nil)
	d, h := hashedDevice(t)
	other, otherHash := hashedDevice(t)
	for _, h := range []*autopilot.Hash{h, otherHash} {
		if err := s.Register(t.Context(), h); err != nil {
			t.Fatal(err, s.Refusals())
		}
	}
	asked := 0
	run := func(d *provisiontest.Device, h *autopilot.Hash, store provision.Store, fail bool) (*provision.State, error) {
		p := provisioner(s, d, h)
		p.Store, p.Steps = store, []provision.Step{provision.StepEK}
		ticket := p.Profile.Ticket
		p.Profile.Ticket = func(ctx context.Context) (string, error) { asked++; return ticket(ctx) }
		if fail {
			p.Do = map[provision.Step]func(context.Context, *provision.Run) (bool, error){
				provision.StepEK: func(context.Context, *provision.Run) (bool, error) { return false, errors.New("cut off") },
			}
		}
		return p.Run(t.Context())
	}
	store := new(memory)
	first, err := run(d, h, store, true)
	if err == nil || asked != 1 || first.Profile == nil || len(first.EKSHA256) > 0 {
		t.Fatalf("cut off: %v, %d requests, %+v", err, asked, first)
	}
	// The state does not tell yet whose it is, so that the profile is downloaded.
	second, err := run(other, otherHash, store, false)
	if err != nil || asked != 2 || second.Profile.RegistrationID == first.Profile.RegistrationID {
		t.Fatalf("another TPM: %v, %d requests", err, asked)
	}
	if _, err := run(other, otherHash, store, false); err != nil || asked != 2 {
		t.Errorf("again: %v, %d requests", err, asked)
	}
	_, err = run(d, h, store, false)
	if e, ok := errors.AsType[*provision.Error](err); !ok || e.Step != provision.StepProfile || !errors.Is(err, provision.ErrState) || asked != 2 {
		t.Errorf("the first TPM: %v, %d requests", err, asked)
	}
}

// The object is enabled while the device is joined.
func TestRegisteredEnabled(t *testing.T) {
	s := startServer(t, nil)
	d, h := hashedDevice(t)
	if err := s.Register(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	p := provisioner(s, d, h)
	p.Steps = []provision.Step{provision.StepEK, provision.StepAIK, provision.StepDiscover, provision.StepToken, provision.StepKeys, provision.StepJoin, provision.StepEnroll}
	if _, err := p.Run(t.Context()); err != nil {
		t.Fatal(err, s.Refusals())
	}
	if o := s.Directory.Objects(); len(o) != 1 || !o[0].Enabled || o[0].AttestationLevel != 3 || o[0].DisplayName[:5] != "MOCK-" {
		t.Errorf("%+v", o)
	}
}

// The profile decides which steps a run has.
func TestProfileDecides(t *testing.T) {
	technician, both := len(provision.Technician())+1, len(provision.Technician())+len(provision.UserPhase())+1
	for name, tt := range map[string]struct {
		profile autopilot.Profile
		user    bool
		steps   int
		words   string // in the error
	}{
		"user-driven":      {autopilot.Profile{Name: "x", ForcedEnrollment: true}, false, technician, ""},
		"with its user":    {autopilot.Profile{Name: "x", ForcedEnrollment: true}, true, both, ""},
		"self-deploying":   {autopilot.Profile{Name: "x", OOBEConfig: 32 + 64}, false, technician - 1, ""},
		"Active Directory": {autopilot.Profile{Name: "x", DomainJoin: 1}, false, 1, "Active Directory"},
		"unusable name":    {autopilot.Profile{Name: "x", DeviceName: "%NO%"}, false, technician, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t, &autopilottest.Server{Profile: &tt.profile})
			s.AddUser("ada@contoso.test", "secret")
			d, h := hashedDevice(t)
			if err := s.Register(t.Context(), h); err != nil {
				t.Fatal(err)
			}
			p := provisioner(s, d, h)
			if tt.user {
				p.User = s.User("ada@contoso.test")
			}
			done := 0
			var warnings []string
			p.Observe = func(ev provision.Event) {
				warnings = append(warnings, ev.Warnings...)
				if ev.Status == provision.Done {
					done++
				}
			}
			_, err := p.Run(t.Context())
			if (err != nil) != (tt.words != "") || err != nil && !strings.Contains(err.Error(), tt.words) || done != tt.steps {
				t.Errorf("%v after %d steps, want %d", err, done, tt.steps)
			}
			if named := strings.Contains(strings.Join(warnings, " "), "no name"); named != (name == "unusable name") {
				t.Errorf("warnings %q", warnings)
			}
		})
	}
}

// What goes wrong before the device is asked to prove anything.
func TestProfileFails(t *testing.T) {
	s := startServer(t, nil)
	d, h := hashedDevice(t)
	run := func(change func(*provision.Provisioner)) error {
		p := provisioner(s, d, h)
		change(p)
		_, err := p.Run(t.Context())
		return err
	}
	var e *autopilot.Error
	if err := run(func(*provision.Provisioner) {}); !errors.As(err, &e) || e.Code != 807 {
		t.Errorf("not registered: %v", err)
	}
	if err := s.Register(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		change func(*provision.Provisioner)
		words  string
	}{
		"no hash":      {func(p *provision.Provisioner) { p.Hash = nil }, "set Provisioner.Hash"},
		"other tenant": {func(p *provision.Provisioner) { p.Tenant = "99999999-9999-4999-8999-999999999999" }, "belongs to tenant"},
		"no tenant":    {func(p *provision.Provisioner) { p.Profile = nil }, "Provisioner.Tenant is not set"},
		"nothing": {func(p *provision.Provisioner) {
			p.Tenant, p.Hash, p.Profile, p.Steps = provisiontest.Tenant, nil, nil, []provision.Step{provision.StepProfile}
		}, "this step needs"},
	} {
		if err := run(tt.change); err == nil || !strings.Contains(err.Error(), tt.words) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Only the comparison is asked for.
	if err := run(func(p *provision.Provisioner) {
		p.Tenant, p.Profile, p.Steps = provisiontest.Tenant, nil, []provision.Step{provision.StepProfile}
	}); err != nil {
		t.Errorf("comparison: %v", err)
	}
	// A hash without a key cannot be compared.
	blind := autopilottest.Device{Serial: "S"}.Hash()
	warned := ""
	err := run(func(p *provision.Provisioner) {
		p.Tenant, p.Hash, p.Profile, p.Steps = provisiontest.Tenant, blind, nil, []provision.Step{provision.StepProfile}
		p.Observe = func(ev provision.Event) { warned += strings.Join(ev.Warnings, "") }
	})
	if err != nil || !strings.Contains(warned, "cannot tell") {
		t.Errorf("blind: %v, %q", err, warned)
	}
}

// A hash without an endorsement key is registered, and the failure shows only when
// the device proves its TPM.
func TestHashWithoutKey(t *testing.T) {
	s := startServer(t, nil)
	d, _ := hashedDevice(t)
	blind := autopilottest.Device{Serial: "S"}.Hash()
	if err := s.Register(t.Context(), blind); err != nil || len(s.Directory.Objects()) != 0 {
		t.Fatal(err, s.Directory.Objects())
	}
	_, err := provisioner(s, d, blind).Run(t.Context())
	var e *provision.Error
	if !errors.As(err, &e) || e.Step != provision.StepToken {
		t.Errorf("%v", err)
	}
}

// The second enrollment without a user is refused until it is unblocked.
func TestBlocked(t *testing.T) {
	s := startServer(t, nil)
	d, h := hashedDevice(t)
	if err := s.Register(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	id := s.Autopilot.Devices()[0].ID
	s.Autopilot.Block(id)
	_, err := provisioner(s, d, h).Run(t.Context())
	if diagnosis := diagnose.Explain(err); err == nil || diagnosis.HRESULT != 0x80180014 {
		t.Fatalf("%v: %+v", err, diagnosis)
	}
	if err := s.Graph().UnblockBeta(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if _, err := provisioner(s, d, h).Run(t.Context()); err != nil {
		t.Errorf("%v\nrefused %q", err, s.Refusals())
	}
}

// A device that joined before it was registered has an object already.
func TestRegisteredTooLate(t *testing.T) {
	s := startServer(t, nil)
	d, h := hashedDevice(t)
	if err := s.Admit(t.Context(), d.TPM); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Provisioner(d).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := s.Register(t.Context(), h)
	var e *graph.Error
	if !errors.As(err, &e) || diagnose.Explain(err).Protocol != "ZTD 814/ZtdDeviceAlreadyAadRegistered" {
		t.Errorf("%v", err)
	}
}

// roundTrip is a transport made of a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// memory is a store.
type memory struct{ state *provision.State }

func (m *memory) Load(context.Context) (*provision.State, error) {
	if m.state == nil {
		return nil, provision.ErrNoState
	}
	return m.state, nil
}

func (m *memory) Save(_ context.Context, s *provision.State) error {
	own := *s
	m.state = &own
	return nil
}
