package evidence

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"github.com/whiteglove/whiteglove/internal/cab/cabtest"
	"github.com/whiteglove/whiteglove/internal/evtx/evtxtest"
)

var ctx = context.Background()

// archive returns a ZIP archive of files, in order of their names.
func archive(t testing.TB, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(files[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func cabFiles(files map[string][]byte) (list []cabtest.File) {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		list = append(list, cabtest.File{Name: name, Data: files[name]})
	}
	return list
}

func mszip(files map[string][]byte) []byte {
	return (&cabtest.Cabinet{Folders: []cabtest.Folder{cabtest.MSZIP(cabFiles(files)...)}}).Bytes()
}

func lzx(files map[string][]byte) []byte {
	plan := cabtest.LZXPlan{Bits: 17, Kinds: []int{cabtest.Verbatim, cabtest.Aligned}, Blocks: []int{60_000}}
	return (&cabtest.Cabinet{Folders: []cabtest.Folder{cabtest.LZX(plan, cabFiles(files)...)}}).Bytes()
}

// TestForms reads one piece of evidence in every form, and finds the same.
func TestForms(t *testing.T) {
	b := goodRun()
	b.event("MD", 209).event("MD", 192, "HRESULT", hr(0x80190190), "Attempt", uint32(10), "Max", uint32(10)).event("MD", 189)
	files := b.contents()
	want := b.report(t)
	if len(want.Findings) < 3 || want.Findings[0].ID != "ek-missing" {
		t.Fatalf("%s", describe(want))
	}
	nested := archive(t, map[string][]byte{"logs/MDMDiagReport.cab": mszip(files)})
	for name, data := range map[string][]byte{"a.zip": archive(t, files), "mszip.cab": mszip(files), "lzx.cab": lzx(files), "nested.zip": nested} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			var c Case
			if err := c.AddPath(ctx, path); err != nil {
				t.Fatal(err)
			}
			same(t, c.Report(), want)
			c = Case{}
			if err := c.Add(ctx, name, iotest.HalfReader(bytes.NewReader(data))); err != nil {
				t.Fatal(err)
			}
			r := c.Report()
			same(t, r, want)
			if s := r.Sources[len(r.Sources)-1].Name; !strings.HasPrefix(s, name+"!") {
				t.Errorf("the last source is %s", s)
			}
		})
	}
	var c Case
	if err := c.AddPath(ctx, b.folder(t)); err != nil {
		t.Fatal(err)
	}
	same(t, c.Report(), want)
}

// same compares findings and time lines, without the names of files.
func same(t *testing.T, got, want *Report) {
	t.Helper()
	if !slices.Equal(ids(got), ids(want)) || len(got.Timeline) != len(want.Timeline) {
		t.Errorf("%v and %d entries, want %v and %d\n%s", ids(got), len(got.Timeline), ids(want), len(want.Timeline), describe(got))
	}
}

// TestExports finds in exports what it finds in the logs.
func TestExports(t *testing.T) {
	xml := `<Events><Event><System><Provider Name='Microsoft-Windows-ModernDeployment-Diagnostics-Provider'/><EventID>192</EventID><Level>3</Level><TimeCreated SystemTime='2026-11-28T09:00:00Z'/></System><EventData><Data Name='HRESULT'>-2145844844</Data></EventData></Event></Events>`
	text := "Event[0]:\r\n  Log Name: Microsoft-Windows-ModernDeployment-Diagnostics-Provider/Autopilot\r\n  Source: Microsoft-Windows-ModernDeployment-Diagnostics-Provider\r\n  Date: 2026-11-28T09:00:00.000\r\n  Event ID: 192\r\n  Level: Warning\r\n  Description: \r\nAIK enrollment failed. HRESULT = 0x80190194\r\n"
	rows := "Ebene\tDatum und Uhrzeit\tQuelle\tEreignis-ID\tAufgabenkategorie\nWarnung\t28.11.2026 09:00:00\tMicrosoft-Windows-ModernDeployment-Diagnostics-Provider\t192\tKeine\tFehler 0x80190194\n"
	for name, in := range map[string]string{"log.xml": xml, "log.txt": text, "gespeichert.txt": rows} {
		r := new(bundle).file(name, in).report(t)
		if f := find(r, "aik-unknown-maker"); f == nil || f.Evidence[0].Record == 0 && name != "log.xml" || r.Timeline[0].Local == (name == "log.xml") || len(r.Timeline) != 1 || r.Timeline[0].Phase != phaseSecuring {
			t.Errorf("%s: %s %+v", name, describe(r), r.Timeline)
		}
	}
}

