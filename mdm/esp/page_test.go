package esp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/esp"
	"github.com/whiteglove/whiteglove/mdm/internal/fixture"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
	"github.com/whiteglove/whiteglove/mdm/omadm"
)

const (
	pageRoot  = "./Device/Vendor/MSFT/DMClient/Provider/TestMDM/FirstSyncStatus/"
	userRoot  = "./User/Vendor/MSFT/DMClient/Provider/TestMDM/FirstSyncStatus/"
	trackRoot = "./Device/Vendor/MSFT/EnrollmentStatusTracking/"
	providers = trackRoot + "DevicePreparation/PolicyProviders/"
)

// A clock is moved by hand.
type clock struct{ time.Time }

func (c *clock) now() time.Time               { return c.Time }
func (c *clock) pass(d time.Duration)         { c.Time = c.Add(d) }
func set(t *omadm.Tree, pairs ...string) bool { return setAll(t, pairs) }

func setAll(t *omadm.Tree, pairs []string) bool {
	ok := true
	for i := 0; i < len(pairs); i += 2 {
		ok = t.Set(pairs[i], omadm.Value{Data: pairs[i+1]}) && ok
	}
	return ok
}

// newPage returns a page of which the server has said how long it may take.
func newPage(pairs ...string) (*esp.Page, *omadm.Tree, *clock) {
	c := &clock{time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)}
	tree := new(omadm.Tree)
	e := &esp.Page{Tree: tree, Provider: "TestMDM", Now: c.now}
	e.Watch()
	set(tree, pageRoot+"TimeOutUntilSyncFailure", "60")
	set(tree, pairs...)
	return e, tree, c
}

// lines are a report's steps as text.
func lines(r *esp.Report) []string {
	all := []string{string(r.State)}
	for _, c := range r.Categories {
		all = append(all, c.Title+": "+c.Text)
		for _, s := range c.Steps {
			all = append(all, "- "+s.Title+": "+s.Text)
		}
	}
	return all
}

func check(t *testing.T, r *esp.Report, want ...string) {
	t.Helper()
	if got := lines(r); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A pre-provisioning from its beginning to its end, as the page shows it.
func TestPage(t *testing.T) {
	c := &clock{time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)}
	tree := new(omadm.Tree)
	e := &esp.Page{Tree: tree, Provider: "TestMDM", Now: c.now}
	e.Watch()
	e.Begin(esp.Attestation)
	waiting := []string{
		"Device setup: Waiting on previous step", "- Security policies: Waiting on previous step", "- Certificates: Waiting on previous step",
		"- Network connections: Waiting on previous step", "- Apps: Waiting on previous step",
	}
	check(t, e.Report(), append([]string{
		"inProgress", "Device preparation: Working on it…", "- Securing your hardware: Working on it…",
		"- Preparing your device for mobile management: Waiting on previous step",
	}, waiting...)...)

	e.End(esp.Attestation, nil)
	e.Begin(esp.Join)
	e.End(esp.Join, nil)
	e.Begin(esp.Enrollment)
	e.End(esp.Enrollment, nil)
	set(
		tree, pageRoot+"TimeOutUntilSyncFailure", "60", pageRoot+"ExpectedPolicies", "./Vendor/MSFT/Policy/A\uF000./Vendor/MSFT/Policy/B%20B",
		pageRoot+"ExpectedSCEPCerts", "./Vendor/MSFT/ClientCertificateInstall/SCEP/x", pageRoot+"ExpectedMSIAppPackages",
		"./Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/%7B1%7D/Status;1", providers+"Agent/InstallationState", "1",
		providers+"Agent/TrackedResourceTypes/Apps", "true", "./Vendor/MSFT/Policy/A", "1",
	)
	check(t, e.Report(), append([]string{
		"inProgress", "Device preparation: Working on it…", "- Securing your hardware: Complete", "- Joining your organization's network: Complete",
		"- Registering your device for mobile management: Complete", "- Preparing your device for mobile management: Working on it…",
	}, waiting...)...)

	set(
		tree, providers+"Agent/InstallationState", "3", "./Vendor/MSFT/ClientCertificateInstall/SCEP/x/Status", "2",
		trackRoot+"Setup/Apps/Tracking/Agent/app1/InstallationState", "2", trackRoot+"Setup/Apps/Tracking/Agent/app2/InstallationState", "3",
	)
	c.pass(time.Minute)
	r := e.Report()
	check(
		t, r, "inProgress", "Device preparation: Complete", "- Securing your hardware: Complete", "- Joining your organization's network: Complete",
		"- Registering your device for mobile management: Complete", "- Preparing your device for mobile management: Complete",
		"Device setup: Working on it…", "- Security policies: 1 of 2 applied", "- Certificates: 0 of 1 applied",
		"- Network connections: Identifying", "- Apps: 1 of 3 installed",
	)
	if done, total := r.Progress(); done != 6 || total != 11 || !r.Deadline.Equal(c.Add(59*time.Minute)) || r.Skipped {
		t.Errorf("%d of %d until %v", done, total, r.Deadline)
	}
	if open := r.Categories[1].Steps[0].Open; !reflect.DeepEqual(open, []string{"./Vendor/MSFT/Policy/B%20B"}) {
		t.Errorf("open: %q", open)
	}

	set(
		tree, "./Vendor/MSFT/Policy/B%20B", "1", "./Vendor/MSFT/ClientCertificateInstall/SCEP/x/Status", "1",
		trackRoot+"Setup/Apps/Tracking/Agent/app1/InstallationState", "3", "./Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/%7B1%7D/Status", "70",
		pageRoot+"ServerHasFinishedProvisioning", "true",
	)
	if r := e.Report(); r.State != esp.InProgress {
		t.Error("over before the provider has said which apps it tracks")
	}
	set(tree, trackRoot+"Setup/Apps/PolicyProviders/Agent/TrackingPoliciesCreated", "true")
	r = e.Report()
	check(
		t, r, "succeeded", "Device preparation: Complete", "- Securing your hardware: Complete", "- Joining your organization's network: Complete",
		"- Registering your device for mobile management: Complete", "- Preparing your device for mobile management: Complete",
		"Device setup: Complete", "- Security policies: 2 of 2 applied", "- Certificates: 1 of 1 applied",
		"- Network connections: No setup needed", "- Apps: 3 of 3 installed",
	)
	outcome(t, tree, pageRoot, "true", "1")
	set(tree, trackRoot+"Setup/Apps/Tracking/Agent/app1/InstallationState", "4")
	if r := e.Report(); r.State != esp.Succeeded {
		t.Error("the outcome changed")
	}
	outcome(t, tree, pageRoot, "true", "1")
}

