package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/drs/drstest"
	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/examples/internal/exampletest"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

func TestAllSteps(t *testing.T) {
	for _, spec := range []string{"soft", "swtpm:" + t.TempDir()} {
		if d, err := device.Open(t.Context(), spec); errors.Is(err, attesttest.ErrNoSWTPM) && os.Getenv("WHITEGLOVE_REQUIRE_SWTPM") == "" {
			t.Skip(err)
		} else if err == nil {
			d.Close()
		}
		code, out, errs := exampletest.Run(t, program(), "-tpm", spec)
		if code != 0 {
			t.Fatalf("%s: %d: %s%s", spec, code, out, errs)
		}
		for _, s := range steps {
			if !strings.Contains(out, "\n"+s.name) {
				t.Errorf("%s: no step %s in %s", spec, s.name, out)
			}
		}
	}
}

// TestStepsAlone takes each step in a run of its own, with what the one before
// it left.
func TestStepsAlone(t *testing.T) {
	server := &provisiontest.Server{AdmitAny: true, Users: map[string]string{defaultUser: defaultPassword}}
	roots := exampletest.StartMock(t, server)
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	take := func(step string) (int, string) {
		code, text, errs := exampletest.Run(t, program(), "-step", step, "-server", server.URL, "-roots", roots, "-out", out, "-tpm", "soft:"+filepath.Join(dir, "tpm"),
			"-password", "@"+exampletest.File(t, []byte(defaultPassword+"\n")))
		return code, text + errs
	}
	if code, text := take("leave"); code != 2 || !strings.Contains(text, filepath.Join(out, fileDevice)+" is missing: take the steps before this one") {
		t.Errorf("left without a join: %d %s", code, text)
	}
	if code, _, text := exampletest.Run(t, program(), "-step", "leave", "-server", server.URL, "-roots", roots); code != 2 || !strings.Contains(text, "give -out with the folder") {
		t.Errorf("left without a folder: %d %s", code, text)
	}
	if err := os.MkdirAll(out, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(out, fileDevice), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, text := take("leave"); code != 2 || !strings.Contains(text, filepath.Join(out, fileDevice)+" is empty or damaged") {
		t.Errorf("left with an empty file: %d %s", code, text)
	}
	if err := os.Remove(filepath.Join(out, fileDevice)); err != nil {
		t.Fatal(err)
	}
	for _, s := range steps {
		if code, text := take(s.name); code != 0 {
			t.Fatalf("%s: %s%q", s.name, text, server.Refusals())
		}
	}
	o := server.Directory.Objects()
	if len(o) != 1 || !o[0].Enabled || o[0].Owner != defaultUser || o[0].AttestationLevel != 3 || len(server.Directory.Sessions()) != 1 {
		t.Errorf("objects %+v", o)
	}
	files, err := os.ReadDir(out)
	if err != nil || len(files) != 7 {
		t.Errorf("%v, %v", files, err)
	}
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(out, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), defaultPassword) || strings.Contains(string(text), "PRIVATE KEY") && !strings.Contains(string(text), "TSS2 PRIVATE KEY") {
			t.Errorf("%s has a secret", f.Name())
		}
	}
	if code, text := take("leave"); code != 0 || server.Directory.Objects()[0].Enabled {
		t.Errorf("left: %d %s", code, text)
	}
	if code, text := take("signin"); code != 2 || !strings.Contains(text, "device.pem") {
		t.Errorf("signed in without a join: %d %s", code, text)
	}
}