func TestKinds(t *testing.T) {
	log := string(evtxtest.Log([]evtxtest.Event{{Provider: "p", ID: 1, Time: start}}, evtxtest.Options{}))
	for in, want := range map[[2]string]string{
		{"a.evtx", log}: kindEventLog,
		{"a.reg", "\xFF\xFEW\x00i\x00n\x00d\x00o\x00w\x00s\x00 \x00R\x00e\x00g\x00i\x00s\x00t\x00r\x00y\x00 \x00E\x00d\x00i\x00t\x00o\x00r\x00"}: kindRegistry,
		{"a.reg", "REGEDIT4\r\n"}:                                           kindRegistry,
		{"a.json", `{"CloudAssignedTenantId":""}`}:                          kindProfile,
		{"a.xml", `<?xml version="1.0"?><MDMEnterpriseDiagnosticsReport/>`}: kindMarkup,
		{"a.csv", csvHeader}:                                                kindDevices,
		{"a.txt", dsregJoined}:                                              kindDSReg,
		{"a.txt", tpmReady}:                                                 kindTPMTool,
		{"CertReq_enrollaik_Output.txt", ""}:                                kindCertReq,
		{"setupact.log", "2026-11-28 09:00:00, Info"}:                       kindLog,
		{"a.ZIP", "PK"}:                                                     kindUnread,
		{"a.har", "{}"}:                                                     kindUnread,
		{"MDMDiagReport.cab", "hello"}:                                      kindUnread,
		{"a.evtx", "hello"}:                                                 kindUnread,
		{"a.log", "<![LOG[x]LOG]!>"}:                                        kindLog,
		{"notes", "hello"}:                                                  kindText,
		{"a.etl", "\x00\x01\x02\x03\x04\x05\x06\x07\x08"}:                   kindUnread,
		{"a.png", "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x01\x02\x03\x04"}: kindUnread,
	} {
		if got := kindOf(in[0], []byte(in[1])); got != want {
			t.Errorf("%s %.20q: %s, want %s", in[0], in[1], got, want)
		}
	}
}

// TestDamage reads what is left of damaged evidence, and names what is not.
func TestDamage(t *testing.T) {
	files := map[string][]byte{
		"bad.evtx": evtxtest.Log(goodRun().events, evtxtest.Options{Dirty: true}), "cut.xml": []byte("<Events><Event>"),
		"fault.txt": []byte("0x80180014"), "binary.dat": bytes.Repeat([]byte{1, 0, 2}, 50), "bad.json": []byte(`{"CloudAssignedX": `), "bad.cab": []byte("MSCF"), "bad.zip": []byte("PK\x03\x04"),
	}
	files["bad.evtx"][4096+600] ^= 0xFF
	packed := mszip(files)
	var c Case
	if err := c.Add(ctx, "x.cab", bytes.NewReader(packed)); err != nil {
		t.Fatal(err)
	}
	r := c.Report()
	if find(r, "not-unblocked") == nil {
		t.Errorf("%s", describe(r))
	}
	problems := 0
	for _, s := range r.Sources {
		if len(s.Problems) > 0 {
			problems++
		}
	}
	if problems != 6 {
		t.Errorf("%s", describe(r))
	}
	packed[len(packed)-len(packed)/3] ^= 1
	c = Case{}
	if err := c.Add(ctx, "x.cab", bytes.NewReader(packed)); err != nil {
		t.Fatal(err)
	}
	if s := fmt.Sprint(c.Report().Sources); !strings.Contains(s, "checksum") {
		t.Error(s)
	}
	z := archive(t, map[string][]byte{"a.txt": []byte(strings.Repeat("0x80180014 ", 1000)), "b.txt": []byte("0x801C000E")})
	z[60] ^= 0xFF // within the first file
	c = Case{}
	if err := c.Add(ctx, "x.zip", bytes.NewReader(z)); err != nil {
		t.Fatal(err)
	}
	if r := c.Report(); find(r, "join-quota") == nil || len(r.Sources[1].Problems) == 0 {
		t.Errorf("%s", describe(r))
	}
}

