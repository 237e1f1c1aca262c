package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// A weight is what a program weighs.
type weight struct {
	size        int64 // of the stripped file, in bytes
	allocs, own int   // before main, of all packages and of those of this module
}

// weigh builds a program and starts it.
func weigh(source string) (*weight, error) {
	dir, err := os.MkdirTemp("", "weight")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	root, err := output("go", "list", "-m", "-f", "{{.Dir}}", module)
	if err != nil {
		return nil, err
	}
	// The program is in the module for the compiler alone: nothing is written there.
	root = strings.TrimSpace(root)
	file, binary := filepath.Join(dir, "main.go"), filepath.Join(dir, "program")
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(root, ".ci/weight/program/main.go"): file}})
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay"), overlay, 0o600); err != nil {
		return nil, err
	}
	if _, err := output("go", "build", "-C", root, "-trimpath", "-ldflags=-s -w", "-overlay", filepath.Join(dir, "overlay"), "-o", binary, "./.ci/weight/program"); err != nil {
		return nil, err
	}
	info, err := os.Stat(binary)
	if err != nil {
		return nil, err
	}
	w := &weight{size: info.Size()}
	return w, w.start(binary)
}

// start runs a program and counts what it allocates before main.
func (w *weight) start(binary string) error {
	cmd := exec.Command(binary)
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	var trace bytes.Buffer
	cmd.Stderr = &trace
	if err := cmd.Run(); err != nil {
		return err
	}
	lines := 0
	for line := range strings.Lines(trace.String()) {
		// init internal/bytealg @0.008 ms, 0 ms clock, 0 bytes, 0 allocs
		words := strings.Fields(line)
		if len(words) < 4 || words[0] != "init" || words[len(words)-1] != "allocs" {
			continue
		}
		n, err := strconv.Atoi(words[len(words)-2])
		if err != nil {
			return err
		}
		lines++
		w.allocs += n
		if words[1] == module || strings.HasPrefix(words[1], module+"/") {
			w.own += n
		}
	}
	if lines == 0 {
		return fmt.Errorf("%s prints no trace of its start", binary)
	}
	return nil
}
