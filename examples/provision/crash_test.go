package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/examples/internal/mock"
)

// What tells the test program to be a provision that is killed when it passes
// a point for the n-th time, or to print how many it passed.
const (
	crashAt   = "PROVISION_CRASH_AT"
	crashArgs = "PROVISION_CRASH_ARGS"
)

func TestMain(m *testing.M) {
	at, err := strconv.Atoi(os.Getenv(crashAt))
	if err != nil {
		os.Exit(m.Run())
	}
	passed := 0
	passing = func() {
		if passed++; passed == at {
			kill()
		}
	}
	code := run(context.Background(), strings.Split(os.Getenv(crashArgs), "\n"), os.Stdout, os.Stderr)
	os.Stdout.WriteString("passed " + strconv.Itoa(passed) + "\n")
	os.Exit(code)
}

// kill ends this process as a power cut does.
func kill() {
	p, err := os.FindProcess(os.Getpid())
	if err == nil {
		p.Kill()
	}
	select {}
}

// crash runs provision in a process of its own that is killed at a point; 0 is
// none. It returns how many points it passed if it was not killed.
func crash(t *testing.T, at int, args []string) (passed int, killed bool) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), crashAt+"="+strconv.Itoa(at), crashArgs+"="+strings.Join(args, "\n"))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && !strings.Contains(out.String(), "passed ") {
		return 0, true
	}
	if err != nil {
		t.Fatalf("killed at %d: %v\n%s", at, err, out.String())
	}
	_, count, _ := strings.Cut(out.String(), "passed ")
	if passed, err = strconv.Atoi(strings.TrimSpace(count)); err != nil {
		t.Fatal(err)
	}
	return passed, false
}

// TestCrash kills a run at its points: each event, and before and after each
// TPM command and each request. The next run ends in the same place, with one
// device and one enrollment on the servers and no secret in a file. Without
// WHITEGLOVE_CAMPAIGN it takes three of them.
func TestCrash(t *testing.T) {
	every := 36
	if os.Getenv("WHITEGLOVE_CAMPAIGN") != "" {
		every = 1
	} else if testing.Short() {
		t.Skip("starts many processes")
	}
	_, flags := start(t, mock.Config{AdmitAny: true})
	points, _ := crash(t, 0, append(flags, files(t)...))
	if points < 90 {
		t.Fatalf("a run has only %d points", points)
	}
	tried := 0
	for at := 1 + points%every; at <= points; at += every {
		crashOnce(t, at)
		tried++
	}
	t.Logf("%d of %d points of a run, and each next run was done", tried, points)
}

// files are flags for state files of a test's own.
func files(t *testing.T) []string {
	dir := t.TempDir()
	return []string{"-tpm", "soft:" + filepath.Join(dir, "tpm"), "-state", filepath.Join(dir, "state"), "-out", filepath.Join(dir, "out")}
}

func crashOnce(t *testing.T, at int) {
	t.Helper()
	server, flags := start(t, mock.Config{AdmitAny: true})
	own := files(t)
	args := append(flags, own...)
	if _, killed := crash(t, at, args); !killed {
		t.Errorf("it was not killed at point %d", at)
	}
	if _, killed := crash(t, 0, args); killed {
		t.Fatalf("after a kill at point %d the next run failed", at)
	}
	s := readSummary(t, own[len(own)-1])
	enabled := 0
	for _, o := range server.Directory.Objects() {
		if o.Enabled {
			enabled++
			if o.DeviceID != s.DeviceID {
				t.Errorf("killed at %d: device %s is enabled, %s was joined", at, o.DeviceID, s.DeviceID)
			}
		}
	}
	devices := make(map[string]bool)
	for _, cert := range server.Management.Enrolled() {
		devices[cert.Subject.CommonName] = true
	}
	if enabled != 1 || len(devices) != 1 {
		t.Errorf("killed at %d: %d devices enabled, %d enrolled", at, enabled, len(devices))
	}
	noSecrets(t, filepath.Dir(own[3]))
}

// noSecrets checks that no file holds a token or a key in the clear.
func noSecrets(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Base(path) == "tpm" { // the emulator's own memory
			return err
		}
		text, err := os.ReadFile(path)
		for _, bad := range []string{"eyJhbGciOi", "eyJ0eXAiOi", "Bearer", "BEGIN PRIVATE KEY", "BEGIN RSA", "BEGIN EC "} {
			if bytes.Contains(text, []byte(bad)) {
				t.Errorf("%s holds %q", filepath.Base(path), bad)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
