package main

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/examples/internal/exampletest"
	"github.com/whiteglove/whiteglove/provision"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// runProvision runs the program.
func runProvision(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return exampletest.Run(t, program(), args...)
}

// start starts a mock server and returns the flags that name it.
func start(t *testing.T, s *provisiontest.Server) []string {
	t.Helper()
	roots := exampletest.StartMock(t, s)
	return []string{"-server", s.URL, "-roots", roots}
}

// steps are the steps of a run without flags.
var steps = []string{"ek", "aik", "discover", "token", "keys", "join", "enroll"}

func TestNoFlags(t *testing.T) {
	code, stdout, stderr := runProvision(t)
	if code != 0 || stderr != "" {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if len(lines) != len(steps)+2 || !strings.Contains(lines[0], "emulated TPM") || !strings.Contains(lines[len(lines)-1], "is enrolled") {
		t.Fatalf("it printed\n%s", stdout)
	}
	for _, step := range steps {
		if strings.Count(stdout, "\ndone     "+step+" ") != 1 {
			t.Errorf("step %s is not done once:\n%s", step, stdout)
		}
	}
}

// A TPM that does not answer ends the run at its time limit, with what to do.
func TestSilentTPM(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	line := exampletest.Explained(t, program(), "-timeout", "100ms", "-tpm", "tcp:"+l.Addr().String())
	if !strings.Contains(line, "TPM2_Startup") || !strings.Contains(line, "has not answered for") || !strings.Contains(line, "off and on") {
		t.Error(line)
	}
}

func TestOut(t *testing.T) {
	flags := start(t, &provisiontest.Server{AdmitAny: true})
	dir, state, tpm := t.TempDir(), filepath.Join(t.TempDir(), "state"), filepath.Join(t.TempDir(), "tpm")
	flags = append(flags, "-tpm", "soft:"+tpm, "-state", state, "-out", dir)
	if code, _, stderr := runProvision(t, flags...); code != 0 {
		t.Fatal(stderr)
	}
	first := readSummary(t, dir)
	for _, name := range []string{"ek", "aik", "device", "mdm"} {
		checkPair(t, dir, name, tpm)
	}
	// The second run takes no step: it finds the results of the first.
	code, stdout, stderr := runProvision(t, flags...)
	if code != 0 || strings.Contains(stdout, "done ") {
		t.Fatalf("exit %d: %s%s", code, stdout, stderr)
	}
	second := readSummary(t, dir)
	if first.DeviceID == "" || first.DeviceID != second.DeviceID || first.AIKName != second.AIKName || len(first.AIKName) != 68 {
		t.Errorf("summaries differ: %+v, %+v", first, second)
	}
}

// readSummary reads summary.json.
func readSummary(t *testing.T, dir string) summary {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "summary.json"))
	if err != nil {
		t.Fatal(err)
	}
	var s summary
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	if len(s.Steps) != len(steps) || len(s.EKSHA256) != 64 || s.TenantID == "" {
		t.Errorf("summary %+v", s)
	}
	return s
}

