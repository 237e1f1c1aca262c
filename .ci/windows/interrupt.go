package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// phases has a technician and then a user set up a device.
func phases(ctx context.Context, m *machine) error {
	if err := m.write("password", "secret\r\n"); err != nil {
		return err
	}
	if _, err := ends(m.provision(ctx, "phases", "-json=false", "-steps", "technician", "-pause", "100ms"), 0, "done seal"); err != nil {
		return err
	}
	if _, err := ends(m.provision(ctx, "phases", "-json=false", "-steps", "user", "-user", "ada@contoso.test", "-password", "@password"), 0, "done signin"); err != nil {
		return err
	}
	return m.nothingLeft(150)
}

// pausing is a TBS that holds back a command after the first n, until it is released.
func pausing(n int) (how behavior, reached, release chan struct{}) {
	reached, release = make(chan struct{}), make(chan struct{})
	var once sync.Once
	how.before = func(before int) {
		if before >= n {
			once.Do(func() {
				close(reached)
				<-release
			})
		}
	}
	return how, reached, release
}

// during runs f while a program waits for its TPM, after the first n commands. It returns
// what the program printed, and how it ended.
func (m *machine) during(ctx context.Context, cmd *exec.Cmd, n int, f func() error) (output string, err error) {
	how, reached, release := pausing(n)
	m.bridge.set(how)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return "", err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-reached:
	case err := <-ended:
		return "", fmt.Errorf("%v before %d TPM commands\n%s", err, n, &out)
	}
	ferr := f()
	close(release)
	err = <-ended
	if ferr != nil {
		return "", fmt.Errorf("%w\n%s", ferr, &out)
	}
	return out.String(), err
}

// killed ends a run with TerminateProcess, again and again, at commands of the TPM that
// are further from its start each time. The same state leads to the end all the same.
func killed(ctx context.Context, m *machine) error {
	for _, n := range []int{4, 9, 14} {
		out, err := m.during(ctx, m.provision(ctx, "killed"), n, func() error {
			out, err := m.program(ctx, "", "taskkill", "/f", "/im", "provision.exe").CombinedOutput()
			if err != nil {
				return fmt.Errorf("taskkill: %w\n%s", err, out)
			}
			time.Sleep(200 * time.Millisecond)
			return nil
		})
		// With TerminateProcess, the exit status is the killer's choice.
		if strings.Contains(out, `"result"`) || strings.Contains(out, "provision: ") {
			return fmt.Errorf("not killed at command %d: %v\n%s", n, err, out)
		}
	}
	m.bridge.set(behavior{})
	if _, err := ends(m.provision(ctx, "killed"), 0, enrolled); err != nil {
		return err
	}
	if leftovers, _ := filepath.Glob(filepath.Join(m.dir, "killed.*state-tmp")); len(leftovers) > 0 {
		return fmt.Errorf("left: %q", leftovers)
	}
	return m.nothingLeft(60)
}

// locked starts a second run with the state of one that is under way.
func locked(ctx context.Context, m *machine) error {
	out, err := m.during(ctx, m.provision(ctx, "locked"), 6, func() error {
		_, err := ends(m.provision(ctx, "locked"), 1, "another run is using the stored state")
		return err
	})
	if err != nil || !strings.Contains(out, enrolled) {
		return fmt.Errorf("the first run: %v\n%s", err, out)
	}
	return nil
}
