package exampletest_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestEveryHelp finds a test of the help of each example that is a command.
func TestEveryHelp(t *testing.T) {
	folders, err := filepath.Glob("../../*/main.go")
	if err != nil || len(folders) < 10 {
		t.Fatal(folders, err)
	}
	for _, main := range folders {
		text, err := os.ReadFile(main)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(text, []byte("command.Main(")) {
			continue // it has no flags
		}
		test, err := os.ReadFile(filepath.Join(filepath.Dir(main), "main_test.go"))
		if err != nil || !bytes.Contains(test, []byte("exampletest.Help(t, program())")) {
			t.Errorf("%s: its help is not tested: %v", filepath.Dir(main), err)
		}
	}
}