// checkPair checks that a certificate was written. If there is a key with it, it
// checks that the TPM loads the key and that the certificate is for that.
func checkPair(t *testing.T, dir, name, state string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name+".pem"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("%s.pem is not PEM", name)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if name == "ek" {
		return
	}
	chip, err := attesttest.New(attesttest.Config{StateFile: state})
	if err != nil {
		t.Fatal(err)
	}
	defer chip.Close()
	text, err = os.ReadFile(filepath.Join(dir, name+"-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := (&attest.TPM{Transport: chip}).LoadKey(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	if !cert.PublicKey.(interface{ Equal(crypto.PublicKey) bool }).Equal(key.Public()) {
		t.Errorf("%s.pem is not of %s-key.pem", name, name)
	}
}

func TestEnrollEK(t *testing.T) {
	flags := start(t, &provisiontest.Server{AdmitAny: true})
	for _, algorithm := range []string{"rsa2048", "p256"} {
		dir := t.TempDir()
		if code, _, stderr := runProvision(t, append(flags, "-ek-enroll", "-ek", algorithm, "-out", dir)...); code != 0 {
			t.Fatalf("%s: %s", algorithm, stderr)
		}
		certs, err := command.ReadCertificates(filepath.Join(dir, "ek.pem"))
		if err != nil {
			t.Fatal(err)
		}
		if got := device.KeyName(certs[0].PublicKey); got != algorithm {
			t.Errorf("the certificate is of a key of %s, not %s", got, algorithm)
		}
	}
}

// TestUserPhase runs the technician's phase, and then the user's phase from the
// stored state.
func TestUserPhase(t *testing.T) {
	flags := start(t, &provisiontest.Server{AdmitAny: true, Users: map[string]string{"ada@contoso.test": "pass word"}})
	password := exampletest.File(t, []byte("pass word\n"))
	flags = append(flags, files(t)...)
	code, stdout, stderr := runProvision(t, append(flags, "-steps", "technician", "-pause", "1ms")...)
	if code != 0 || !strings.Contains(stdout, "status page: succeeded") || !strings.Contains(stdout, "is sealed, to be handed over") {
		t.Fatalf("exit %d: %s%s", code, stdout, stderr)
	}
	code, stdout, stderr = runProvision(t, append(flags, "-steps", "user", "-user", "ada@contoso.test", "-password", "@"+password)...)
	if code != 0 || !strings.Contains(stdout, "done     signin") || !strings.Contains(stdout, "is ada@contoso.test's") || !strings.Contains(stdout, "warning: ") {
		t.Fatalf("exit %d: %s%s", code, stdout, stderr)
	}
	noSecrets(t, filepath.Dir(flags[len(flags)-1]), "pass word")
	if code, _, stderr := runProvision(t, append(flags, "-steps", "rejoin")...); code != 2 || !strings.Contains(stderr, "rejoin") {
		t.Errorf("without a user: exit %d: %s", code, stderr)
	}
}

func TestSealAndTraces(t *testing.T) {
	dir := t.TempDir()
	md, har, page := filepath.Join(dir, "md"), filepath.Join(dir, "har"), filepath.Join(dir, "html")
	code, stdout, stderr := runProvision(t, "-steps", "technician", "-trace-md", md, "-har", har, "-report", page)
	if code != 0 || !strings.Contains(stdout, "done     seal") {
		t.Fatalf("exit %d: %s%s", code, stdout, stderr)
	}
	for _, name := range []string{md, har, page} {
		text, err := os.ReadFile(name)
		if err != nil || !bytes.Contains(text, []byte("seal")) || !bytes.Contains(text, []byte("DELETE")) {
			t.Errorf("%s: %d bytes, %v", filepath.Base(name), len(text), err)
		}
	}
}

// TestSealEarly has the device leave the tenant before its sessions.
func TestSealEarly(t *testing.T) {
	code, stdout, stderr := runProvision(t, "-steps", "technician", "-seal-early", "-pause", "1ms")
	seal, session := regexp.MustCompile(`(?m)^done +seal`).FindStringIndex(stdout), regexp.MustCompile(`(?m)^done +session`).FindStringIndex(stdout)
	if code != 0 || seal == nil || session == nil || seal[0] > session[0] {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
}

func TestJSON(t *testing.T) {
	code, stdout, stderr := runProvision(t, "-json")
	if code != 0 {
		t.Fatal(stderr)
	}
	var got []string
	last := ""
	for sc := bufio.NewScanner(strings.NewReader(stdout)); sc.Scan(); {
		var ev struct {
			Time, Step, Status string
			Result             *struct{ DeviceID, Reached string }
		}
		if err := json.Unmarshal(sc.Bytes(), &ev); err != nil || (ev.Time == "") != (ev.Result != nil) {
			t.Fatalf("%q: %v", sc.Text(), err)
		}
		if ev.Result != nil {
			last = sc.Text()
			if ev.Result.DeviceID == "" || ev.Result.Reached != "enrolled" {
				t.Errorf("%q", sc.Text())
			}
		}
		if ev.Status == "done" {
			got = append(got, ev.Step)
		}
	}
	if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(steps))) {
		t.Errorf("done are %q", got)
	}
	if !strings.HasSuffix(stdout, last+"\n") || last == "" {
		t.Errorf("the result is not the last line: %s", stdout)
	}
}

