//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport/linuxtpm"
)

// services is the mock server of all runs.
var services struct{ url, roots string }

// provision returns the program on a device, with its state in a file.
func provision(ctx context.Context, device, state string, more ...string) (*exec.Cmd, error) {
	if err := serve(); err != nil {
		return nil, err
	}
	args := []string{"-tpm", "device:" + device, "-state", state, "-server", services.url, "-roots", services.roots, "-json"}
	return exec.CommandContext(ctx, "/bin/provision", append(args, more...)...), nil
}

// serve starts the mock server if it does not run.
func serve() (err error) {
	if services.url != "" {
		return nil
	}
	services.url, err = started("/bin/mockserver", "-roots-out", "/tmp/roots.pem", "-admit", "any")
	services.roots = "/tmp/roots.pem"
	return err
}

// started starts a server, which runs until the machine is turned off, and returns its
// URL.
func started(name string, args ...string) (url string, err error) {
	ready := "/tmp/url-" + filepath.Base(name)
	cmd := exec.Command(name, append(args, "-ready-file", ready)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return "", err
	}
	for range 600 {
		if url, err := os.ReadFile(ready); err == nil && len(url) > 0 {
			return strings.TrimSpace(string(url)), nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return "", errors.New(name + " does not start")
}

// enrolled runs the program to its end. The device must then be enrolled.
func enrolled(cmd *exec.Cmd, err error) (output string, _ error) {
	if err != nil {
		return "", err
	}
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte(`"reached":"enrolled"`)) {
		return "", fmt.Errorf("%v\n%s", err, out)
	}
	return string(out), nil
}

// says runs the program, which must fail with exit status 1 and these words.
func says(cmd *exec.Cmd, err error, words ...string) error {
	if err != nil {
		return err
	}
	out, err := cmd.CombinedOutput()
	fmt.Printf("%s", out)
	if cmd.ProcessState.ExitCode() != 1 {
		return fmt.Errorf("%v instead of exit status 1\n%s", err, out)
	}
	for _, word := range words {
		if !strings.Contains(string(out), word) {
			return fmt.Errorf("no %q in\n%s", word, out)
		}
	}
	return nil
}

// reach starts the program and waits until a step of the run has started. What the
// program prints later is lost.
func reach(cmd *exec.Cmd, err error, step string) error {
	_, err = reachKeeping(cmd, err, step)
	return err
}

// reachKeeping is reach. It returns what the program still prints.
func reachKeeping(cmd *exec.Cmd, err error, step string) (*bufio.Reader, error) {
	if err != nil {
		return nil, err
	}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	r := bufio.NewReader(pipe)
	var seen strings.Builder
	for {
		line, err := r.ReadString('\n')
		seen.WriteString(line)
		if strings.Contains(line, `"step":"`+step+`","status":"started"`) {
			return r, nil
		}
		if err != nil {
			cmd.Wait()
			return nil, fmt.Errorf("step %s does not start\n%s", step, &seen)
		}
	}
}

// nothingLeft checks that the TPM has no object or session loaded.
func nothingLeft() error {
	tpm, err := linuxtpm.Open(plain)
	if err != nil {
		return err
	}
	defer tpm.Close()
	for _, first := range []tpm2.TPMHandle{0x80000000, 0x02000000, 0x03000000} {
		r, err := tpm2.GetCapability{Capability: tpm2.TPMCapHandles, Property: uint32(first), PropertyCount: 16}.Execute(tpm)
		if err != nil {
			return err
		}
		handles, err := r.CapabilityData.Data.Handles()
		if err != nil {
			return err
		}
		if len(handles.Handle) > 0 {
			return fmt.Errorf("left loaded: %x", handles.Handle)
		}
	}
	return nil
}
