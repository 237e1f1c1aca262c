package provision_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/drs/drstest"
	"github.com/whiteglove/whiteglove/mdm/esp"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
	"github.com/whiteglove/whiteglove/mdm/omadm"
	"github.com/whiteglove/whiteglove/provision"
	"github.com/whiteglove/whiteglove/trace"
)

const userName, userPassword = "ada@contoso.test", "correct horse"

// user returns a user whose sign-in page is the directory's token endpoint.
func (w *world) user() *provision.User {
	w.AddUser(userName, userPassword)
	return w.User(userName)
}

// setup has the management server set a device up in two sessions.
func setup(w *world) {
	const page = "./Vendor/MSFT/DMClient/Provider/TestMDM/FirstSyncStatus/"
	set := func(uri, format, data string) mdmtest.Command {
		return mdmtest.Command{Verb: "Replace", Items: []mdmtest.Item{{Target: uri, Format: format, Data: data}}}
	}
	w.Management.Session.Commands = []mdmtest.Command{
		set(page+"ExpectedPolicies", "chr", "./Vendor/MSFT/Policy/Config/Camera/AllowCamera"),
		set("./Vendor/MSFT/Policy/Config/Camera/AllowCamera", "int", "0"),
		set("./DevDetail/SwV", "chr", "0"), // fails
	}
	asked := 0
	w.Management.Session.Next = func(string, []mdmtest.Response) []mdmtest.Command {
		if asked++; asked == 2 { // in the second session
			return []mdmtest.Command{set(page+"ServerHasFinishedProvisioning", "bool", "true")}
		}
		return nil
	}
}

// The whole life: the technician's phase, a reboot, the user's phase, which is
// of the same device.
func TestTechnicianThenUser(t *testing.T) {
	w := newWorld(t, setup)
	tpm, chip := newTPM(t, attesttest.Config{})
	w.admit(t, tpm)
	p := w.provisioner(tpm)
	file := filepath.Join(t.TempDir(), "state")
	p.Store, p.Steps, p.Setup.Pause = provision.FileStore(file), provision.Technician(), time.Millisecond
	var pages []esp.State
	p.Setup.Progress = func(r *esp.Report) { pages = append(pages, r.State) }
	var failed []string
	p.Observe = func(ev provision.Event) { failed = append(failed, ev.Warnings...) }
	state, err := p.Run(t.Context())
	if err != nil {
		t.Fatalf("%v\nrefused: %q", err, w.Refusals())
	}
	if !slices.Equal(pages, []esp.State{esp.InProgress, esp.Succeeded}) || state.SetUp.IsZero() || state.Sealed.IsZero() {
		t.Fatalf("pages %q, set up %v, sealed %v", pages, state.SetUp, state.Sealed)
	}
	if !slices.ContainsFunc(failed, func(s string) bool { return strings.HasSuffix(s, "failed: Replace ./DevDetail/SwV: status 405") }) {
		t.Errorf("warnings %q", failed)
	}
	for _, o := range w.Directory.Objects() {
		if o.Enabled {
			t.Error("a sealed device is enabled")
		}
	}
	if err := chip.Reboot(); err != nil {
		t.Fatal(err)
	}
	p = w.provisioner(tpm)
	p.Store, p.Steps, p.User = provision.FileStore(file), provision.UserPhase(), w.user()
	p.Now = func() time.Time { return time.Now().Add(time.Minute) }
	var warnings []string
	p.Observe = func(ev provision.Event) { warnings = append(warnings, ev.Warnings...) }
	for range 2 { // the second finds everything done
		after, err := p.Run(t.Context())
		if err != nil {
			t.Fatalf("%v\nrefused: %q", err, w.Refusals())
		}
		if after.User == nil || after.DeviceID != state.DeviceID || len(after.User.Session) == 0 {
			t.Fatalf("state %+v", after)
		}
		text, err := os.ReadFile(file)
		if err != nil || strings.Contains(string(text), userPassword) || strings.Contains(string(text), "eyJhbGciOi") || strings.Contains(string(text), "eyJ0eXAiOi") {
			t.Errorf("the state holds a secret, or %v", err)
		}
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "left alone until") {
		t.Errorf("warnings %q", warnings)
	}
	i := slices.IndexFunc(w.Directory.Objects(), func(o drstest.Object) bool { return o.Enabled })
	if i < 0 || w.Directory.Objects()[i].DeviceID != state.DeviceID {
		t.Errorf("objects %+v", w.Directory.Objects())
	}
	p.User = w.User("eve@contoso.test")
	if _, err := p.Run(t.Context()); !errors.Is(err, provision.ErrState) {
		t.Errorf("another user: %v", err)
	}
}