func TestFailure(t *testing.T) {
	s := new(provisiontest.Server) // no device is imported
	flags := start(t, s)
	code, _, stderr := runProvision(t, flags...)
	if code != 1 || strings.Count(stderr, "\n") != 1 {
		t.Fatalf("exit %d: %q", code, stderr)
	}
	for _, want := range []string{"provision: token: Authenticate ", "0x801C03EA", "registered for pre-provisioning"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("%q lacks %q", stderr, want)
		}
	}
	if r := s.Refusals(); len(r) != 1 || !strings.Contains(r[0], "no device with this endorsement key") {
		t.Errorf("refusals %q", r)
	}
	code, stdout, _ := runProvision(t, append(flags, "-json")...)
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	var last struct {
		Result struct {
			Error *struct {
				Step, Code, Remedy string
				Retryable          bool
			}
		}
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || code != 1 || last.Result.Error == nil {
		t.Fatalf("exit %d, %v: %s", code, err, stdout)
	}
	if e := last.Result.Error; e.Step != "token" || e.Code != "0x801C03EA" || e.Remedy == "" || e.Retryable {
		t.Errorf("%+v", e)
	}
}

// A retry says why with the code of Windows, and a step that waits when the time is up
// has failed.
func TestAtLimit(t *testing.T) {
	fault, err := provisiontest.ParseFault("discover:503:all")
	if err != nil {
		t.Fatal(err)
	}
	server := &provisiontest.Server{Faults: []provisiontest.Fault{fault}}
	roots := exampletest.StartMock(t, server)
	code, stdout, stderr := runProvision(t, "-server", server.URL, "-roots", roots, "-steps", "ek,discover", "-timeout", "3s")
	if code != 1 || !strings.Contains(stderr, "(0x801901F7 ") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	for _, want := range []string{"\n         Discover " + server.URL, " (0x801901F7 HTTP_E_STATUS_SERVICE_UNAVAIL); again in ", "\nfailed   discover  "} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in:\n%s", want, stdout)
		}
	}
}

