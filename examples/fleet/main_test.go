package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/examples/internal/exampletest"
	"github.com/whiteglove/whiteglove/provision"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// fleetOf runs fleet with -json, and returns the result and the exit code.
func fleetOf(t *testing.T, args ...string) (*result, int) {
	t.Helper()
	code, stdout, stderr := exampletest.Run(t, program(), append(args, "-fast-keys", "-json")...)
	r := new(result)
	if err := json.Unmarshal([]byte(stdout), r); err != nil {
		t.Fatalf("exit %d, %v: %s%s", code, err, stdout, stderr)
	}
	return r, code
}

// Each device ends, each step is measured, and no goroutine is left.
func TestFleet(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.html")
	r, code := fleetOf(t, "-devices", "9", "-concurrency", "4", "-ramp", "600ms", "-steps", "technician", "-report", page)
	if code != 0 || r.Devices != 9 || r.Done != 9 || r.Failed != 0 || r.Device.Count != 9 || len(r.Steps) != len(provision.Technician()) || !r.Mock {
		t.Fatalf("exit %d: %+v", code, r)
	}
	for _, s := range r.rows() {
		if s.Count != 9 || s.P50 <= 0 && s.Name != "keys" || s.P50 > s.P95 || s.P95 > s.P99 || s.P99 > s.Max || s.Max > r.Device.Max {
			t.Errorf("%+v", s)
		}
	}
	if r.Rate <= 0 || r.CPU <= 0 || r.Seconds < 0.4 || len(r.Samples) == 0 || r.Samples[len(r.Samples)-1].Done != 9 || r.Goroutines.After > r.Goroutines.Before+2 || r.Goroutines.Peak <= r.Goroutines.Before {
		t.Errorf("%+v", r)
	}
	text, err := os.ReadFile(page)
	if err != nil || !bytes.Contains(text, []byte("9 of 9 devices done")) || !bytes.Contains(text, []byte("<polyline points=\"")) || bytes.Contains(text, []byte("http://")) || bytes.Contains(text, []byte("ZgotmplZ")) {
		t.Errorf("%v: %s", err, text)
	}
}

// A fault that is overcome is a retry, and one that is not is a failure with its cause.
func TestFaults(t *testing.T) {
	r, code := fleetOf(t, "-devices", "4", "-fault", "join:503:1", "-fault", "discover:400:2")
	if code != 1 || r.Done != 2 || r.Failed != 2 || len(r.Failures) != 1 || r.Failures[0].Devices != 2 || !strings.HasPrefix(r.Failures[0].Cause, "discover: ") || r.Failures[0].Example == "" {
		t.Errorf("exit %d: %+v", code, r)
	}
	for _, s := range r.Steps {
		if s.Name == "join" && s.Retries != 1 {
			t.Errorf("%+v", s)
		}
	}
}

