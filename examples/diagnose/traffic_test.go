package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/diagnose/evidence"
	"github.com/whiteglove/whiteglove/examples/internal/exampletest"
)

// TestTraffic finds the fault in each kind of capture, and writes it with the time line
// of a run.
func TestTraffic(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct{ text, kind string }{
		"access.log": {"1795856400.500    300 10.0.0.7 TCP_TUNNEL/200 9120 CONNECT login.live.com:443 - HIER_DIRECT/192.0.2.1 -\n1795856403.000      0 10.0.0.7 TCP_DENIED/403 3900 CONNECT ekop.intel.com:443 - HIER_NONE/- text/html\n", "proxy log"},
		"device.har": {`{"log":{"entries":[{"startedDateTime":"2026-11-28T09:00:00Z","request":{"method":"GET","url":"https://ekop.intel.com/x?t=hunter22"},"response":{"status":0}}]}}`, "har"},
		"hosts.txt":  {"00:10 login.live.com\n00:20 ekop.intel.com blocked\n", "host list"},
	} {
		path, page, text := filepath.Join(dir, name), filepath.Join(dir, name+".html"), filepath.Join(dir, name+".md")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		code, stdout, stderr := exampletest.Run(t, program(), "-json", "-traffic", page, path)
		var got struct {
			Sources  []evidence.Source
			Findings []evidence.Finding
		}
		if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != exitFault || stderr != "" {
			t.Fatal(code, stderr, err)
		}
		if got.Sources[0].Kind != c.kind || got.Findings[0].ID != "ek-service-blocked" {
			t.Errorf("%s: %s", name, stdout)
		}
		if code, _, stderr := exampletest.Run(t, program(), "-traffic", text, path); code != exitFault || stderr != "" {
			t.Error(code, stderr)
		}
		for file, want := range map[string]string{page: `<span class="name">ek <small class="bad">failed</small>`, text: "## ek: failed after 0s, begun at "} {
			b, err := os.ReadFile(file)
			if err != nil || !strings.Contains(string(b), want) || strings.Contains(string(b), "hunter22") {
				t.Errorf("%s: %v\n%s", file, err, b)
			}
		}
	}
}

func TestTrafficFails(t *testing.T) {
	dir := t.TempDir()
	other, damaged, out := filepath.Join(dir, "a.txt"), filepath.Join(dir, "a.har"), filepath.Join(dir, "out.md")
	for path, text := range map[string]string{other: "all is well\n", damaged: `{"log":{"entries":[{"request":{"url":"https://login.live.com/"}},{`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for want, tt := range map[string]struct {
		path string
		code int
	}{
		"-traffic: " + other + " is neither an HTTP archive, a proxy's log nor a list of times and hosts: name a capture of the device's traffic. " + out + " was not written\n": {other, 2},
		"it ends too early": {damaged, 1}, "no such file": {filepath.Join(dir, "none"), 2},
	} {
		if code, stdout, stderr := exampletest.Run(t, program(), "-traffic", out, tt.path); code != tt.code || !strings.Contains(stderr, want) || code == 2 && stdout != "" {
			t.Errorf("%s: %d %s%s", tt.path, code, stdout, stderr)
		}
	}
	if b, err := os.ReadFile(out); err != nil || !strings.Contains(string(b), "login.live.com") {
		t.Errorf("%v %s", err, b)
	}
	for _, args := range [][]string{{"-traffic", out, other, damaged}, {"-traffic", out, "-"}} {
		if code, _, _ := exampletest.Run(t, program(), args...); code != 2 {
			t.Error(args, code)
		}
	}
}
