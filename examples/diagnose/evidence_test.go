package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/examples/internal/exampletest"
	"github.com/whiteglove/whiteglove/internal/evtx/evtxtest"
)

// diagReport writes an archive as a technician brings it: a log, a tool's output, and
// a file that is hostile to pages and terminals.
func diagReport(t *testing.T) string {
	t.Helper()
	at := time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	event := func(id uint16, data ...evtxtest.Datum) evtxtest.Event {
		at = at.Add(time.Second)
		return evtxtest.Event{Provider: "Microsoft-Windows-ModernDeployment-Diagnostics-Provider", ID: id, Level: 2, Time: at, Computer: "DESKTOP-FAKE001", Data: data}
	}
	log := evtxtest.Log([]evtxtest.Event{
		event(209), event(192, evtxtest.Datum{Name: "HRESULT", Value: evtxtest.Hex32(0x80190190)}), event(189),
	}, evtxtest.Options{})
	name := filepath.Join(t.TempDir(), "MDMDiagReport.zip")
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range []struct{ name, text string }{
		{"Autopilot.evtx", string(log)},
		{"proxy.log", "2026-11-28T09:00:01Z CONNECT ekop.intel.com:443 denied <script>alert(1)</script> \x1b[2J for jane@example.com at DESKTOP-FAKE001\n"},
		{"broken.evtx", "ElfFile\x00"},
	} {
		w, err := z.Create(f.name)
		if err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(f.text))
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestEvidence finds the first cause in an archive, and says so in each form.
func TestEvidence(t *testing.T) {
	name := diagReport(t)
	code, stdout, stderr := exampletest.Run(t, program(), "-timeline", name)
	if code != exitFault || stderr != "" || !strings.HasPrefix(stdout, "The service of the TPM's maker for endorsement key certificates is blocked.\n  phase      Securing your hardware\n  confidence certain\n") {
		t.Errorf("%d\n%s\n%s", code, stdout, stderr)
	}
	for _, want := range []string{"  because    ek-service-blocked", "proxy.log:1: ", "\ntime line\n", "MD 209 there is no endorsement certificate", "note: ", "broken.evtx: the event log cannot be read: header"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("%q is not in\n%s", want, stdout)
		}
	}
	if strings.Contains(stdout, "\x1b") || strings.Contains(stdout, "jane") || strings.Contains(stdout, "FAKE001") {
		t.Errorf("%q", stdout)
	}
	if _, stdout, _ = exampletest.Run(t, program(), "-personal", name); !strings.Contains(stdout, "jane@example.com") {
		t.Error(stdout)
	}

	code, stdout, _ = exampletest.Run(t, program(), "-json", name, "0x80180014")
	var got struct {
		Codes    []struct{ Known bool }
		Sources  []struct{ File, Kind string }
		Findings []struct {
			ID       string
			First    bool
			Evidence []struct{ File string }
		}
		Timeline []struct{ Phase, Event string }
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != exitFault {
		t.Fatal(code, err)
	}
	if len(got.Codes) != 1 || !got.Codes[0].Known || len(got.Sources) != 4 || got.Sources[1].Kind != "event log" || got.Findings[0].ID != "ek-service-blocked" || !got.Findings[0].First || len(got.Timeline) != 4 {
		t.Errorf("%+v", got)
	}
}

func TestPage(t *testing.T) {
	out := filepath.Join(t.TempDir(), "report.html")
	if code, _, stderr := exampletest.Run(t, program(), "-html", out, diagReport(t)); code != exitFault || stderr != "" {
		t.Fatal(code, stderr)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for _, want := range []string{"<section class=\"first\"><h2>The service of the TPM&#39;s maker", "&lt;script&gt;alert(1)", "<tr class=\"error\"><td>2026-11-28 09:00:01.000</td><td>Securing your hardware</td><td>MD 209</td>"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not in the page", want)
		}
	}
	if strings.Contains(page, "<script") || strings.Contains(page, "\x1b") || strings.Contains(page, "%!") {
		t.Error("the page holds what it must not")
	}
}

func TestStandardInput(t *testing.T) {
	c := program()
	for text, want := range map[string]int{"GetCACaps: Not Found\n": exitFault, "all is well\n": 1, "2026-11-28T09:00:00Z all is well\n": 0, "": 1} {
		o := &options{stdin: strings.NewReader(text), args: []string{"-"}}
		c.Do = o.run
		code, stdout, stderr := exampletest.Run(t, c, "-")
		if code != want || want == 0 && !strings.HasPrefix(stdout, "no known fault in 1 file\n") {
			t.Errorf("%q: %d %s", text, code, stdout)
		}
		if said := "diagnose: nothing came on standard input: pipe a log to it, or name a PATH\n"; text == "" && stderr != said {
			t.Error(stderr)
		}
	}
	var out strings.Builder
	o := &options{stdin: strings.NewReader("GetCACaps: Not Found\n"), args: []string{"-", "nonsense"}}
	if err := o.run(t.Context(), &out, nil); err == nil || !strings.HasPrefix(out.String(), "The attestation CA") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// zipped returns a ZIP archive.
func zipped(t *testing.T, files map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range files {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(text))
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// damagedZIP returns a ZIP archive with a file that cannot be unpacked.
func damagedZIP(t *testing.T) string {
	t.Helper()
	b := []byte(zipped(t, map[string]string{"a/log.txt": strings.Repeat("all is well, 0x80180014\n", 99)}))
	at := 30 + len("a/log.txt") // where the packed data begins
	for i := range 20 {
		b[at+i] = 0xFF
	}
	return string(b)
}

// Files in which there is nothing to judge are an error that names them.
func TestUnreadable(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	var empty bytes.Buffer
	if err := zip.NewWriter(&empty).Close(); err != nil {
		t.Fatal(err)
	}
	good := write("good.txt", "2026-11-28T09:00:00Z all is well\n")
	bare := filepath.Join(dir, "bare")
	if err := os.Mkdir(bare, 0o700); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		write("bad.zip", "PK"):             "it is no ZIP archive, though its name says so. Copy it from the device again, and whole\n",
		write("empty.zip", empty.String()): "there is no evidence in it. Give MDMDiagReport.zip, event logs or registry exports\n",
		write("cut.zip", "PK\x03\x04abc"):  "the ZIP archive is damaged or cut off. Copy it from the device again",
		write("foreign.zip", zipped(t, map[string]string{"photo.jpg": "\xff\xd8\xff" + strings.Repeat("\x01", 999)})): "there is no evidence in it that can be read (photo.jpg: neither text nor a known format). Give MDM",
		write("damaged.zip", damagedZIP(t)):                     "a/log.txt in it cannot be read: it is damaged. Copy the archive from the device again\n",
		write("words.txt", "hello\nname: value\n"):              "there is no evidence in it: no code, time or event in it is known. Give MDM",
		write("f.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n"):   "there is no evidence in it: no code, time or event in it is known. Give MDM",
		write("cut.cab", "MSCF"+strings.Repeat("\x00", 60)):     "the cabinet cannot be read: ",
		write("text.cab", "text\n"):                             "it is no cabinet",
		write("broken.evtx", "ElfFile\x00"+good):                "the event log cannot be read: ",
		write("none.har", "{}"):                                 "it is no HTTP archive",
		write("program", "\x7fELF"+strings.Repeat("\x01", 999)): "neither text nor a known format",
		write("empty.txt", ""):                                  "the file is empty. Copy it from",
		bare:                                                    "there is no evidence in it: give the folder with MDMDiagReport.zip, event logs or registry exports\n",
	} {
		code, stdout, stderr := exampletest.Run(t, program(), path)
		if code != 1 || stdout != "" || !strings.HasPrefix(stderr, "diagnose: "+path+": ") || !strings.Contains(stderr, want) {
			t.Errorf("%s: %d: %s", path, code, stderr)
		}
		if code, _, both := exampletest.Run(t, program(), "-json", good, path); code != 1 || both != stderr {
			t.Errorf("beside another file: %s: %d: %s", path, code, both)
		}
	}
	if code, stdout, stderr := exampletest.Run(t, program(), dir); code != 0 || stderr != "" || !strings.HasPrefix(stdout, "no known fault in 1 file; 12 others without evidence\n") {
		t.Errorf("a folder with one that can be read: %d: %s%s", code, stdout, stderr)
	}
}

// The capture of -traffic must be there.
func TestNoTraffic(t *testing.T) {
	code, stdout, stderr := exampletest.Run(t, program(), "-traffic", filepath.Join(t.TempDir(), "x.html"), "none.log")
	if code != 2 || stdout != "" || !strings.HasPrefix(stderr, "diagnose: -traffic: ") || !strings.Contains(stderr, "none.log") {
		t.Errorf("%d: %s%s", code, stdout, stderr)
	}
}

// Files that could not be written in the end are known before anything is read.
func TestOutputFirst(t *testing.T) {
	for _, flag := range []string{"-html", "-traffic"} {
		code, stdout, stderr := exampletest.Run(t, program(), flag, filepath.Join(t.TempDir(), "none", "x"), diagReport(t))
		if code != 2 || stdout != "" || !strings.Contains(stderr, flag+": there is no folder") {
			t.Errorf("%s: %d: %s%s", flag, code, stdout, stderr)
		}
	}
}
