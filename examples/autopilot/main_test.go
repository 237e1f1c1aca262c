package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/autopilot/autopilottest"
	"github.com/whiteglove/whiteglove/autopilot/graph"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/exampletest"
)

// try runs the program.
func try(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return exampletest.Run(t, program(), args...)
}

// mockFile returns the name of a file with the hash of the emulated TPM's device.
func mockFile(t *testing.T) string {
	t.Helper()
	code, out, errs := try(t, "mock")
	if code != 0 {
		t.Fatal(errs)
	}
	return exampletest.File(t, []byte(out))
}

func TestHash(t *testing.T) {
	code, out, errs := try(t, "hash", mockFile(t))
	if code != 0 || errs != "" || !strings.Contains(out, "serial number     MOCK-") || !strings.Contains(out, "mock: ") {
		t.Errorf("%d: %s%s", code, out, errs)
	}
	text := exampletest.File(t, []byte(autopilottest.Device{Omit: []uint16{14}}.Text()))
	if code, out, _ = try(t, "hash", text); code != 1 || !strings.Contains(out, "no-serial (refused)") {
		t.Errorf("%d: %s", code, out)
	}
	code, out, _ = try(t, "-json", "hash", text)
	var v struct {
		Hardware autopilot.Hardware
		Intact   bool
		Findings []autopilot.Finding
	}
	if err := json.Unmarshal([]byte(strings.ReplaceAll(out, `"10.0.26100.1742"`, "null")), &v); err == nil && (code != 1 || !v.Intact || len(v.Findings) == 0) {
		t.Errorf("%d: %s", code, out)
	}
	roca := exampletest.File(t, []byte(autopilottest.Device{EK: testKey(), TPM: "TPM-Version:2.0 -Level:0-Revision:1.16-VendorID:'IFX '-Firmware:458814.0"}.Text()))
	if _, out, _ = try(t, "hash", roca); strings.Contains(out, "firmware-advisory") {
		t.Errorf("7.62 is not weak: %s", out)
	}
	roca = exampletest.File(t, []byte(autopilottest.Device{EK: testKey(), TPM: "TPM-Version:2.0 -Level:0-Revision:1.16-VendorID:'IFX '-Firmware:458813.0"}.Text()))
	if _, out, _ = try(t, "hash", roca); !strings.Contains(out, "firmware-advisory") {
		t.Errorf("7.61 is weak: %s", out)
	}
	if code, _, errs = try(t, "hash", exampletest.File(t, []byte("hello"))); code != 2 || !strings.Contains(errs, "neither") || !strings.Contains(errs, "Give the base64 text") {
		t.Errorf("%d: %s", code, errs)
	}
}

