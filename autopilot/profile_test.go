package autopilot_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/autopilot"
)

// A field is named that is not known, or whose value is of another kind.
func TestOddFields(t *testing.T) {
	p, err := autopilot.ParseProfile([]byte(`{"CloudAssignedTenantDomain":"contoso.com","CloudAssignedForcedEnrollment":1,"Version":"x","Else":1,"More":2}`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range p.Lint() {
		if f.ID == "unknown-field" {
			got = append(got, f.Detail)
		}
	}
	if want := []string{`not known: "Else", "More"`, `the value is not of the kind that it should be: "Version"`}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// downloaded has the fields of a file that was published with a script (of a
// company whose names and identifiers are replaced), in their order.
const downloaded = `{"AutopilotServiceCorrelationId":"11111111-1111-4111-8111-111111111111","ZtdRegistrationId":"22222222-2222-4222-8222-222222222222",` +
	`"AadDeviceId":"33333333-3333-4333-8333-333333333333","CloudAssignedOobeConfig":286,"CloudAssignedDomainJoinMethod":0,"CloudAssignedForcedEnrollment":1,` +
	`"CloudAssignedTenantDomain":"contoso.onmicrosoft.com","CloudAssignedTenantId":"44444444-4444-4444-8444-444444444444",` +
	`"CloudAssignedMdmId":"55555555-5555-4555-8555-555555555555","CloudAssignedDeviceName":"XW%SERIAL%","DeploymentProfileName":"Standard user",` +
	`"IsExplicitProfileAssignment":true,"CloudAssignedAutopilotUpdateDisabled":1,"CloudAssignedPrivacyDiagnostics":0,"HybridJoinSkipDCConnectivityCheck":0,` +
	`"CloudAssignedAutopilotUpdateTimeout":1800000,"PolicyDownloadDate":"2022-09-13T15:14:02Z"}`

// offline has the fields that Microsoft documents for existing devices.
const offline = `{
    "CloudAssignedTenantId": "44444444-4444-4444-8444-444444444444",
    "CloudAssignedDeviceName": "WVM-%SERIAL%",
    "CloudAssignedAutopilotUpdateTimeout": 1800000,
    "CloudAssignedAutopilotUpdateDisabled": 1,
    "CloudAssignedForcedEnrollment": 1,
    "Version": 2049,
    "Comment_File": "Profile Autopilot Profile",
    "CloudAssignedAadServerData": "{\"ZeroTouchConfig\":{\"CloudAssignedTenantUpn\":\"\",\"ForcedEnrollment\":1,\"CloudAssignedTenantDomain\":\"contoso.onmicrosoft.com\"}}",
    "CloudAssignedTenantDomain": "contoso.onmicrosoft.com",
    "CloudAssignedDomainJoinMethod": 0,
    "CloudAssignedOobeConfig": 28,
    "ZtdCorrelationId": "66666666-6666-4666-8666-666666666666"
}`

func profile(t testing.TB, file string) *autopilot.Profile {
	t.Helper()
	p, err := autopilot.ParseProfile([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestParseProfile(t *testing.T) {
	p := profile(t, downloaded)
	if p.CorrelationID[:1] != "1" || p.RegistrationID[:1] != "2" || p.DeviceID[:1] != "3" || p.TenantID[:1] != "4" || p.ManagementID[:1] != "5" ||
		p.OOBEConfig != 286 || !p.ForcedEnrollment || p.DeviceName != "XW%SERIAL%" || p.Name != "Standard user" || !p.Explicit || !p.UpdateDisabled ||
		p.UpdateTimeout != 30*time.Minute || !p.Downloaded.Equal(time.Date(2022, 9, 13, 15, 14, 2, 0, time.UTC)) || p.Other != nil {
		t.Errorf("%+v", p)
	}
	if f := p.Lint(); len(f) != 0 {
		t.Errorf("findings %v", f)
	}
	o := profile(t, offline)
	if o.ProfileID[:1] != "6" || o.Version != 2049 || o.Comment == "" || o.OOBEConfig != 28 || !strings.Contains(o.ServerData, "ZeroTouchConfig") || len(o.Lint()) != 0 {
		t.Errorf("%+v, findings %v", o, o.Lint())
	}
}

// What was read is written: the same fields with the same values, and those that
// are not known.
func TestProfileLossless(t *testing.T) {
	for _, file := range []string{
		downloaded, offline, strings.Replace(downloaded, `"AadDeviceId"`, `"NewIn2027":{"a":[1,2.50,"ü"]},"AadDeviceId"`, 1),
		`{"CloudAssignedTenantId":"x","CloudAssignedOobeConfig":{"odd":1},"PolicyDownloadDate":"yesterday","IsExplicitProfileAssignment":false}`,
	} {
		var before, after map[string]any
		out, err := json.Marshal(profile(t, file))
		if err != nil || json.Unmarshal([]byte(file), &before) != nil || json.Unmarshal(out, &after) != nil {
			t.Fatal(err)
		}
		a, _ := json.Marshal(before)
		b, _ := json.Marshal(after)
		if !bytes.Equal(a, b) {
			t.Errorf("read\n%s\nwrote\n%s", a, b)
		}
	}
	p := profile(t, `{"CloudAssignedTenantId":"x","CloudAssignedForcedEnrollment":"1","CloudAssignedOobeConfig":"286","CloudAssignedTenantUpn":null,"Else":1}`)
	if !p.ForcedEnrollment || p.OOBEConfig != 286 || string(p.Other["Else"]) != "1" || !strings.Contains(ids(p.Lint()), "unknown-field") {
		t.Errorf("%+v", p)
	}
	var q autopilot.Profile
	if err := json.Unmarshal([]byte(downloaded), &q); err != nil || q.TenantID == "" {
		t.Errorf("%+v, %v", q, err)
	}
	if err := json.Unmarshal([]byte(`{}`), &q); !errors.Is(err, autopilot.ErrNoProfile) {
		t.Error(err)
	}
}

func TestParseProfileErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		file string
		want error
		code int
	}{
		"refusal":    {`{"ErrorCode":807,"ErrorReason":"ZtdDeviceIsNotRegistered"}`, nil, 807},
		"as text":    {`{"ErrorCode":"808","AutopilotServiceCorrelationId":"1"}`, nil, 808},
		"blank":      {`{}`, autopilot.ErrNoProfile, 0},
		"no tenant":  {`{"CloudAssignedOobeConfig":286,"ErrorCode":0}`, autopilot.ErrNoProfile, 0},
		"empty":      {" \r\n", autopilot.ErrNoProfile, 0},
		"no JSON":    {`<html>`, autopilot.ErrMalformed, 0},
		"array":      {`[]`, autopilot.ErrMalformed, 0},
		"null":       {`null`, autopilot.ErrNoProfile, 0},
		"cut off":    {downloaded[:100], autopilot.ErrMalformed, 0},
		"large file": {`{"a":"` + strings.Repeat("x", 300<<10) + `"}`, autopilot.ErrMalformed, 0},
	} {
		p, err := autopilot.ParseProfile([]byte(tt.file))
		var e *autopilot.Error
		if p != nil || !errors.As(err, &e) || e.Op != "ParseProfile" || e.Code != tt.code || tt.want != nil && !errors.Is(err, tt.want) || e.Remedy() == "" {
			t.Errorf("%s: %v, %v", name, p, err)
		}
		if tt.code != 0 && !strings.Contains(err.Error(), "Ztd") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLintProfile(t *testing.T) {
	utf16le := "\xff\xfe" + wide(binary.LittleEndian, offline)
	for name, tt := range map[string]struct{ file, want string }{
		"offline":       {offline, ""},
		"UTF-16":        {utf16le, "utf-16!"},
		"mark":          {"\ufeff" + offline, "byte-order-mark!"},
		"big-endian":    {"\xfe\xff" + wide(binary.BigEndian, offline), "utf-16!"},
		"no mark":       {wide(binary.LittleEndian, offline), "utf-16!"},
		"delete":        {strings.Replace(offline, "Autopilot Profile", "a\x7fb", 1), ""},
		"umlaut":        {strings.Replace(offline, "Autopilot Profile", "Büro", 1), "not-ascii!"},
		"online umlaut": {strings.Replace(downloaded, "Standard user", "Büro", 1), "not-ascii"},
		"version":       {strings.Replace(offline, "2049", "2048", 1), "version"},
		"no profile id": {strings.Replace(offline, "ZtdCorrelationId", "Else", 1), "bad-guid! unknown-field"},
		"bad id":        {strings.Replace(offline, "66666666-6666", "6666-66666666", 1), "bad-guid!"},
		"no domain":     {strings.Replace(offline, `"CloudAssignedTenantDomain": "contoso`, `"Else": "contoso`, 1), "no-tenant! server-data unknown-field"},
		"server data":   {strings.Replace(offline, `\"ForcedEnrollment\":1`, `\"ForcedEnrollment\":0`, 1), "server-data"},
		"self":          {strings.Replace(offline, `"CloudAssignedOobeConfig": 28`, `"CloudAssignedOobeConfig": 124`, 1), "self-deploying!"},
		"name":          {strings.Replace(downloaded, "XW%SERIAL%", "%MODEL%", 1), "name-template!"},
		"digits":        {strings.Replace(downloaded, "XW%SERIAL%", "%RAND:5%", 1), "name-template!"},
		"hybrid":        {strings.Replace(strings.Replace(downloaded, `Method":0`, `Method":1`, 1), `"AadDeviceId"`, `"CloudAssignedTenantUpn":"a@b","AadDeviceId"`, 1), "hybrid-name hybrid-user"},
		"join":          {strings.Replace(downloaded, `Method":0`, `Method":7`, 1), "unknown-join"},
		"bits":          {strings.Replace(downloaded, `286`, `65536`, 1), "unknown-bits"},
		"hidden":        {strings.Replace(downloaded, `286`, `1310,"CloudAssignedRegion":"DE"`, 1), "hidden-start"},
		"no enrollment": {strings.Replace(downloaded, `Enrollment":1`, `Enrollment":0`, 1), "no-enrollment"},
	} {
		var got []string
		for _, f := range profile(t, tt.file).Lint() {
			s := f.ID
			if f.Refused {
				s += "!"
			}
			got = append(got, s)
		}
		if join(got) != tt.want {
			t.Errorf("%s: %s, want %s", name, join(got), tt.want)
		}
	}
}

func TestPlan(t *testing.T) {
	p := profile(t, downloaded).Plan("5CD-1234 567890123")
	if p.Mode != "user-driven" || p.Hybrid || p.Tenant[:1] != "4" || p.DeviceName != "XW234567890123" && len(p.DeviceName) != 15 || !p.Enroll || p.Attest ||
		join(p.SkippedPages) != "license terms privacy settings registration with the maker Windows upgrade" || !strings.HasPrefix(p.PreProvisioning, "possible") {
		t.Errorf("%+v", p)
	}
	for _, part := range []string{"mode              user-driven\n", "restarts", "enrolls in management by application 5555", "is no administrator"} {
		if !strings.Contains(p.String(), part) {
			t.Errorf("the plan lacks %q:\n%s", part, p)
		}
	}
	for name, tt := range map[string]struct {
		profile autopilot.Profile
		mode    string
		words   string // in the text of the plan
	}{
		"self-deploying": {autopilot.Profile{TenantDomain: "t", OOBEConfig: 32 + 64 + 128}, "self-deploying", "with a token for its TPM"},
		"requires a TPM": {autopilot.Profile{TenantDomain: "t", OOBEConfig: 128}, "user-driven", "stops without a TPM"},
		"hybrid":         {autopilot.Profile{TenantDomain: "t", DomainJoin: 1}, "user-driven", "waits until it reaches a domain controller"},
		"no check":       {autopilot.Profile{TenantDomain: "t", DomainJoin: 1, SkipDCCheck: true}, "user-driven", "does not join by its TPM"},
		"user":           {autopilot.Profile{TenantDomain: "t", User: "ann@t"}, "user-driven", "ann@t signs in"},
		"offline":        {autopilot.Profile{TenantDomain: "t", Version: 2049}, "user-driven", "not possible"},
		"hidden":         {autopilot.Profile{TenantDomain: "t", Region: "DE", OOBEConfig: 1024}, "user-driven", "cannot be started"},
		"patches":        {autopilot.Profile{TenantDomain: "t", OOBEConfig: 512}, "user-driven", "downloads patches"},
		"random":         {autopilot.Profile{TenantDomain: "t", DeviceName: "PC-%RAND:4%"}, "user-driven", "PC-####"},
		"serial unknown": {autopilot.Profile{TenantDomain: "t", DeviceName: "PC-%SERIAL%"}, "user-driven", "PC-%SERIAL%"},
	} {
		plan := tt.profile.Plan("")
		if plan.Mode != tt.mode || !strings.Contains(plan.String(), tt.words) || len(plan.Steps) < 3 {
			t.Errorf("%s:\n%s", name, plan)
		}
	}
}

func TestComputerName(t *testing.T) {
	for _, tt := range []struct{ template, serial, want string }{ // want is a regular expression; "" for an error
		{"PC-%SERIAL%", "5CD8068X", "^PC-5CD8068X$"},
		{"PC-%serial%", "5CD 80/68X", "^PC-5CD8068X$"},
		{"PC-%SERIAL%", "ABCDEFGHIJKLMNOP", "^PC-EFGHIJKLMNOP$"}, // cut off at its beginning
		{"%SERIAL%-PC", "ABCDEFGHIJKLMNOP", "^EFGHIJKLMNOP-PC$"},
		{"PC-%RAND:6%", "", "^PC-[0-9]{6}$"},
		{"PC%RAND:3%-%SERIAL%", "ABCDEFGHIJKL", "^PC[0-9]{3}-DEFGHIJKL$"},
		{"FIXED", "x", "^FIXED$"},
		{"", "x", "^$"},
		{"%RAND:5%", "x", ""},
		{"PC-%SERIAL%", "", ""},
		{"%SERIAL%", "//", ""},
		{"PC-%RAND:99%", "x", ""},
		{"PC-%RAND:0%", "x", ""},
		{"PC-%MODEL%", "x", ""},
		{"PC-%SERIAL", "x", ""},
		{"A NAME", "x", ""},
		{"MUCH-TOO-LONG-A-NAME", "x", ""},
		{"%SERIAL%%SERIAL%", "x", ""},
	} {
		got, err := (&autopilot.Profile{DeviceName: tt.template}).ComputerName(tt.serial)
		if tt.want == "" {
			if !errors.Is(err, autopilot.ErrMalformed) || got != "" {
				t.Errorf("%q: %q, %v", tt.template, got, err)
			}
			continue
		}
		if err != nil || !regexp.MustCompile(tt.want).MatchString(got) {
			t.Errorf("%q: %q, %v", tt.template, got, err)
		}
	}
}

// The file for existing devices is ASCII, complete, and read as it was meant.
func TestOffline(t *testing.T) {
	p := profile(t, downloaded)
	p.ProfileID, p.Comment, p.Region = "66666666-6666-4666-8666-666666666666", "Profil „Büro“ 😀", "DE"
	p.Other = map[string]json.RawMessage{"CloudAssignedNew": json.RawMessage(`"ü"`)}
	file, err := p.Offline()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range file {
		if c >= 0x80 {
			t.Fatalf("not ASCII: %s", file)
		}
	}
	back := profile(t, string(file))
	if f := ids(back.Lint()); f != "unknown-field" {
		t.Errorf("findings %s in\n%s", f, file)
	}
	if back.Comment != p.Comment || back.Region != "DE" || back.Version != 2049 || string(back.Other["CloudAssignedNew"]) != `"\u00fc"` ||
		back.RegistrationID != "" || back.DeviceID != "" || back.ManagementID != "" || !back.Downloaded.IsZero() || back.TenantID != p.TenantID {
		t.Errorf("%s", file)
	}
	again, err := back.Offline()
	if err != nil || !bytes.Equal(again, file) {
		t.Errorf("written again: %s, %v", again, err)
	}
	for name, change := range map[string]func(*autopilot.Profile){
		"no tenant":  func(p *autopilot.Profile) { p.TenantID = "" },
		"no profile": func(p *autopilot.Profile) { p.ProfileID = "" },
		"no GUID":    func(p *autopilot.Profile) { p.TenantID = "contoso" },
		"attests":    func(p *autopilot.Profile) { p.OOBEConfig |= 32 },
		"name":       func(p *autopilot.Profile) { p.DeviceName = "%NO%" },
		"other":      func(p *autopilot.Profile) { p.Other = map[string]json.RawMessage{"x": json.RawMessage(`{`)} },
	} {
		q := profile(t, string(file))
		change(q)
		out, err := q.Offline()
		var e *autopilot.Error
		if out != nil || !errors.Is(err, autopilot.ErrRefused) || !errors.As(err, &e) || e.Op != "Offline" {
			t.Errorf("%s: %s, %v", name, out, err)
		}
	}
}

// JSON that is no profile says so, and what to give instead.
func TestNoProfileFile(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:                              "the JSON has no field of a profile",
		`{"a":1}`:                         "the JSON has no field of a profile",
		`{"CloudAssignedDeviceName":"x"}`: "the profile names no tenant",
	} {
		_, err := autopilot.ParseProfile([]byte(text))
		var e *autopilot.Error
		if !errors.As(err, &e) || !errors.Is(err, autopilot.ErrNoProfile) || !strings.Contains(err.Error(), want) || !strings.Contains(e.Remedy(), "Give the file of a profile") || e.HRESULT() == 0 {
			t.Errorf("%s: %v", text, err)
		}
	}
}