// What is wrong with the state's file is said with its name.
func TestBadState(t *testing.T) {
	file := exampletest.File(t, []byte("text"))
	if code, _, stderr := runProvision(t, "-state", file); code != 2 || !strings.HasPrefix(stderr, "provision: -state: ") || !strings.Contains(stderr, file) || !strings.Contains(stderr, "If there is none, remove it") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if code, _, stderr := runProvision(t, "-srk", "0x81000001", "-srk-auth", "x"); code != 1 || !strings.Contains(stderr, "Correct it (-srk-auth); if the storage root key has none, leave it out.") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if code, _, stderr := runProvision(t, "-steps", "session"); code != 2 || strings.Count(stderr, "-steps") != 1 || strings.Count(stderr, "-state") != 1 {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{
		{"-no-such-flag"},
		{"extra"},
		{"-roots", "x"},
		{"-ek", "rsa1024"},
		{"-timeout", "0s"},
		{"-timeout", "soon"},
		{"-user", "x"},
		{"-pause", "0s"},
		{"-server", "foo"},
		{"-server", "http://mock.test"},
		{"-server", "http://127.0.0.1:1"},
		{"-server", "https://127.0.0.1:1?x"},
		{"-steps", "dance"},
		{"-steps", "ek,user"},
		{"-report", filepath.Join("no", "such", "run.html")},
		{"-state", filepath.Join("no", "state")},
		{"-state", "."},
		{"-out", filepath.Join("main.go", "x")},
		{"-har", "."},
		{"-trace-md", filepath.Join("no", "trace.md")},
		{"-server", "https://u:p@mock.test"},
		{"-tenant", "foo bar"},
		{"-tpm", "hard"},
		{"-tpm", "swtpm"},
		{"-tpm", "/dev/tpmrm0"},
		{"-srk", "x"},
		{"-srk", "81000001"},
		{"-srk", "0x1"},
	} {
		if code, _, stderr := runProvision(t, args...); code != 2 || !strings.HasSuffix(stderr, "; see provision -h\n") {
			t.Errorf("%q: exit %d, %q", args, code, stderr)
		}
	}
	if code, _, _ := runProvision(t, "-h"); code != 0 {
		t.Errorf("-h: exit %d", code)
	}
	for _, tpm := range []string{"unix:" + filepath.Join(t.TempDir(), "none"), "device:" + filepath.Join(t.TempDir(), "none")} {
		if code, _, stderr := runProvision(t, "-tpm", tpm); code != 1 || strings.Count(stderr, "\n") != 1 {
			t.Errorf("-tpm %s: exit %d, %q", tpm, code, stderr)
		}
	}
}

// TestTerminal checks that a terminal shows the running steps and then
// overwrites them.
func TestTerminal(t *testing.T) {
	var out bytes.Buffer
	r := &reporter{out: &out, terminal: true, counts: new(counts)}
	for _, ev := range []provision.Event{
		{Step: provision.StepAIK, Status: provision.Started},
		{Step: provision.StepKeys, Status: provision.Started},
		{Step: provision.StepKeys, Status: provision.Done},
		{Step: provision.StepAIK, Status: provision.Done},
	} {
		r.observe(ev)
	}
	text := out.String()
	if !strings.Contains(text, "\r\x1b[K…        aik, keys\r\x1b[Kdone     keys ") || !strings.Contains(text, "…        aik\r\x1b[Kdone     aik ") || strings.Count(text, "\n") != 2 {
		t.Errorf("it showed %q", text)
	}
}

// What the program says of itself, and of wrong flags.
func TestHelp(t *testing.T) { exampletest.Help(t, program()) }

// A file that cannot be written in the end does not hide how far the device is.
func TestUnwritten(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("there is no /dev/full")
	}
	code, stdout, stderr := runProvision(t, "-report", "/dev/full")
	if code != 1 || !strings.Contains(stdout, " is enrolled: ") || !strings.HasPrefix(stderr, "provision: the run succeeded, but a file was not written: -report: write /dev/full: ") {
		t.Errorf("%d: %s%s", code, stdout, stderr)
	}
	// A step that is missing is named with what to do, once.
	if code, _, stderr = runProvision(t, "-steps", "join"); code != 2 || strings.Count(stderr, "-steps") != 1 || !strings.Contains(stderr, "(ek, aik, keys)") {
		t.Errorf("%d: %s", code, stderr)
	}
	if code, _, stderr = runProvision(t, "-steps", "tecnician"); code != 2 || !strings.Contains(stderr, "name some of technician, user, ek, aik, ") {
		t.Errorf("%d: %s", code, stderr)
	}
}

// A state of a run with other services, of a device that joined or enrolled there, is
// refused before anything is asked.
func TestOtherServer(t *testing.T) {
	first := start(t, &provisiontest.Server{AdmitAny: true})
	second := start(t, &provisiontest.Server{AdmitAny: true})
	for _, steps := range []string{"ek,aik,keys,discover,token,join", "ek,aik,keys,discover,token,join,enroll"} {
		state := filepath.Join(t.TempDir(), "state")
		if code, _, stderr := runProvision(t, append(first, "-state", state, "-steps", steps)...); code != 0 {
			t.Fatal(stderr)
		}
		for _, other := range [][]string{second, nil} {
			code, _, stderr := runProvision(t, append(other, "-state", state)...)
			want := "-state " + state + ": it belongs to the services at " + first[1] + ", not to those of this run: give -server " + first[1] + " if they still run, or another state"
			if code != 2 || !strings.Contains(stderr, want) {
				t.Errorf("%q, then with %q: %d: %s", steps, other, code, stderr)
			}
		}
		if code, _, stderr := runProvision(t, append(first, "-state", state)...); code != 0 {
			t.Error(stderr)
		}
	}
}

func TestOrigin(t *testing.T) {
	for raw, want := range map[string]string{
		"https://localhost:1/x": "https://127.0.0.1:1 true", "https://[::1]:1": "https://127.0.0.1:1 true",
		"https://mdm.test:1/x": "https://mdm.test:1 false", "\x7f": " false", "": " false",
	} {
		if of, local := origin(raw); fmt.Sprint(of, " ", local) != want {
			t.Errorf("%q: %q %v", raw, of, local)
		}
	}
}
