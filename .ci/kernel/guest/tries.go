//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

const (
	managed = "/dev/tpmrm0" // the kernel keeps programs apart
	plain   = "/dev/tpm0"   // one program at a time
)

// tries are in the order in which they run: packageTests clears the TPM, so that no run
// can go on, and the last take the TPM away. Only one suspends the machine, as QEMU does
// that once. on is the only device of QEMU on which a try runs; empty for all.
var tries = []struct {
	name string
	on   string
	do   func(context.Context) error
}{
	{"a whole run on tpmrm0", "", wholeRun},
	{"the run goes on, on tpm0", "", resumed},
	{"two runs at once on tpmrm0", "tpm-crb", twoRuns},
	{"a run killed in the middle leaves nothing loaded, and goes on", "tpm-crb", killed},
	{"tpm0 in use by another program", "tpm-tis", busy},
	{"a user who may not use the TPM", "tpm-tis", denied},
	{"preflight", "tpm-crb", preflight},
	{"a verifier believes the machine and its event log", "tpm-crb", attested},
	{"the machine sleeps during a run on tpmrm0", "tpm-crb", asleep},
	{"the TPM forgets its sessions while the machine sleeps", "tpm-tis", forgetful},
	{"tests of package attest on tpmrm0", "tpm-tis", packageTests},
	{"the driver loses the TPM during a run", "tpm-tis", lost},
	{"no TPM", "", none},
}

func wholeRun(ctx context.Context) error {
	out, err := enrolled(provision(ctx, managed, "/tmp/whole"))
	if err == nil && strings.Contains(out, "resumed") {
		return fmt.Errorf("a new run resumed something\n%s", out)
	}
	return errors.Join(err, nothingLeft())
}

func resumed(ctx context.Context) error {
	out, err := enrolled(provision(ctx, plain, "/tmp/whole"))
	if err == nil && strings.Count(out, `"resumed"`) < 5 {
		return fmt.Errorf("not resumed\n%s", out)
	}
	return errors.Join(err, nothingLeft())
}

func twoRuns(ctx context.Context) error {
	done := make(chan error)
	for _, state := range []string{"/tmp/first", "/tmp/second"} {
		cmd, err := provision(ctx, managed, state)
		go func() {
			_, err := enrolled(cmd, err)
			done <- err
		}()
	}
	return errors.Join(<-done, <-done, nothingLeft())
}

func killed(ctx context.Context) error {
	for i, after := range []string{"keys", "join"} {
		state := fmt.Sprint("/tmp/killed", i)
		cmd, err := provision(ctx, managed, state)
		if err := reach(cmd, err, after); err != nil {
			return err
		}
		cmd.Process.Kill()
		cmd.Wait()
		if err := nothingLeft(); err != nil {
			return fmt.Errorf("killed in %s: %w", after, err)
		}
		if _, err := enrolled(provision(ctx, managed, state)); err != nil {
			return fmt.Errorf("after it was killed in %s: %w", after, err)
		}
	}
	return nil
}

func busy(ctx context.Context) error {
	f, err := os.OpenFile(plain, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	cmd, err := provision(ctx, plain, "/tmp/busy")
	return says(cmd, err, "it is open in init (process 1)", managed)
}

func denied(ctx context.Context) error {
	// The folder of the state is everybody's, so that the TPM alone is refused.
	if err := errors.Join(os.Chmod(managed, 0o660), os.Chmod("/tmp", 0o777|os.ModeSticky)); err != nil {
		return err
	}
	for _, device := range []string{managed, ""} {
		cmd, err := provision(ctx, device, "/tmp/denied")
		if err != nil {
			return err
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}}
		if err := says(cmd, nil, "permission denied", "group tss"); err != nil {
			return err
		}
	}
	return nil
}

func preflight(ctx context.Context) error {
	if err := serve(); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "/bin/preflight", "-server", services.url, "-roots", services.roots, "-tpm", "device", "-timeout", "1m")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	for _, device := range []string{managed, plain} {
		if !strings.Contains(string(out), device+" can be used") {
			return fmt.Errorf("no %s in\n%s", device, out)
		}
	}
	return nil
}

// attested has the machine attest to a verifier, with the event log that the kernel has
// from the firmware.
func attested(ctx context.Context) error {
	url, err := started("/bin/verifier", "-roots-out", "/tmp/verifier.pem")
	if err != nil {
		return err
	}
	for range 2 { // with a new key, then with the same
		cmd := exec.CommandContext(ctx, "/bin/attestor", "-url", url, "-roots", "/tmp/verifier.pem", "-tpm", "device", "-state", "/tmp/aik.pem")
		out, err := cmd.CombinedOutput()
		fmt.Printf("%s", out)
		if err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
	}
	return nothingLeft()
}

// lost takes the TPM from its driver in the middle of a run.
func lost(ctx context.Context) error {
	cmd, err := provision(ctx, managed, "/tmp/lost")
	rest, err := reachKeeping(cmd, err, "keys")
	if err != nil {
		return err
	}
	if err := unbind(); err != nil {
		return err
	}
	out, _ := io.ReadAll(rest)
	fmt.Printf("%s", out)
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != 1 {
		return fmt.Errorf("%v instead of exit status 1\n%s", err, out)
	}
	if !strings.Contains(string(out), "turn the machine off and on") {
		return fmt.Errorf("no remedy in\n%s", out)
	}
	return nil
}

// unbind takes the TPM from its driver.
func unbind() error {
	path, err := os.Readlink("/sys/class/tpm/tpm0/device")
	if err != nil {
		return err
	}
	name := path[strings.LastIndexByte(path, '/')+1:]
	return os.WriteFile("/sys/class/tpm/tpm0/device/driver/unbind", []byte(name), 0)
}

func none(ctx context.Context) error {
	if _, err := os.Stat(managed); err == nil {
		if err := unbind(); err != nil {
			return err
		}
	}
	cmd, err := provision(ctx, "", "/tmp/none")
	return says(cmd, err, "no TPM", "firmware setup")
}
