package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/examples/internal/exampletest"
)

// TestRun decodes a code in each form. The exit code says whether it is known.
func TestRun(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"0x80180014"}, 0, "0x80180014 MENROLL_E_DEVICENOTSUPPORTED\n  meaning  the device is refused\n  step     enroll\n"},
		{[]string{"80180014"}, 0, "MENROLL_E_DEVICENOTSUPPORTED"},
		{[]string{"2149056532"}, 0, "MENROLL_E_DEVICENOTSUPPORTED"},
		{[]string{"-2145910764"}, 0, "MENROLL_E_DEVICENOTSUPPORTED"},
		{[]string{"--", "-2145910764"}, 0, "MENROLL_E_DEVICENOTSUPPORTED"},
		{[]string{"-json", "-2145910764", "807"}, 0, "MENROLL_E_DEVICENOTSUPPORTED"},
		{[]string{"(6, 0x80180014)"}, 0, "while    enrolling in management"},
		{[]string{"menroll_e_devicenotsupported"}, 0, "MENROLL_E_DEVICENOTSUPPORTED"},
		{[]string{"0x801C03EE"}, 0, "source   documented"},
		{[]string{"807"}, 0, "\nor\nMD event 807\n"},
		{[]string{"807", "0x80190194"}, 0, "\n\n0x80190194 HTTP_E_STATUS_NOT_FOUND\n"},
		{[]string{"0x8018000C"}, 1, "not a public code"},
		{[]string{"nonsense"}, 1, ""},
		{[]string{"807", "nonsense"}, 1, "ZtdDeviceIsNotRegistered"},
		{[]string{"-json", "nonsense"}, 1, `"known": false`},
		{[]string{"nonsense", "none.zip"}, 1, ""},
	} {
		code, stdout, stderr := exampletest.Run(t, program(), c.args...)
		if code != c.code || !strings.Contains(stdout, c.want) || (stderr == "") != (code == 0) || strings.Count(stderr, "\n") > 1 {
			t.Errorf("%v: %d\n%s\n%s\nwant %d, %q", c.args, code, stdout, stderr, c.code, c.want)
		}
	}
}

// What is not known is named on the standard error.
func TestUnknown(t *testing.T) {
	_, _, stderr := exampletest.Run(t, program(), "nonsense", "807", "0x8018000C")
	if want := "diagnose: \"nonsense\" is neither a code that is known nor a file that is there. Type it as the screen shows it, such as 0x80180014; -list prints what is known. Also: what \"0x8018000C\" means is not public\n"; stderr != want {
		t.Errorf("%q, want %q", stderr, want)
	}
}

func TestJSON(t *testing.T) {
	code, stdout, _ := exampletest.Run(t, program(), "-json", "(6, 0x80180014)", "-2145910764")
	var got []struct {
		Input    string
		Known    bool
		Meanings []diagnose.Meaning
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != 0 {
		t.Fatalf("%d, %v: %s", code, err, stdout)
	}
	if len(got) != 2 || got[1].Input != "-2145910764" || !got[0].Known || got[0].Meanings[0].Code != 0x80180014 ||
		got[0].Meanings[0].Phase == "" || got[0].Meanings[0].Remedy != got[1].Meanings[0].Remedy {
		t.Errorf("%+v", got)
	}
}

func TestList(t *testing.T) {
	want := len(diagnose.Codes())
	code, stdout, _ := exampletest.Run(t, program(), "-list")
	if n := strings.Count(stdout, "\n"); code != 0 || n != want || strings.Count(stdout, "\t") != 6*want {
		t.Errorf("%d, %d lines, want %d", code, n, want)
	}
	code, stdout, _ = exampletest.Run(t, program(), "-list", "-json")
	var all []diagnose.Meaning
	if err := json.Unmarshal([]byte(stdout), &all); err != nil || code != 0 || len(all) != want {
		t.Errorf("%d, %v, %d codes, want %d", code, err, len(all), want)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"-json"}, {"-list", "807"}, {"-nothing", "807"}} {
		if code, stdout, stderr := exampletest.Run(t, program(), args...); code != 2 || stdout != "" || !strings.HasSuffix(stderr, "; see diagnose -h\n") {
			t.Errorf("%v: %d, %q, %q", args, code, stdout, stderr)
		}
	}
	if code, _, stderr := exampletest.Run(t, program(), "-h"); code != 0 || !strings.Contains(stderr, "Usage:\n  diagnose ") {
		t.Errorf("-h: %d, %q", code, stderr)
	}
}

// full is a file on a full disk.
type full struct{}

// Write always fails.
func (full) Write([]byte) (int, error) { return 0, errors.New("disk is full") }

func TestWriteFails(t *testing.T) {
	for _, args := range [][]string{{"807"}, {"-json", "807"}, {"-list"}, {"-list", "-json"}} {
		var stderr bytes.Buffer
		if code := program().Run(t.Context(), args, full{}, &stderr); code != 1 || !strings.Contains(stderr.String(), "disk is full") {
			t.Errorf("%v: %d, %s", args, code, stderr.String())
		}
	}
}

// What the program says of itself, and of wrong flags.
func TestHelp(t *testing.T) { exampletest.Help(t, program()) }

// What is not known is said once, and with what may be wrong with it.
func TestNotKnown(t *testing.T) {
	for arg, want := range map[string]string{
		"0x12345678": "the code 0x12345678 is not known. Compare the digits with the screen; -list prints what is known",
		"0x8018001":  "the code 0x8018001 has 7 digits; codes have 8. Compare it with the screen",
		"nofile.zip": "there is no file \"nofile.zip\". Check its name and its folder; -h says what is evidence",
		"no/such":    "there is no file \"no/such\". Check its name and its folder; -h says what is evidence",
	} {
		if code, stdout, stderr := exampletest.Run(t, program(), arg); code != 1 || stdout != "" || stderr != "diagnose: "+want+"\n" {
			t.Errorf("%s: %d: %s%s", arg, code, stdout, stderr)
		}
	}
	html := filepath.Join(t.TempDir(), "x.html")
	for flag, args := range map[string][]string{
		"-html": {"-html", html, "0x80180014"}, "-timeline": {"-timeline", "0x80180014"}, "-personal": {"-personal", "0x80180014"}, "-html ": {"-list", "-html", html},
	} {
		if code, _, stderr := exampletest.Run(t, program(), args...); code != 2 || !strings.Contains(stderr, strings.TrimSpace(flag)+" goes with a PATH") {
			t.Errorf("%q: %d: %s", args, code, stderr)
		}
	}
}