func TestCSV(t *testing.T) {
	a := exampletest.File(t, []byte("\ufeffDevice Serial Number;Windows Product ID;Hardware Hash\nS1;;"+autopilottest.Device{Serial: "S1"}.Text()+"\n"))
	b := exampletest.File(t, []byte("Device Serial Number,Windows Product ID,Hardware Hash\r\nS1,,"+autopilottest.Device{Serial: "S1"}.Text()+"\r\nS2,,"+autopilottest.Device{Serial: "S2"}.Text()+"\r\n"))
	code, out, _ := try(t, "csv", "lint", a, b)
	if code != 1 || !strings.Contains(out, a+": byte-order-mark (refused)") || !strings.Contains(out, "line 1: separator (refused)") || !strings.Contains(out, ": 2 devices, format Intune") {
		t.Errorf("%d: %s", code, out)
	}
	if code, out, _ = try(t, "csv", "lint", b); code != 0 {
		t.Errorf("%d: %s", code, out)
	}
	code, out, _ = try(t, "-json", "csv", "lint", a)
	for line := range strings.Lines(out) {
		var f struct {
			File string
			ID   string
		}
		if err := json.Unmarshal([]byte(line), &f); err != nil || f.File != a || f.ID == "" || code != 1 {
			t.Errorf("%d: %s", code, line)
		}
	}
	bad := exampletest.File(t, []byte("Device Serial Number,Windows Product ID,Hardware Hash\r\nS2,,"+string(damage(t, autopilottest.Device{Serial: "S2"}.Text()))+"\r\n"))
	if _, out, errs := try(t, "csv", "merge", bad, b); strings.Count(out, autopilottest.Device{Serial: "S2"}.Text()) != 1 || errs != bad+": line 2: duplicate: the device is in "+b+" line 3 too, which was kept: the service would refuse this row\n" {
		t.Errorf("%s", errs)
	}
	if _, _, errs := try(t, "csv", "convert", bad); !strings.Contains(errs, bad+": line 2: wrong-checksum (refused): ") {
		t.Error(errs)
	}
	code, out, errs := try(t, "csv", "merge", a, b)
	s, err := autopilot.ReadCSV(strings.NewReader(out))
	if code != 0 || err != nil || len(s.Rows) != 2 || len(s.Findings) != 0 || !strings.Contains(errs, "duplicate") {
		t.Errorf("%d: %v %v %s", code, s, err, errs)
	}
	name := filepath.Join(t.TempDir(), "out.csv")
	if code, out, errs = try(t, "-format", "Partner Center", "-out", name, "csv", "convert", b); code != 0 || out != name+": 2 devices\n" {
		t.Errorf("%d: %s%s", code, out, errs)
	}
	if text, err := os.ReadFile(name); err != nil || !strings.HasPrefix(string(text), "Device Serial Number,Windows Product ID,Hardware Hash,Manufacturer name,Device model\r\n") {
		t.Errorf("%.100s, %v", text, err)
	}
	// More devices than the portal takes from one file.
	var many strings.Builder
	many.WriteString("Device Serial Number,Windows Product ID,Hardware Hash\r\n")
	hash := autopilottest.Encode(nil)[:136] // short
	for i := range 501 {
		many.WriteString("N" + strings.Repeat("1", i%9+1) + ",," + hash + "\r\n")
	}
	if code, out, errs = try(t, "-out", name, "csv", "convert", exampletest.File(t, []byte(many.String()))); code != 0 || !strings.Contains(out, "out.csv: 500 devices\n") || !strings.Contains(out, "out-2.csv: 1 device\n") {
		t.Errorf("%d: %s%s", code, out, errs)
	}
}

func TestProfile(t *testing.T) {
	file := exampletest.File(t, []byte(`{"CloudAssignedTenantId":"44444444-4444-4444-8444-444444444444","CloudAssignedTenantDomain":"contoso.com","CloudAssignedOobeConfig":28,"CloudAssignedForcedEnrollment":1,"CloudAssignedDeviceName":"PC-%SERIAL%","ZtdRegistrationId":"x"}`))
	code, out, errs := try(t, "-serial", "5CD8068X", "profile", file)
	if code != 0 || errs != "" || !strings.Contains(out, "name              PC-5CD8068X\n") {
		t.Errorf("%d: %s%s", code, out, errs)
	}
	if code, out, _ = try(t, "-json", "profile", file); code != 0 || !json.Valid([]byte(out)) || !strings.Contains(out, `"mode": "user-driven"`) {
		t.Errorf("%d: %s", code, out)
	}
	name := filepath.Join(t.TempDir(), "AutopilotConfigurationFile.json")
	if code, _, errs = try(t, "-out", name, "profile", file); code != 1 || !strings.Contains(errs, "ZtdCorrelationId is missing") {
		t.Errorf("%d: %s", code, errs)
	}
	if code, _, errs = try(t, "-out", name, "-profile-id", "66666666-6666-4666-8666-666666666666", "profile", file); code != 0 {
		t.Errorf("%d: %s", code, errs)
	}
	if code, out, errs = try(t, "profile", name); code != 0 || !strings.Contains(out, "pre-provisioning  not possible") {
		t.Errorf("%d: %s%s", code, out, errs)
	}
	refused := exampletest.File(t, []byte(`{"ErrorCode":807,"ErrorReason":"ZtdDeviceIsNotRegistered"}`))
	if code, _, errs = try(t, "profile", refused); code != 1 || !strings.Contains(errs, "ZTD 807/ZtdDeviceIsNotRegistered") || !strings.Contains(errs, "Import the device") {
		t.Errorf("%d: %s", code, errs)
	}
}