// The devices come to a server elsewhere, and the text has the figures.
func TestServer(t *testing.T) {
	s := &provisiontest.Server{AdmitAny: true}
	roots := exampletest.StartMock(t, s)
	code, stdout, stderr := exampletest.Run(t, program(), "-server", s.URL, "-roots", roots, "-devices", "3", "-fast-keys")
	if code != 0 || !strings.Contains(stdout, "3 of 3 devices done") || !strings.Contains(stdout, "enroll") || strings.Contains(stdout, "mock server included") || stderr != "" {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
	if n := len(s.Directory.Objects()); n != 3 {
		t.Errorf("%d devices in the directory: %q", n, s.Refusals())
	}
}

// Refused devices fail, and all of them are counted.
func TestRefused(t *testing.T) {
	s := new(provisiontest.Server)
	roots := exampletest.StartMock(t, s)
	code, stdout, stderr := exampletest.Run(t, program(), "-server", s.URL, "-roots", roots, "-devices", "2", "-fast-keys")
	if code != 1 || !strings.Contains(stdout, "2 failed at token: OAuth invalid_grant/tpm_ek_unknown\n") ||
		!strings.HasPrefix(stderr, "fleet: 2 of 2 devices failed: token: Authenticate https://") || strings.Count(stderr, "devices failed") != 1 || !strings.Contains(stderr, "Check that the device is registered") ||
		!strings.HasSuffix(stderr, ". A fleet's devices are all new: start the server with -admit any.\n") {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
}

// A run that is cut off ends soon, with the figures of the devices that have ended.
func TestCutOff(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	if code := program().Run(ctx, []string{"-devices", "1000", "-fast-keys"}, &stdout, &stderr); code != 1 || !strings.Contains(stdout.String(), "0 of 1000 devices done") {
		t.Errorf("exit %d: %s%s", code, &stdout, &stderr)
	}
	code, out, errs := exampletest.Run(t, program(), "-devices", "100000", "-fast-keys", "-timeout", "500ms")
	if code != 1 || !strings.Contains(errs, " of 100000 devices done when -timeout ended (500ms): give a longer one") || !strings.Contains(out, "of 100000 devices done") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	code, _, errs = exampletest.Run(t, program(), "-devices", "2", "-fast-keys", "-server", "https://127.0.0.1:1", "-timeout", "5s", "-steps", "discover")
	const want = "fleet: 0 of 2 devices done when -timeout ended (5s); 2 unfinished, last cause: discover: Discover https://127.0.0.1:1/"
	if code != 1 || !strings.HasPrefix(errs, want) || !strings.Contains(errs, "nothing listens at 127.0.0.1:1") || !strings.Contains(errs, ". Check the address and the port") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// TestSoak takes WHITEGLOVE_SOAK devices, 64 at the same time: no device may fail, goroutines
// are as many in the end as before, and memory follows what the servers keep.
func TestSoak(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("WHITEGLOVE_SOAK"))
	if err != nil || n < 1 {
		n = 24
	}
	r, code := fleetOf(t, "-devices", strconv.Itoa(n), "-concurrency", "64")
	t.Log(r.facts())
	if code != 0 || r.Done != n {
		t.Fatalf("exit %d: %+v", code, r.Failures)
	}
	if r.Goroutines.After > r.Goroutines.Before+2 {
		t.Errorf("%d goroutines before and %d after", r.Goroutines.Before, r.Goroutines.After)
	}
	const perDevice, fixed = 40e3, 8e6 // bytes; what is kept of a few devices is not measured well
	if kept := r.Kept * float64(n); kept > perDevice*float64(n)+fixed {
		t.Errorf("%.0f bytes are kept of %d devices", kept, n)
	}
	half, last := r.Samples[len(r.Samples)/2], r.Samples[len(r.Samples)-1]
	if n >= 1000 && last.Goroutines > 2*half.Goroutines {
		t.Errorf("%d goroutines in the middle, %d at the end", half.Goroutines, last.Goroutines)
	}
}

func TestHelp(t *testing.T) { exampletest.Help(t, program()) }

func TestUsage(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none", "file")
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{"-what"}, 2},
		{[]string{"extra"}, 2},
		{[]string{"-devices", "0"}, 2},
		{[]string{"-devices", "1000001"}, 2},
		{[]string{"-concurrency", "0"}, 2},
		{[]string{"-concurrency", "10001"}, 2},
		{[]string{"-ramp", "-1s"}, 2},
		{[]string{"-steps", "signin"}, 2},
		{[]string{"-fault", "join"}, 2},
		{[]string{"-roots", missing}, 2},
		{[]string{"-server", "https://127.0.0.1:1", "-fault", "join:503"}, 2},
		{[]string{"-server", "ftp://x"}, 2},
		{[]string{"-server", "http://127.0.0.1:1"}, 2},
		{[]string{"-report", missing}, 2},
		{[]string{"-server", "https://127.0.0.1:1", "-roots", missing}, 2},
	} {
		if code, stdout, stderr := exampletest.Run(t, program(), c.args...); code != c.code {
			t.Errorf("%q: exit %d, want %d: %s%s", c.args, code, c.code, stdout, stderr)
		}
	}
}