// outcome checks what the server is told.
func outcome(t *testing.T, tree *omadm.Tree, root, done, won string) {
	t.Helper()
	d, _ := tree.Get(root + "IsSyncDone")
	w, _ := tree.Get(root + "WasDeviceSuccessfullyProvisioned")
	if d.Data != done || w.Data != won {
		t.Errorf("IsSyncDone %q, WasDeviceSuccessfullyProvisioned %q", d.Data, w.Data)
	}
}

func TestPageFails(t *testing.T) {
	for _, test := range []struct {
		name string
		set  []string
		code uint32
	}{
		{"a provider", []string{providers + "A/InstallationState", "4", providers + "A/LastError", "-2147023436"}, 0x800705B4},
		{"a provider in hexadecimal", []string{providers + "A/InstallationState", "4", providers + "A/LastError", "0x81039001"}, 0x81039001},
		{"an app", []string{trackRoot + "Setup/Apps/Tracking/A/a/InstallationState", "4"}, 0},
		{"a package", []string{
			pageRoot + "ExpectedMSIAppPackages", "./Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/1/Status;1",
			"./Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/1/Status", "60",
		}, 0},
		{"a certificate", []string{
			pageRoot + "ExpectedSCEPCerts", "./Vendor/MSFT/CertificateStore/My/SCEP/c",
			"./Vendor/MSFT/CertificateStore/My/SCEP/c/Status", "16", "./Vendor/MSFT/CertificateStore/My/SCEP/c/ErrorCode", "-2146885628",
		}, 0x80092004},
		{"device preparation", []string{"./Vendor/MSFT/DevicePreparation/PageStatus", "4"}, 0},
	} {
		e, tree, _ := newPage(test.set...)
		if r := e.Report(); r.State != esp.Failed || r.Code != test.code {
			t.Errorf("%s: %s %#x, want %#x", test.name, r.State, r.Code, test.code)
		}
		outcome(t, tree, pageRoot, "true", "0")
	}
	e, _, _ := newPage()
	e.Begin(esp.Enrollment)
	e.End(esp.Enrollment, fmt.Errorf("enroll: %w", failing{errors.New("no")}))
	if r := e.Report(); r.Code != 0x80092004 || r.Categories[0].Steps[0].Text != "Failed (0x80092004)" {
		t.Errorf("%#x, %v", r.Code, lines(r))
	}
	e, _, _ = newPage()
	e.End(esp.Attestation, context.DeadlineExceeded)
	if r := e.Report(); r.Code != 0x800705B4 {
		t.Errorf("%#x", r.Code)
	}
}

// A failing error has a code.
type failing struct{ error }

func (failing) HRESULT() uint32 { return 0x80092004 }