// A user whom the directory does not know leaves the device to another, with the same keys.
func TestMistypedUser(t *testing.T) {
	w := newWorld(t, nil)
	tpm, _ := newTPM(t, attesttest.Config{})
	w.admit(t, tpm)
	file := filepath.Join(t.TempDir(), "state")
	p := w.provisioner(tpm)
	p.Store, p.Steps = provision.FileStore(file), provision.Technician()
	if _, err := p.Run(t.Context()); err != nil {
		t.Fatalf("%v\nrefused: %q", err, w.Refusals())
	}
	known := w.user()
	p = w.provisioner(tpm)
	p.Store, p.Steps, p.User = provision.FileStore(file), provision.UserPhase(), w.User("aad@contoso.test")
	before, err := p.Run(t.Context())
	if err == nil || errors.Is(err, provision.ErrState) || before.User == nil || before.User.DeviceKey == "" {
		t.Fatalf("mistyped: %v, %+v", err, before)
	}
	p.User = known
	after, err := p.Run(t.Context())
	if err != nil {
		t.Fatalf("%v\nrefused: %q", err, w.Refusals())
	}
	if after.User.Name != userName || after.User.DeviceKey != before.User.DeviceKey || after.User.TransportKey != before.User.TransportKey || len(after.User.Session) == 0 {
		t.Errorf("%+v, before %+v", after.User, before.User)
	}
	p.User = w.User("eve@contoso.test")
	if _, err := p.Run(t.Context()); !errors.Is(err, provision.ErrState) {
		t.Errorf("another user of a device that was joined: %v", err)
	}
}

func TestWindow(t *testing.T) {
	sealed := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	from, until := (&provision.State{Sealed: sealed}).Window()
	if from.Sub(sealed) != 90*time.Minute || !until.Equal(time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)) {
		t.Errorf("from %v until %v", from, until)
	}
	if from, until := new(provision.State).Window(); !from.IsZero() || !until.IsZero() {
		t.Error("a device that was not sealed has a window")
	}
}

// A session that was cut off goes on with what the device already has, also if
// the process ended.
func TestSetUpResumed(t *testing.T) {
	w := newWorld(t, setup)
	tpm, _ := newTPM(t, attesttest.Config{})
	w.admit(t, tpm)
	p := w.provisioner(tpm)
	file := filepath.Join(t.TempDir(), "state")
	p.Store, p.Setup.Pause = provision.FileStore(file), time.Hour
	p.Steps = []provision.Step{provision.StepEK, provision.StepAIK, provision.StepKeys, provision.StepJoin, provision.StepEnroll, provision.StepSession}
	ctx, cancel := context.WithCancel(t.Context())
	p.Setup.Progress = func(*esp.Report) { cancel() } // after the first session
	if _, err := p.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	p = w.provisioner(tpm)
	p.Store, p.Steps, p.Setup.Tree = provision.FileStore(file), []provision.Step{provision.StepSession}, new(omadm.Tree)
	state, err := p.Run(t.Context())
	if err != nil || state.SetUp.IsZero() {
		t.Fatalf("%v\nrefused: %q", err, w.Refusals())
	}
	if v, ok := p.Setup.Tree.Get("./Vendor/MSFT/Policy/Config/Camera/AllowCamera"); !ok || v.Data != "0" {
		t.Errorf("what the first session set is %+v, %v", v, ok)
	}
	if text, err := os.ReadFile(file); err != nil || strings.Contains(string(text), "AllowCamera") {
		t.Errorf("the state tells of policies, or %v", err)
	}
}

// A page that ends in failure fails the step with its code.
func TestSetUpFails(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.Management.Session.Commands = []mdmtest.Command{{Verb: "Replace", Items: []mdmtest.Item{{
			Target: "./Vendor/MSFT/DMClient/Provider/TestMDM/FirstSyncStatus/TimeOutUntilSyncFailure", Format: "int", Data: "1",
		}}}}
	})
	tpm, _ := newTPM(t, attesttest.Config{})
	w.admit(t, tpm)
	p := w.provisioner(tpm)
	p.Steps, p.Setup.Pause = provision.Technician(), time.Millisecond
	late := false
	p.Setup.Progress = func(*esp.Report) { late = true }
	p.Now = func() time.Time {
		if late {
			return time.Now().Add(2 * time.Hour)
		}
		return time.Now()
	}
	_, err := p.Run(t.Context())
	d := diagnose.Explain(err)
	if d.Step != string(provision.StepSession) || d.Op != "Setup" || d.HRESULT != 0x800705B4 || d.Remedy == "" {
		t.Errorf("%v: %+v", err, d)
	}
}

// A Transport of one's own shows the device's certificates by MutualTLS.
func TestMutualTLS(t *testing.T) {
	w := newWorld(t, setup)
	tpm, _ := newTPM(t, attesttest.Config{})
	w.admit(t, tpm)
	p := w.provisioner(tpm)
	var trace trace.Trace
	p.HTTPClient = trace.HTTP(w.Client())
	made := 0
	p.MutualTLS = func(config *tls.Config) http.RoundTripper {
		made++
		config.RootCAs = w.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
		return &http.Transport{TLSClientConfig: config}
	}
	p.Steps, p.Setup.Pause = provision.Technician(), time.Millisecond
	if _, err := p.Run(t.Context()); err != nil || made != 2 {
		t.Fatalf("%d transports, %v\nrefused: %q", made, err, w.Refusals())
	}
}