func TestMatch(t *testing.T) {
	own := mockFile(t)
	if code, out, errs := try(t, "match", own); code != 0 || !strings.HasPrefix(out, "same device") {
		t.Errorf("%d: %s%s", code, out, errs)
	}
	other := exampletest.File(t, []byte(autopilottest.Device{EK: testKey()}.Text()))
	if code, out, _ := try(t, "match", other); code != 1 || !strings.HasPrefix(out, "another mainboard") {
		t.Errorf("%d: %s", code, out)
	}
	blind := exampletest.File(t, []byte(autopilottest.Device{}.Text()))
	if code, out, _ := try(t, "-json", "match", blind); code != 1 || !strings.Contains(out, `"verdict":"cannot tell"`) {
		t.Errorf("%d: %s", code, out)
	}
	cert := exampletest.Roots(t, testCertificate(t))
	if code, out, errs := try(t, "-ek", cert, "match", other); code != 0 || !strings.HasPrefix(out, "same device") {
		t.Errorf("%d: %s%s", code, out, errs)
	}
}

// The devices of a file are registered at the mock service.
func TestImport(t *testing.T) {
	code, out, errs := try(t, "-json", "import", mockFile(t))
	if code != 0 || errs != "a mock service in this process registers the devices; see -graph\n" {
		t.Fatalf("%d: %s%s", code, out, errs)
	}
	var last struct{ Stage, ZTDID string }
	for l := range strings.Lines(out) {
		if err := json.Unmarshal([]byte(l), &last); err != nil {
			t.Fatalf("%v: %s", err, l)
		}
	}
	if last.Stage != "ready" || len(last.ZTDID) != 36 || !strings.Contains(out, `"stage":"importing","status":"unknown"`) {
		t.Errorf("%s", out)
	}
	bad := exampletest.File(t, []byte("Device Serial Number,Windows Product ID,Hardware Hash\r\nS1,,"+autopilottest.Device{Serial: "S1", Omit: []uint16{14}}.Text()+"\r\n"))
	if code, _, errs := try(t, "-until", "imported", "import", bad); code != 1 || !strings.Contains(errs, "ZTD 802/InvalidZtdHardwareHash") || !strings.Contains(errs, "capture the hash again") {
		t.Errorf("%d: %s", code, errs)
	}
	// A mock hash stays here, whatever the token.
	if code, _, errs := try(t, "-graph", "public", "-token", "x", "import", mockFile(t)); code != 1 || !strings.Contains(errs, "mock hash") {
		t.Errorf("%d: %s", code, errs)
	}
}

// On a terminal each device has a line, which changes.
func TestProgress(t *testing.T) {
	var b bytes.Buffer
	p := newProgress(&b, false, true, []autopilot.Row{{Serial: "S1"}, {Serial: "S2"}})
	p.observe(graph.Event{Row: 0, Serial: "S1", Stage: graph.StageSubmitted, Status: "unknown"})
	busy, foreign := &graph.Error{Op: "SyncBeta", HTTPStatus: 429}, &graph.Error{Op: "Import", Code: 808}
	p.observe(graph.Event{Row: -1, Stage: graph.StageSyncing, Err: busy, Wait: 90 * time.Second})
	p.observe(graph.Event{Row: 1, Serial: "S2", Stage: graph.StageFailed, Err: foreign})
	again, failed := "not syncing yet: "+command.Brief(busy)+"; again in 1m30s", "failed: "+command.Brief(foreign)
	want := "\r\x1b[K  1 S1                   submitted unknown\n\r\x1b[K  2 S2                   waiting\n" +
		"\x1b[2A\r\x1b[K  1 S1                   " + again + "\n\r\x1b[K  2 S2                   " + again + "\n" +
		"\x1b[2A\r\x1b[K  1 S1                   " + again + "\n\r\x1b[K  2 S2                   " + failed + "\n"
	if err := p.print(nil); err != nil || b.String() != want || !strings.HasPrefix(again, "not syncing yet: SyncBeta: HTTP status 429 (0x801901AD") || !strings.HasPrefix(failed, "failed: Import: ZTD 808") {
		t.Errorf("%v\n%q\n%q", err, b.String(), want)
	}
}

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		args string
		code int
	}{
		{"", 2},
		{"-h", 0},
		{"what", 2},
		{"match", 2},
		{"csv lint", 2},
		{"csv sort x", 2},
		{"-profile-id foo profile x", 2},
		{"csv convert x y", 2},
		{"hash x y", 2},
		{"-graph public import x", 2},
		{"-roots x import x", 2},
		{"-client-cert x import x", 2},
		{"-graph public -client-id x -client-secret y -client-cert z -client-key w import x", 2},
		{"hash no-such-file", 2},
		{"csv lint no-such-file", 2},
		{"import no-such-file", 2},
		{"profile no-such-file", 2},
		{"match no-such-file", 2},
		{"hash -h", 0},
		{"import -h", 0},
		{"-tpm what mock", 2},
	} {
		if code, _, errs := try(t, strings.Fields(tt.args)...); code != tt.code || errs == "" {
			t.Errorf("%s: %d, %q", tt.args, code, errs)
		}
	}
}