// The deadlines: 7 minutes for the TPM, 15 or as set for a provider, and the
// page's own, of which servers write too much and too little.
func TestDeadlines(t *testing.T) {
	provider := providers + "A/InstallationState"
	for _, test := range []struct {
		name  string
		set   []string
		begin string
		after time.Duration
	}{
		{"attestation", nil, esp.Attestation, 7 * time.Minute},
		{"enrollment ends with the page", nil, esp.Enrollment, time.Hour},
		{"provider", []string{provider, "1"}, "", 15 * time.Minute},
		{"provider as set", []string{provider, "1", providers + "A/Timeout", "3"}, "", 3 * time.Minute},
		{"page", []string{pageRoot + "TimeOutUntilSyncFailure", "5"}, "", 5 * time.Minute},
		{"page in seconds", []string{pageRoot + "TimeOutUntilSyncFailure", "10800"}, "", 24 * time.Hour},
		{"page of nothing", []string{pageRoot + "TimeOutUntilSyncFailure", "0"}, "", time.Hour},
		{"page of rubbish", []string{pageRoot + "TimeOutUntilSyncFailure", "soon"}, "", time.Hour},
	} {
		e, tree, c := newPage(test.set...)
		if test.begin != "" {
			e.Begin(test.begin)
		}
		if r := e.Report(); r.State != esp.InProgress {
			t.Errorf("%s: %s at the start", test.name, r.State)
		}
		c.pass(test.after - time.Second)
		if r := e.Report(); r.State != esp.InProgress {
			t.Errorf("%s: %s too early", test.name, r.State)
		}
		outcome(t, tree, pageRoot, "", "")
		c.pass(time.Second)
		if r := e.Report(); r.State != esp.Failed || r.Code != 0x800705B4 {
			t.Errorf("%s: %s %#x at the deadline", test.name, r.State, r.Code)
		}
		outcome(t, tree, pageRoot, "true", "0")
	}
}

// Account setup waits for a user, and is left out if the server says so.
func TestAccountSetup(t *testing.T) {
	e, tree, _ := newPage(pageRoot+"ServerHasFinishedProvisioning", "true", pageRoot+"SkipUserStatusPage", "false")
	e.User = true
	if r := e.Report(); r.State != esp.InProgress || r.Categories[2].Text != "Waiting on previous step" {
		t.Errorf("%v", lines(r))
	}
	outcome(t, tree, pageRoot, "true", "1")
	tree.SetUserContext(true)
	set(tree, userRoot+"ExpectedPolicies", "./User/Vendor/MSFT/Policy/U")
	if r := e.Report(); r.State != esp.InProgress || r.Categories[2].Steps[0].Text != "0 of 1 applied" {
		t.Errorf("%v", lines(r))
	}
	set(tree, "./User/Vendor/MSFT/Policy/U", "1", userRoot+"ServerHasFinishedProvisioning", "true")
	if r := e.Report(); r.State != esp.Succeeded {
		t.Errorf("%v", lines(r))
	}
	outcome(t, tree, userRoot, "true", "1")

	e, _, _ = newPage(pageRoot+"ServerHasFinishedProvisioning", "true", pageRoot+"SkipUserStatusPage", "true")
	e.User = true
	if r := e.Report(); r.State != esp.Succeeded || len(r.Categories) != 2 {
		t.Errorf("%v", lines(r))
	}
}

func TestSettings(t *testing.T) {
	for block, want := range map[string][3]bool{
		"": {false, false, true}, "0": {false, false, true}, "7": {true, true, true}, "2": {false, true, false}, "true": {true, false, false},
	} {
		e, _, _ := newPage(pageRoot+"BlockInStatusPage", block, pageRoot+"CustomErrorText", "Call 1")
		r := e.Report()
		if got := [3]bool{r.MayReset, r.MayRetry, r.MayContinue}; got != want || r.Message != "Call 1" {
			t.Errorf("%q: %v, %q", block, got, r.Message)
		}
	}
	e, tree, _ := newPage()
	set(tree, "./Vendor/MSFT/DevicePreparation/PageStatus", "2", "./Vendor/MSFT/DevicePreparation/PageEnabled", "true",
		"./Vendor/MSFT/DevicePreparation/MdmAgentInstalled", "true", "./Vendor/MSFT/DevicePreparation/MDMProvider/Progress", "3")
	if got := e.Report().Preparation; got != (esp.DevicePreparation{Enabled: true, Status: "InProgress", AgentInstalled: true, Progress: "3"}) {
		t.Errorf("page %+v", got)
	}
	// A server without a page has nothing to wait for; lists may be nodes.
	e = &esp.Page{Tree: new(omadm.Tree), Provider: "TestMDM"}
	if r := e.Report(); r.State != esp.Succeeded || !r.Skipped {
		t.Errorf("no page: %+v", r)
	}
	outcome(t, e.Tree, pageRoot, "", "")
	e, tree, _ = newPage(pageRoot+"ExpectedPolicies/.%2FVendor%2FMSFT%2FPolicy%2FA", "", pageRoot+"ExpectedPolicies/Vendor/MSFT/Policy/B", "")
	set(tree, "./Vendor/MSFT/Policy/A", "1", "./Vendor/MSFT/Policy/B", "1")
	if s := e.Report().Categories[1].Steps[0]; s.Done != 2 || s.Total != 2 {
		t.Errorf("list of nodes: %+v", s)
	}
}