// A directory that behaves as the public service is joined with a device ticket, and with
// nothing else.
func TestTicket(t *testing.T) {
	server := &provisiontest.Server{AdmitAny: true, Users: map[string]string{defaultUser: defaultPassword}, Directory: &drstest.Server{Public: true}}
	roots := exampletest.StartMock(t, server)
	dir := t.TempDir()
	tpm := "soft:" + filepath.Join(dir, "tpm")
	dev, err := device.Open(t.Context(), tpm)
	if err != nil {
		t.Fatal(err)
	}
	chip := &attest.TPM{Transport: dev}
	var id string
	for ek, err := range chip.EKs(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if id, err = server.Directory.Import(ek.Public); err != nil {
			t.Fatal(err)
		}
		break
	}
	dev.Close()
	args := []string{"-server", server.URL, "-roots", roots, "-tpm", tpm, "-out", filepath.Join(dir, "out")}
	if code, out, errs := exampletest.Run(t, program(), args...); code != 1 || !strings.Contains(errs, "-ticket") {
		t.Errorf("without a ticket: %d %s%s", code, out, errs)
	}
	ticket, err := server.Directory.IssueTicket(id)
	if err != nil {
		t.Fatal(err)
	}
	file := exampletest.File(t, []byte(ticket.Token+"\n"))
	code, out, errs := exampletest.Run(t, program(), append(args, "-ticket", "@"+file)...)
	if o := server.Directory.Objects(); code != 0 || len(o) != 1 || o[0].Owner != defaultUser || strings.Contains(out+errs, string(ticket.Token)) {
		t.Errorf("%d %s%s%q %+v", code, out, errs, server.Refusals(), o)
	}
}

// A ticket of blanks is wrong usage, and a refused default name is said to be one.
func TestRefusedFlags(t *testing.T) {
	blank := exampletest.File(t, []byte(" \t\n"))
	if code, out, errs := exampletest.Run(t, program(), "-ticket", "@"+blank); code != 2 || errs != fmt.Sprintf("join: -ticket: the file %q is empty, but should have a secret\n", blank) {
		t.Errorf("%d %s%s", code, out, errs)
	}
	server := &provisiontest.Server{AdmitAny: true, Users: map[string]string{"ada@contoso.test": "x"}}
	roots := exampletest.StartMock(t, server)
	for given, missing := range map[string]string{"": "-user and -password", "-password": "-user", "-user": "-password"} {
		args := []string{"-server", server.URL, "-roots", roots}
		if given != "" {
			args = append(args, given, "ada@contoso.test")
		}
		want := ". Give " + missing + ": what was sent is the default, which is that of " + defaultUser + ".\n"
		if code, _, errs := exampletest.Run(t, program(), args...); code != 1 || !strings.HasSuffix(errs, want) {
			t.Errorf("%d %s", code, errs)
		}
	}
}

// A user signs in by a code or in a browser, and then on the device by the refresh token.
func TestSignInByCode(t *testing.T) {
	server := &provisiontest.Server{AdmitAny: true, Users: map[string]string{defaultUser: defaultPassword}}
	roots := exampletest.StartMock(t, server)
	args := []string{"-server", server.URL, "-roots", roots, "-signin", "code"}
	entered := make(chan bool)
	go func() {
		defer close(entered)
		for range 600 { // until the example shows the code
			if code := server.Directory.PendingCodes(); len(code) > 0 {
				entered <- server.Directory.EnterCode(code[0], defaultUser)
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	}()
	code, out, errs := exampletest.Run(t, program(), args...)
	if ok := <-entered; !ok || code != 0 || !strings.Contains(errs, "enter the code") {
		t.Errorf("entered %t, %d: %s%s%q", ok, code, out, errs, server.Refusals())
	}
	if code, _, errs := exampletest.Run(t, program(), "-signin", "magic"); code != 2 || !strings.Contains(errs, "-signin") {
		t.Errorf("%d %s", code, errs)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{
		{"-step", "jump"},
		{"-roots", "x"},
		{"x"},
		{"-timeout", "0s"},
		{"-tenant", "foo bar"},
		{"-tpm", "hard"},
		{"-server", "foo"},
		{"-server", "http://127.0.0.1:1"},
		{"-out", "main.go"},
		{"-user", "alice"},
		{"-step", ""},
		{"-server", "https://x.test", "-signin", "code", "-password", "x"},
	} {
		if code, _, errs := exampletest.Run(t, program(), args...); code != 2 || !strings.HasSuffix(errs, "; see join -h\n") {
			t.Errorf("%v: %d %s", args, code, errs)
		}
	}
	if code, _, _ := exampletest.Run(t, program(), "-h"); code != 0 {
		t.Errorf("-h: %d", code)
	}
}

// What the program says of itself, and of wrong flags.
func TestHelp(t *testing.T) { exampletest.Help(t, program()) }

// A server that does not answer is reported with code and remedy.
func TestExplained(t *testing.T) {
	exampletest.Explained(t, program(), "-server", "https://127.0.0.1:1")
}