// What the program says of itself, and of wrong flags.
func TestHelp(t *testing.T) { exampletest.Help(t, program()) }

// A file that is none of devices is reported with code and remedy.
func TestExplained(t *testing.T) {
	exampletest.Explained(t, program(), "csv", "lint", exampletest.File(t, []byte("text")))
}

// damage changes a character of a hash so that it can still be read.
func damage(t *testing.T, text string) []byte {
	t.Helper()
	for i := range text {
		changed := []byte(text)
		changed[i] ^= 1
		if h, err := autopilot.ParseHash(string(changed)); err == nil && errors.Is(h.Verify(), autopilot.ErrChecksum) {
			return changed
		}
	}
	t.Fatal("no such character")
	return nil
}

// What is wrong with a file is said with its name.
func TestBadFiles(t *testing.T) {
	text, empty := exampletest.File(t, []byte("text")), exampletest.File(t, []byte("{}"))
	damaged := exampletest.File(t, damage(t, autopilottest.Device{EK: testKey()}.Text()))
	nothing := exampletest.File(t, nil)
	ca := exampletest.Roots(t, authority(t))
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"csv", "lint", text}, 1, text + ": line 1 is no header: want \"Device Serial Number,"},
		{[]string{"import", text}, 2, text + ": line 1 is no header: "},
		{[]string{"csv", "lint", nothing}, 1, nothing + ": the file is empty"},
		{[]string{"hash", nothing}, 2, nothing + ": the file is empty. Give the base64 text"},
		{[]string{"profile", text}, 2, text + ": malformed: it is not JSON"},
		{[]string{"profile", empty}, 1, empty + ": there is no profile in it, for it names no tenant: "},
		{[]string{"match", damaged}, 1, damaged + ": the hash is damaged, or was put together by hand: wrong checksum: it belongs to other records. The verdict says nothing: take"},
		{[]string{"-ek", exampletest.Roots(t, testCertificate(t)), "match", damaged}, 1, damaged + ": the hash is damaged, or was put together by hand: wrong checksum: it belongs to other records. The endorsement key in it is right, but the service refuses the hash: take"},
		{[]string{"-ek", ca, "match", mockFile(t)}, 2, "-ek " + ca + ": this is not an EK certificate: it is the certificate of a CA. Name the EK certificate of the device"},
	} {
		if code, _, errs := try(t, tt.args...); code != tt.code || !strings.HasPrefix(errs, "autopilot: "+tt.want) {
			t.Errorf("%q: %d: %s", tt.args, code, errs)
		}
	}
	for want, args := range map[string][]string{
		"csv: name lint, merge or convert":                     {"csv"},
		"name a command: hash, csv":                            nil,
		"import: name a file":                                  {"import"},
		"hash: \"b\" is one argument too many":                 {"hash", "a", "b"},
		"hash: this machine does not run Windows: name a FILE": {"hash"},
	} {
		if len(args) == 1 && args[0] == "hash" && runtime.GOOS == "windows" {
			continue
		}
		if code, _, errs := try(t, args...); code != 2 || !strings.HasPrefix(errs, "autopilot: "+want) {
			t.Errorf("%q: %d: %s", args, code, errs)
		}
	}
}