// The form in which Windows stores a category.
func TestCategoryJSON(t *testing.T) {
	e, _, _ := newPage(providers+"A/InstallationState", "3")
	got, err := json.Marshal(e.Report().Categories[0])
	want := `{"DevicePreparation.EspProviderInstallationSubcategory":{"subcategoryState":"succeeded","subcategoryStatusText":"Complete"},` +
		`"categoryState":"succeeded","categoryStatusText":"Complete"}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
}

// The page as a server drives it: a node that is true stays so, results are
// the device's, and the user's scope opens with the user.
func TestPageInSessions(t *testing.T) {
	m := fixture.Manage(t, fixture.Key(), mdmtest.SessionConfig{})
	e := &esp.Page{Tree: m.Session.Tree, Provider: "TestMDM"}
	e.Watch()
	m.Give(
		mdmtest.Page(map[string]string{"TimeOutUntilSyncFailure": "10800", "BlockInStatusPage": "7", "ServerHasFinishedProvisioning": "true"}),
		mdmtest.Write("Add", userRoot+"ServerHasFinishedProvisioning", "bool", "false"),
	)
	m.Run(t)
	if got := m.Status("Add", userRoot+"ServerHasFinishedProvisioning"); got != 405 {
		t.Errorf("user scope without a user: %d", got)
	}
	if r := e.Report(); r.State != esp.Succeeded {
		t.Errorf("%v", lines(r))
	}
	m.Session.Tree.SetUserContext(true)
	m.Give(
		mdmtest.Write("Replace", pageRoot+"ServerHasFinishedProvisioning", "bool", "false"),
		mdmtest.Write("Replace", pageRoot+"WasDeviceSuccessfullyProvisioned", "int", "0"),
		mdmtest.Write("Add", userRoot+"ServerHasFinishedProvisioning", "bool", "false"),
		mdmtest.Read(pageRoot+"IsSyncDone", pageRoot+"WasDeviceSuccessfullyProvisioned"),
	)
	m.Run(t)
	var got []string
	for _, r := range m.Server.Responses(fixture.Device)[5:] {
		text := fmt.Sprint(r.Status)
		if r.Result != nil {
			text += " " + r.Result.Data
		}
		got = append(got, text)
	}
	if want := []string{"405", "405", "200", "200 true", "200 1"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A server cannot keep the page busy with a long list; what is not looked for
// is not done.
func TestReportLongLists(t *testing.T) {
	list := strings.Repeat("./Vendor/MSFT/There\uF000", 150000)
	page, tree, _ := newPage(pageRoot+"ExpectedPolicies", list, "./Vendor/MSFT/There", "1", pageRoot+"ServerHasFinishedProvisioning", "true")
	for n := range 20000 {
		tree.Set(fmt.Sprintf(pageRoot+"ExpectedNetworkProfiles/Vendor/MSFT/%d", n), omadm.Value{})
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := page.Report()
	runtime.ReadMemStats(&after)
	for _, s := range r.Categories[1].Steps {
		if s.Name == "SecurityPolicies" && (s.Done != 10000 || s.Total != 150000) || s.Name == "NetworkProfiles" && (s.Done != 0 || s.Total != 20000) {
			t.Errorf("%s: %d of %d", s.Name, s.Done, s.Total)
		}
	}
	if used := after.TotalAlloc - before.TotalAlloc; r.State != esp.InProgress || used > 128<<20 {
		t.Errorf("%s, %d MiB are allocated", r.State, used>>20)
	}
}

// A report has nothing of the server's that a terminal obeys.
func TestReportPrintable(t *testing.T) {
	const bad = "\x1b[2J\u009b\u202eend\n"
	page, _, clock := newPage(pageRoot+"CustomErrorText", bad, "./Device/Vendor/MSFT/DevicePreparation/MDMProvider/Progress", bad, pageRoot+"ExpectedPolicies", bad,
		providers+"%1B%5B2J/InstallationState", "1")
	clock.pass(2 * time.Hour)
	r := page.Report()
	said := []string{r.Message, r.Preparation.Progress, r.Err().Error(), r.Err().(*mdm.Error).Message}
	for _, c := range r.Categories {
		for _, s := range c.Steps {
			said = append(said, append(s.Open, s.Text)...)
		}
	}
	for _, s := range said {
		if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q", s)
		}
	}
	if !strings.HasSuffix(r.Message, "end") || len(said) < 10 {
		t.Errorf("%q", said)
	}
}
