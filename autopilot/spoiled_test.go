package autopilot_test

import (
	"encoding/base64"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/autopilot/autopilottest"
)

// Lines that programs put before the header: Export-Csv of PowerShell 5.1 its type,
// Excel its separator.
func TestPreamble(t *testing.T) {
	quoted := `"` + strings.ReplaceAll(intune, ",", `","`) + `"`
	for name, tt := range map[string]struct{ file, findings string }{
		"PowerShell": {"#TYPE System.Management.Automation.PSCustomObject\r\n" + quoted + "\r\n" + `"S1","","HASH"` + "\r\n", "preamble quotes"},
		"selected":   {"\ufeff#TYPE Selected.System.Object\r\n" + intune + "\r\nS1,,HASH\r\n", "byte-order-mark preamble"},
		"Excel":      {"sep=;\r\n" + strings.ReplaceAll(intune, ",", ";") + "\r\nS1;;HASH\r\n", "preamble separator"},
		"both marks": {"SEP=,\r\n" + intune + "\r\nS1,,HASH\r\n", "preamble"},
	} {
		s, err := autopilot.ReadCSV(strings.NewReader(tt.file))
		if err != nil || s.Format != autopilot.Intune || len(s.Rows) != 1 || s.Rows[0].Serial != "S1" || s.Rows[0].Hash != "HASH" || s.Rows[0].Line != 3 || ids(s.Findings) != tt.findings {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
	if s, err := autopilot.ReadCSV(strings.NewReader("#TYPE a\r\n#TYPE b\r\n")); !errors.Is(err, autopilot.ErrMalformed) {
		t.Errorf("%+v, %v", s, err)
	}
}

// A file of hashes without a header is not one of corporate identifiers: the hash
// would be taken for the serial number.
func TestHashesWithoutHeader(t *testing.T) {
	hash := autopilottest.Device{Serial: "S1"}.Text()
	for name, tt := range map[string]struct {
		file     string
		rows     int
		findings string
	}{
		"serial":     {"S1,," + hash + "\r\nS2,," + hash + "\r\n", 2, "header"},
		"product ID": {"S1,1234567890123," + hash + "\r\n", 1, "header"},
		"tag":        {"S1,," + hash + ",Tag\r\n", 1, "header"},
		"damaged":    {"S1,," + hash[:2000] + "?" + "\r\n", 1, "header"},
	} {
		s, err := autopilot.ReadCSV(strings.NewReader(tt.file))
		if err != nil || s.Format != autopilot.Intune || len(s.Rows) != tt.rows || s.Rows[0].Serial != "S1" || len(s.Rows[0].Hash) < 2000 || ids(s.Findings) != tt.findings {
			t.Errorf("%s: %v, %v", name, s.Findings, err)
		}
		if name == "tag" && s.Rows[0].GroupTag != "Tag" {
			t.Errorf("%s: %+v", name, s.Rows[0].GroupTag)
		}
	}
}

// What a file may hold is bounded also where it holds nothing: lines and fields
// without text cost memory, too.
func TestReadCSVMany(t *testing.T) {
	for name, file := range map[string]string{
		"blank lines": intune + "\n" + strings.Repeat("\n", 8<<20),
		"old ends":    intune + "\r" + strings.Repeat("\r", 8<<20),
		"short lines": intune + "\n" + strings.Repeat("a\n", 4<<20),
		"columns":     intune + strings.Repeat(",", 8<<20) + "\n",
		"fields":      intune + "\nS1" + strings.Repeat(",", 8<<20) + "\n",
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		begin := time.Now()
		s, err := autopilot.ReadCSV(strings.NewReader(file))
		runtime.ReadMemStats(&after)
		if !errors.Is(err, autopilot.ErrMalformed) || s != nil {
			t.Errorf("%s: %v", name, err)
		}
		if mb := (after.TotalAlloc - before.TotalAlloc) >> 20; mb > 300 {
			t.Errorf("%s: %d MB, %v", name, mb, time.Since(begin))
		}
	}
}

// Of two rows of a device nothing is lost that only one of them has.
func TestMergeKeepsFields(t *testing.T) {
	d := autopilottest.Device{EK: key("1"), Serial: "S1"}
	later := d
	later.Taken = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	tagged := autopilot.Row{Serial: "S1", Hash: d.Text(), GroupTag: "Front desk", User: "a@contoso.test", ProductKeyID: "1234567890123", Manufacturer: "Mock", Model: "Book"}
	fresh := autopilot.Row{Serial: "S1", Hash: later.Text()}
	for name, rows := range map[string][]autopilot.Row{"fresh last": {tagged, fresh}, "fresh first": {fresh, tagged}} {
		m := autopilot.Merge(&autopilot.Sheet{Format: autopilot.Intune, Rows: rows})
		want := tagged
		want.Hash, want.Line = later.Text(), 2
		if len(m.Rows) != 1 || m.Rows[0] != want {
			t.Errorf("%s: %+v", name, m.Rows)
		}
	}
	// What both have is of the row that is kept.
	other := autopilot.Row{Serial: "S1", Hash: later.Text(), GroupTag: "Back office"}
	if m := autopilot.Merge(&autopilot.Sheet{Rows: []autopilot.Row{tagged, other}}); m.Rows[0].GroupTag != "Back office" || m.Rows[0].User != "a@contoso.test" {
		t.Errorf("%+v", m.Rows)
	}
}

// A hash whose base64 was encoded once more says so.
func TestDoubleBase64(t *testing.T) {
	twice := base64.StdEncoding.EncodeToString([]byte(autopilottest.Device{}.Text()))
	if _, err := autopilot.ParseHash(twice); !errors.Is(err, autopilot.ErrMalformed) || !strings.Contains(err.Error(), "twice") {
		t.Error(err)
	}
}

// Errors that have no code of Windows have a remedy that is about them.
func TestRemedies(t *testing.T) {
	err := autopilot.WriteCSV(new(strings.Builder), autopilot.Intune, []autopilot.Row{{Serial: "S1"}})
	var e *autopilot.Error
	if !errors.As(err, &e) || e.Remedy() == "" {
		t.Errorf("%v: %q", err, e.Remedy())
	}
	_, noJSON := autopilot.ParseProfile([]byte("<html>"))
	_, badName := (&autopilot.Profile{DeviceName: "%NO%"}).ComputerName("S1")
	for _, err := range []error{noJSON, badName} {
		if !errors.As(err, &e) || e.Remedy() == "" || strings.Contains(e.Remedy(), "spreadsheet") {
			t.Errorf("%v: %q", err, e.Remedy())
		}
	}
}

// What a file for existing devices says of the tenant and the user only in the text
// within the JSON counts, too.
func TestServerData(t *testing.T) {
	const only = `{"AutopilotMode":0,"CloudAssignedAadServerData":"{\"ZeroTouchConfig\":{\"CloudAssignedTenantDomain\":\"contoso.com\",\"CloudAssignedTenantUpn\":\"ann@contoso.com\",\"ForcedEnrollment\":1}}"}`
	p, err := autopilot.ParseProfile([]byte(only))
	if err != nil {
		t.Fatal(err)
	}
	if plan := p.Plan(""); plan.Tenant != "contoso.com" || plan.User != "ann@contoso.com" || !strings.Contains(plan.String(), "ann@contoso.com signs in") || !strings.Contains(plan.String(), "joins contoso.com") {
		t.Errorf("%s", plan)
	}
	// That of a device without a profile, as Windows keeps it.
	const none = `{"AutopilotMode":0,"CloudAssignedAadServerData":"{\"ZeroTouchConfig\":{\"CloudAssignedTenantDomain\":\"\",\"CloudAssignedTenantUpn\":\"\",\"ForcedEnrollment\":0}}"}`
	if p, err := autopilot.ParseProfile([]byte(none)); !errors.Is(err, autopilot.ErrNoProfile) {
		t.Errorf("%v, %v", p, err)
	}
	user := profile(t, offline)
	user.User, user.ServerData = "ann@contoso.com", ""
	file, err := user.Offline()
	if err != nil {
		t.Fatal(err)
	}
	back := profile(t, string(file))
	if plan := back.Plan(""); plan.User != "ann@contoso.com" || ids(back.Lint()) != "" {
		t.Errorf("%s%v", plan, back.Lint())
	}
}

// The documentation of files for existing devices: Version is optional, identifiers
// have no braces, and CloudAssignedAadServerData may lack ForcedEnrollment.
func TestOfflineAsDocumented(t *testing.T) {
	for name, tt := range map[string]struct{ file, want string }{
		"no version":  {strings.Replace(offline, `"Version": 2049,`, "", 1), ""},
		"braces":      {strings.Replace(offline, `"66666666-6666-4666-8666-666666666666"`, `"{66666666-6666-4666-8666-666666666666}"`, 1), "bad-guid"},
		"server data": {strings.Replace(offline, `,\"ForcedEnrollment\":1`, "", 1), ""},
	} {
		if tt.file == offline {
			t.Fatalf("%s: nothing was replaced in\n%s", name, offline)
		}
		if got := ids(profile(t, tt.file).Lint()); got != tt.want {
			t.Errorf("%s: %s", name, got)
		}
	}
	p := profile(t, offline)
	p.TenantID = "{" + p.TenantID + "}"
	if _, err := p.Offline(); !errors.Is(err, autopilot.ErrRefused) {
		t.Error(err)
	}
}
