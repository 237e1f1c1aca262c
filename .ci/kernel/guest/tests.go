//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// packageTests runs those tests of package attest that take a TPM from outside, and
// checks that each did.
func packageTests(ctx context.Context) error {
	list, err := os.ReadFile("/tests")
	if err != nil {
		return err
	}
	tests := strings.Fields(string(list))
	cmd := exec.CommandContext(ctx, "/bin/attest.test", "-test.v", "-test.run", strings.Join(tests, "|"))
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "WHITEGLOVE_TPM="+managed)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, withoutPassed(out))
	}
	fmt.Printf("%s", out)
	for _, test := range tests {
		name, _, _ := strings.Cut(strings.TrimPrefix(test, "^"), "$")
		if !bytes.Contains(out, []byte("--- PASS: "+name+"/device/")) {
			return fmt.Errorf("%s did not run", name)
		}
	}
	if bytes.Contains(out, []byte("--- SKIP")) {
		return errors.New("a test was skipped")
	}
	fmt.Printf("@@ %d tests of package attest\n", len(tests))
	return nothingLeft()
}

// withoutPassed returns the output of tests without the lines of those that passed.
func withoutPassed(out []byte) (rest []byte) {
	for line := range bytes.Lines(out) {
		if word := bytes.TrimSpace(line); !bytes.HasPrefix(word, []byte("=== ")) && !bytes.HasPrefix(word, []byte("--- PASS")) {
			rest = append(rest, line...)
		}
	}
	return rest
}
