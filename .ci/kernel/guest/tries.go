//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport/linuxtpm"

	"github.com/whiteglove/whiteglove/attest"
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
	{"the machine sleeps during a run on tpmrm0", "tpm-crb", asleep},
	{"the TPM forgets its sessions while the machine sleeps", "tpm-tis", forgetful},
	{"tests of package attest on tpmrm0", "tpm-tis", packageTests},
	{"the driver loses the TPM during a run", "tpm-tis", lost},
	{"no TPM", "", none},
}

// services is the mock server of all runs.
var services struct{ url, roots string }

// provision returns the program on a device, with its state in a file.
func provision(ctx context.Context, device, state string, more ...string) (*exec.Cmd, error) {
	if services.url == "" {
		if err := serve(); err != nil {
			return nil, err
		}
	}
	args := []string{"-tpm", "device:" + device, "-state", state, "-server", services.url, "-roots", services.roots, "-json"}
	return exec.CommandContext(ctx, "/bin/provision", append(args, more...)...), nil
}

// serve starts the mock server, which runs until the machine is turned off.
func serve() error {
	cmd := exec.Command("/bin/mockserver", "-ready-file", "/tmp/url", "-roots-out", "/tmp/roots.pem", "-admit", "any")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	for range 600 {
		if url, err := os.ReadFile("/tmp/url"); err == nil && len(url) > 0 {
			services.url, services.roots = strings.TrimSpace(string(url)), "/tmp/roots.pem"
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return errors.New("the mock server does not start")
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
	if err := os.Chmod(managed, 0o660); err != nil {
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

// asleep suspends the machine to memory in the middle of a run on tpmrm0, where the
// kernel keeps the run's keys and sessions.
func asleep(ctx context.Context) error {
	cmd, err := provision(ctx, managed, "/tmp/asleep")
	rest, err := reachKeeping(cmd, err, "keys")
	if err != nil {
		return err
	}
	if err := sleep(); err != nil {
		return err
	}
	out, err := io.ReadAll(rest)
	if err := errors.Join(err, cmd.Wait()); err != nil || !bytes.Contains(out, []byte(`"reached":"enrolled"`)) {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nothingLeft()
}

// forgetful suspends the machine to memory while a program has a key and a session in
// the TPM. The firmware then starts the TPM from the state that the kernel had it save,
// without them. The program goes on all the same, and so does a run.
func forgetful(ctx context.Context) error {
	tpm, err := attest.Open(plain)
	if err != nil {
		return err
	}
	defer tpm.Close()
	release := tpm.Keep()
	key, err := tpm.CreateKey(ctx, attest.Template{Algorithm: attest.P256, Usage: attest.Sign})
	if err != nil {
		return err
	}
	session, err := tpm2.StartAuthSession{
		TPMKey: tpm2.TPMRHNull, Bind: tpm2.TPMRHNull, NonceCaller: tpm2.TPM2BNonce{Buffer: make([]byte, 16)}, SessionType: tpm2.TPMSEPolicy,
		Symmetric: tpm2.TPMTSymDef{Algorithm: tpm2.TPMAlgNull}, AuthHash: tpm2.TPMAlgSHA256,
	}.Execute(tpm.Transport)
	if err := errors.Join(err, sleep()); err != nil {
		return err
	}
	_, err = tpm2.PolicyGetDigest{PolicySession: session.SessionHandle}.Execute(tpm.Transport)
	if !errors.Is(err, tpm2.TPMRCReferenceH0) {
		return fmt.Errorf("the TPM did not forget the session: %w", err)
	}
	_, err = key.Sign(nil, make([]byte, 32), crypto.SHA256)
	if err := errors.Join(err, release(ctx), tpm.Close()); err != nil {
		return err
	}
	return resumed(ctx)
}

// sleep suspends the machine to memory. The host wakes it.
func sleep() error { return os.WriteFile("/sys/power/state", []byte("mem"), 0) }

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