// Without -json there is a line for each event, and a dead service is given up soon.
func TestImportLines(t *testing.T) {
	code, out, errs := try(t, "import", mockFile(t))
	if code != 0 || strings.Contains(out, "{") || !strings.Contains(out, " importing unknown\n  1 MOCK-") || !strings.Contains(out, " is the device ") {
		t.Errorf("%d: %s%s", code, out, errs)
	}
	line := exampletest.Explained(t, program(), "-graph", "https://127.0.0.1:1", "-token", "x", "-pause", "1ms", "import", mockFile(t))
	if !strings.Contains(line, "127.0.0.1:1") || strings.Contains(line, "devices failed") {
		t.Error(line)
	}
	code, out, errs = try(t, "-graph", "https://127.0.0.1:1", "-token", "x", "-pause", "1ms", "-json", "import", mockFile(t))
	if code != 1 || strings.Count(out, `"next":"submitted","wait":"1ms"`) != tries || strings.Contains(out, `"stage":"submitted"`) {
		t.Errorf("%d: %s%s", code, out, errs)
	}
}

// When the time is up, devices have not failed: the service works on.
func TestImportLate(t *testing.T) {
	code, out, errs := try(t, "-timeout", "1s", "-pause", "1h", "import", mockFile(t))
	if code != 1 || strings.Contains(out, "failed") || !strings.Contains(errs, "autopilot: -timeout ended first for 1 of 1 device. ") {
		t.Errorf("%d: %s%s", code, out, errs)
	}
}

// A service that asks for a longer pause than there is time has got nothing, and the run
// ends at once. An address without Graph is not one where a device will appear.
func TestImportRefused(t *testing.T) {
	file := mockFile(t)
	for _, tt := range []struct {
		status int
		says   string
	}{
		{503, "The service asks to wait 1 h, longer than -timeout: run again then"},
		{404, "There is no Microsoft Graph at this address: check "},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(tt.status)
		}))
		defer s.Close()
		start := time.Now()
		code, _, errs := try(t, "-graph", s.URL, "-token", "x", "-timeout", "1m", "import", file)
		if tt.status == 503 {
			if !strings.HasPrefix(errs, "autopilot: nothing was submitted: Import ") || strings.Contains(errs, "works on") {
				t.Error(errs)
			}
		}
		if code != 1 || !strings.Contains(errs, tt.says) || strings.Contains(errs, "look again later") || time.Since(start) > 20*time.Second {
			t.Errorf("%d: exit %d: %s", tt.status, code, errs)
		}
	}
	// What the service has not taken, it does not work on.
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	defer s.Close()
	if code, _, errs := try(t, "-graph", s.URL, "-token", "x", "-timeout", "1s", "-pause", "300ms", "import", file); code != 1 || !strings.Contains(errs, "-timeout ended before the service took 1 of 1 device") || strings.Contains(errs, "works on") {
		t.Errorf("exit %d: %s", code, errs)
	}
	if code, _, errs := try(t, "-graph", s.URL, "-token", "@"+file+".none", "import", file); code != 2 || !strings.HasPrefix(errs, "autopilot: -token: ") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// After an interrupt nothing is said to have failed.
func TestImportInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(200*time.Millisecond, func() { cancel(&command.Interrupted{Signal: syscall.SIGINT}) })
	var out, errs bytes.Buffer
	code := program().Run(ctx, []string{"-graph", "https://127.0.0.1:1", "-token", "x", "-pause", "1h", "import", mockFile(t)}, &out, &errs)
	if code != 130 || strings.Contains(errs.String()+out.String(), "failed") || !strings.Contains(errs.String(), "autopilot: interrupted; the same command goes on") {
		t.Errorf("%d: %s%s", code, &out, &errs)
	}
}
