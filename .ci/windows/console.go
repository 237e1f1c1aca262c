package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// A console is a terminal in which Wine has a console.
type console struct {
	*os.File
	mu   sync.Mutex
	text bytes.Buffer
}

// ioctl numbers of Linux for pseudoterminals.
const (
	getNumber = 0x80045430 // TIOCGPTN
	unlock    = 0x40045431 // TIOCSPTLCK
	setSize   = 0x5414     // TIOCSWINSZ
)

// start starts a program in a new console of 120 columns.
func start(cmd *exec.Cmd) (*console, error) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	var number, zero int32
	size := [4]uint16{40, 120}
	for request, p := range map[uintptr]unsafe.Pointer{unlock: unsafe.Pointer(&zero), getNumber: unsafe.Pointer(&number), setSize: unsafe.Pointer(&size)} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, master.Fd(), request, uintptr(p)); errno != 0 {
			return nil, errno
		}
	}
	slave, err := os.OpenFile(fmt.Sprint("/dev/pts/", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer slave.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	cmd.Env = append(cmd.Env, "TERM=xterm")
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &console{File: master}
	go func() {
		buf := make([]byte, 1<<12)
		for {
			n, err := master.Read(buf)
			c.mu.Lock()
			c.text.Write(buf[:n])
			c.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return c, nil
}

// escapeCode is what Wine sends to its terminal besides text.
var escapeCode = regexp.MustCompile(`\x1b(\[[0-9;?]*[a-zA-Z]|\][^\a]*\a|[()=>][0-9A-Z]?)`)

// shown returns what was printed so far, without Wine's escape codes.
func (c *console) shown() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return escapeCode.ReplaceAllString(c.text.String(), "")
}

// interrupted presses Ctrl-C in the console of a run that waits for its TPM. The state is
// kept, and the exit status says what happened.
func interrupted(ctx context.Context, m *machine) error {
	how, reached, release := pausing(8)
	m.bridge.set(how)
	cmd := m.provision(ctx, "interrupted", "-json=false")
	c, err := start(cmd)
	if err != nil {
		return err
	}
	defer c.Close()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-reached:
	case err := <-ended:
		return fmt.Errorf("%v before Ctrl-C\n%s", err, c.shown())
	}
	_, err = c.WriteString("\x03")
	time.Sleep(300 * time.Millisecond)
	close(release)
	if err != nil {
		return err
	}
	<-ended
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		return fmt.Errorf("exit status %d\n%s", code, c.shown())
	}
	if text := c.shown(); !strings.Contains(text, "interrupted; the state is kept in") {
		return fmt.Errorf("no word of the state\n%s", text)
	}
	m.bridge.set(behavior{})
	_, err = ends(m.provision(ctx, "interrupted"), 0, enrolled)
	return err
}

// printed looks at a run's text in a console: each step once, umlauts as they are, and
// nothing of the codes that overwrite lines.
func printed(ctx context.Context, m *machine) error {
	cmd := m.provision(ctx, "Gerät", "-json=false")
	c, err := start(cmd)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%w\n%s", err, c.shown())
	}
	text := c.shown()
	for _, step := range []string{"ek", "keys", "aik", "join", "enroll"} {
		if !strings.Contains(oneLine(text), "done "+step) {
			return fmt.Errorf("no %s in\n%q", step, text)
		}
	}
	if strings.Contains(text, "[K") || strings.Contains(text, "\x1b") {
		return fmt.Errorf("escape codes in\n%q", text)
	}
	cmd = m.provision(ctx, filepath.Join("fehlt-ü", "Gerät"))
	if c, err = start(cmd); err != nil {
		return err
	}
	defer c.Close()
	_ = cmd.Wait()
	if text := c.shown(); cmd.ProcessState.ExitCode() != 2 || !strings.Contains(text, `"fehlt-ü"`) {
		return fmt.Errorf("%v\n%q", cmd.ProcessState, text)
	}
	return nil
}

// served presses Ctrl-C in the console of the mock server, which ends it in order.
func served(ctx context.Context, m *machine) error {
	cmd := m.program(ctx, "mockserver", "-ready-file", "ready")
	c, err := start(cmd)
	if err != nil {
		return err
	}
	defer c.Close()
	err = eventually("mockserver.exe starts", func() bool {
		text, err := os.ReadFile(filepath.Join(m.dir, "ready"))
		return err == nil && len(text) > 0
	})
	if err == nil {
		_, err = c.WriteString("\x03")
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, c.shown())
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%w\n%s", err, c.shown())
	}
	return nil
}

// statuses has programs end with each exit status.
func statuses(ctx context.Context, m *machine) error {
	if _, err := ends(m.program(ctx, "provision", "-no-such-flag"), 2, "provision: there is no flag -no-such-flag"); err != nil {
		return err
	}
	if _, err := ends(m.program(ctx, "provision", "-tpm", "device:/dev/tpm0"), 1, "Leave out the path"); err != nil {
		return err
	}
	if _, err := ends(m.program(ctx, "diagnose", "0x80180014"), 0, "MENROLL_E_DEVICENOTSUPPORTED"); err != nil {
		return err
	}
	_, err := ends(m.program(ctx, "preflight", "-server", m.url, "-roots", "roots.pem", "-tpm", "device", "-timeout", "1m"), 0, "TBS can be used")
	return err
}
