// Package tooltest finds the programs that judge what this module reads and writes.
package tooltest

import (
	"os"
	"os/exec"
	"testing"
)

// Path returns the path of a program. If it is not installed, Path skips the test, or
// fails it if WHITEGLOVE_REQUIRE_TOOLS is set.
func Path(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("WHITEGLOVE_REQUIRE_TOOLS") != "" {
			t.Fatalf("%s is required: %v", name, err)
		}
		t.Skipf("%s is not installed", name)
	}
	return path
}