// TestNames keeps what archives call their files below the archive's name.
func TestNames(t *testing.T) {
	evil := map[string][]byte{`..\..\windows\x.txt`: []byte("0x80180014"), "/etc/x.txt": []byte("a"), "C:\\x\x1b[31m.txt": []byte("b"), "\xff\xc3.txt": []byte("0x80180014 \xff")}
	dir := t.TempDir()
	t.Chdir(dir)
	for name, data := range map[string][]byte{"a.zip": archive(t, evil), "a.cab": mszip(evil)} {
		var c Case
		if err := c.Add(ctx, name, bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
		for _, s := range c.Report().Sources {
			if !strings.HasPrefix(s.Name, name) || strings.Contains(s.Name, "..") || strings.ContainsRune(s.Name, 0x1b) || !utf8.ValidString(s.Name) {
				t.Errorf("%q", s.Name)
			}
		}
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("files were written: %v", left)
	}
}

func TestLimits(t *testing.T) {
	many := map[string][]byte{}
	for i := range 20 {
		many[fmt.Sprintf("%02d.txt", i)] = []byte("text 0x80180014\n")
	}
	c := Case{MaxFiles: 5}
	if err := c.Add(ctx, "a.zip", bytes.NewReader(archive(t, many))); !errors.Is(err, ErrLimit) || len(c.Report().Sources) != 5 {
		t.Error(err, len(c.Report().Sources))
	}
	var e *Error
	c = Case{MaxBytes: 1000}
	err := c.Add(ctx, "a.txt", strings.NewReader(strings.Repeat("0x80180014 \n", 1000)))
	if !errors.Is(err, ErrLimit) || !errors.As(err, &e) || e.Name != "a.txt" || find(c.Report(), "not-unblocked") == nil {
		t.Error(err)
	}
	// An archive that unpacks to much more than it has.
	bomb := archive(t, map[string][]byte{"a.txt": bytes.Repeat([]byte(" "), 40<<20), "b.txt": []byte("0x80180014")})
	c = Case{}
	if err := c.Add(ctx, "bomb.zip", bytes.NewReader(bomb)); err != nil {
		t.Fatal(err)
	}
	if r := c.Report(); !strings.Contains(fmt.Sprint(r.Sources), "times its size") || find(r, "not-unblocked") == nil {
		t.Errorf("%s", describe(r))
	}
	// Archives in archives.
	data := []byte("0x80180014")
	name := "a.txt"
	for range maxNesting + 2 {
		data = archive(t, map[string][]byte{name: data})
		name = "a.zip"
	}
	c = Case{}
	if err := c.Add(ctx, name, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	if s := fmt.Sprint(c.Report().Sources); !strings.Contains(s, "nested too deeply") {
		t.Error(s)
	}
	// Storms of one event.
	storm := new(bundle)
	for range maxSameEvent + 50 {
		storm.event("MD", 100, "Name", "x")
	}
	if r := storm.event("MD", 115).report(t); find(r, "duplicate-mdm") == nil || !strings.Contains(fmt.Sprint(r.Sources), "50 records") {
		t.Errorf("%s", describe(r))
	}
}

func TestErrors(t *testing.T) {
	var c Case
	var e *Error
	if err := c.AddPath(ctx, filepath.Join(t.TempDir(), "none")); !errors.As(err, &e) || !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	broken := errors.New("broken")
	if err := c.Add(ctx, "x", iotest.ErrReader(broken)); !errors.As(err, &e) || !errors.Is(err, broken) || err.Error() != "evidence: x: broken" {
		t.Error(err)
	}
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	for name, add := range map[string]func() error{
		"text":   func() error { return c.Add(canceled, "x", strings.NewReader("text")) },
		"zip":    func() error { return c.Add(canceled, "x", bytes.NewReader(archive(t, goodRun().contents()))) },
		"folder": func() error { return c.AddPath(canceled, goodRun().folder(t)) },
	} {
		if err := add(); !errors.As(err, &e) || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
	dir := t.TempDir()
	if runtime.GOOS != "windows" && os.Getuid() != 0 {
		os.WriteFile(filepath.Join(dir, "secret"), nil, 0)
	}
	os.WriteFile(filepath.Join(dir, "a.txt"), []byte("0x80180014"), 0o600)
	os.Symlink("/nowhere", filepath.Join(dir, "link"))
	if err := c.AddPath(ctx, dir); err != nil || find(c.Report(), "not-unblocked") == nil {
		t.Error(err)
	}
}

// TestTimeline is in order, over all files, with phases and words.
func TestTimeline(t *testing.T) {
	b := events("MD", 164).event("MD", 192, "HRESULT", hr(0x80190194)).event("UDR", 204, "ExitCode", hr(0x801C03EA)).event("KG", 12).event("MD", 9999).
		file("IntuneManagementExtension.log", `<![LOG[failed 0x87D1041C]LOG]!><time="09:00:15.5" date="11-28-2026" component="x">`)
	b.events[4].Level = 2 // no meaning is known, but it is an error
	r := b.report(t)
	var got []string
	for _, e := range r.Timeline {
		got = append(got, fmt.Sprint(e.Phase, "|", e.Event, "|", e.Level, "|", e.Local))
	}
	want := []string{
		"|MD 164|information|false", "Securing your hardware|MD 192|information|false", "||warning|true",
		"Registering your device for mobile management|UDR 204|information|false", "|KG 12|information|false", "|MD 9999|error|false",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q", got)
	}
	if s := r.Timeline[1].String(); !strings.HasPrefix(s, "2026-11-28 09:00:10.000 Securing your hardware: MD 192 enrolling the attestation key failed") || !strings.HasSuffix(s, "(HRESULT=0x80190194)") {
		t.Error(s)
	}
	if r.Timeline[4].Text != "Windows starts" || r.Timeline[1].Record != 2 {
		t.Errorf("%+v", r.Timeline)
	}
}

// TestPersonal writes no personal data unless it is asked for.
func TestPersonal(t *testing.T) {
	b := goodRun()
	b.event("UDR", 204, "ExitCode", hr(0x801C000E), "Message", "quota of jane.doe@contoso-invented.onmicrosoft.com at DESKTOP-FAKE001, object 11111111-2222-3333-4444-555555555555, S-1-5-21-1-2-3-1001").
		event("UDR", 202, "Domain", "fabrikam-invented.example", "ExitCode", hr(0x801C0003)).event("UDR", 201, "User", "System", "ExitCode", hr(0x801C0003)).
		event("UDR", 203, "AuthToken", "eyJhbGciOiJub25lIn0.eyJhIjoxfQ.abcdef", "ExitCode", hr(0x801C0002)).
		file("devices.csv", csvHeader+"SERIAL4711,,"+hash("SERIAL4711", 1)+"\r\n").
		file("notes.txt", "SERIAL4711 in C:\\Users\\jane\\Desktop failed with 0x80180014, MAC 00:11:22:33:44:55\n")
	secrets := []string{"jane", "FAKE001", "SERIAL4711", "11111111-2222", "eyJhbGci", "contoso-invented", "S-1-5-21-1", "00:11:22", "fabrikam"}
	for _, personal := range []bool{false, true} {
		c := Case{Personal: personal}
		files := b.contents()
		for _, name := range slices.Sorted(maps.Keys(files)) {
			if err := c.Add(ctx, name, bytes.NewReader(files[name])); err != nil {
				t.Fatal(err)
			}
		}
		out, err := json.Marshal(c.Report())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range secrets {
			shown := bytes.Contains(out, []byte(s))
			if shown && !personal || !shown && personal && s != "eyJhbGci" && s != "contoso-invented" {
				t.Errorf("Personal %v: %s shown: %v", personal, s, shown)
			}
		}
	}
}

// TestRegistry reads values of all types.
func TestRegistry(t *testing.T) {
	reg := "Windows Registry Editor Version 5.00\r\n\r\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\X]\r\n@=\"default\"\r\n\"S\"=\"a \\\"b\\\" \\\\c\"\r\n\"D\"=dword:80180014\r\n\"Q\"=hex(b):01,00,00,00,00,00,00,00\r\n" +
		"\"E\"=hex(2):61,00,\\\r\n  62,00,00,00\r\n\"M\"=hex(7):61,00,00,00,62,00,00,00,00,00\r\n\"B\"=hex:de,ad\r\n\"J\"=\"{\\\"ErrorCode\\\":807}\"\r\n\"bad\r\n\"X\"=dword:zz\r\n\"Y\"=hex:1\r\n"
	var c Case
	if err := c.Add(ctx, "a.reg", strings.NewReader(reg)); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, f := range c.facts {
		if f.name != "" {
			got[f.name] = f.value
		}
	}
	want := map[string]string{"@": "default", "S": `a "b" \c`, "D": "2149056532", "Q": "1", "E": "ab", "M": "a\nb", "B": "dead", "J": `{"ErrorCode":807}`, "ErrorCode": "807", "X": "zz", "Y": "1"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q", got)
	}
	if r := c.Report(); find(r, "not-registered") == nil || find(r, "not-unblocked") == nil {
		t.Errorf("%s", describe(r))
	}
}

func TestMarkup(t *testing.T) {
	html := "<html><table><tr><td>AzureAdJoined</td><td>NO</td></tr>\n<tr><td>Ready For Attestation</td><td>False</td></tr><tr><td>Error</td><td>0x80180014 &amp; more</td></tr></table></html>"
	r := new(bundle).file("MDMDiagReport.html", html).report(t)
	if f := find(r, "tpm-not-ready"); f == nil || f.Evidence[0].Line != 2 || find(r, "not-unblocked") == nil {
		t.Errorf("%s", describe(r))
	}
}

func TestTextCodes(t *testing.T) {
	for in, want := range map[string][]uint32{
		"":                             nil,
		"0x80180014, 0X801C03EA.":      {0x80180014, 0x801C03EA},
		"0xFFFFFFFF80180014":           {0x80180014},
		"(-2145910764)":                {0x80180014},
		"-2145910764 0x80180014":       {0x80180014},
		"0x0 0x7 0x10000000000 -1 x80": nil,
		"0x40000 2149056532":           nil,
		"-99999999999":                 nil,
		"0x":                           nil,
	} {
		if got := textCodes(nil, in); !slices.Equal(got, want) {
			t.Errorf("%q: %x, want %x", in, got, want)
		}
	}
	if got := valueCodes(nil, " 2149056532"); !slices.Equal(got, []uint32{0x80180014}) {
		t.Errorf("%x", got)
	}
}

func TestLineTime(t *testing.T) {
	at := time.Date(2026, 11, 28, 9, 8, 7, 0, time.UTC)
	for line, local := range map[string]bool{
		"2026-11-28 09:08:07, Info CBS": true, "2026-11-28T09:08:07Z x": false, "[2026-11-28 09:08:07.000] x": true, "2026-11-28T11:08:07+02:00": false,
		`<![LOG[x]LOG]!><time="09:08:07.1234567" date="11-28-2026" component="c">`: true,
	} {
		if got, l := lineTime(line); !got.Equal(at) || l != local {
			t.Errorf("%s: %v %v", line, got, l)
		}
	}
	for _, line := range []string{"", "x 2026-11-28 09:08:07 far in the line", "2026-13-28 09:08:07", "<![LOG[x]LOG]!>"} {
		if got, _ := lineTime(line); !got.IsZero() {
			t.Errorf("%s: %v", line, got)
		}
	}
}
