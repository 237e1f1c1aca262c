//go:build unix

package attesttest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"
)

const (
	commandTime = time.Minute     // the longest that a command may take
	exitTime    = 5 * time.Second // the longest that the child may take to end by itself
)

// A child is a running swtpm at the other end of a socket pair.
type child struct {
	conn net.Conn
	cmd  *exec.Cmd
	log  *bytes.Buffer
	done chan error
}

func startChild(dir string) (*child, error) {
	path, err := exec.LookPath("swtpm")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoSWTPM, err)
	}
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, fmt.Errorf("attesttest: swtpm: %w", err)
	}
	c := &child{conn: ours, log: &bytes.Buffer{}, done: make(chan error, 1)}
	c.cmd = exec.Command(path, "socket", "--tpm2", "--tpmstate", "dir="+dir, "--fd", "3", "--flags", "not-need-init,startup-clear") // #nosec G204
	c.cmd.ExtraFiles = []*os.File{theirs}
	c.cmd.Stderr = c.log
	err = c.cmd.Start()
	closed := theirs.Close()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrNoSWTPM, err), ours.Close(), closed)
	}
	go func() { c.done <- c.cmd.Wait() }()
	return c, nil
}

// socketPair returns two connected sockets; neither is inherited by other
// children.
func socketPair() (net.Conn, *os.File, error) {
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, err
	}
	a, b := os.NewFile(uintptr(fds[0]), "swtpm"), os.NewFile(uintptr(fds[1]), "swtpm child")
	conn, err := net.FileConn(a) // a duplicate
	err = errors.Join(err, a.Close())
	if err != nil {
		return nil, nil, errors.Join(err, b.Close())
	}
	return conn, b, nil
}

func (c *child) Write(b []byte) (int, error) {
	if err := c.conn.SetDeadline(time.Now().Add(commandTime)); err != nil {
		return 0, err
	}
	return c.conn.Write(b)
}

func (c *child) Read(b []byte) (int, error) { return c.conn.Read(b) }

// stop ends the child, which ends by itself when its socket is closed. If it does
// not end well, the error has its messages.
func (c *child) stop() error {
	err := c.conn.Close()
	select {
	case ended := <-c.done:
		switch {
		case ended == nil:
		case bytes.Contains(c.log.Bytes(), []byte("Could not lock access")): // to the state
			err = errors.Join(err, fmt.Errorf("attesttest: swtpm: %w: %q", syscall.EBUSY, c.log.String()))
		default:
			err = errors.Join(err, fmt.Errorf("attesttest: swtpm: %w: %q", ended, c.log.String()))
		}
	case <-time.After(exitTime):
		err = errors.Join(err, c.cmd.Process.Kill())
		<-c.done
	}
	return err
}

func tempDir() (string, error) { return os.MkdirTemp("", "swtpm") }

func removeDir(dir string) error { return os.RemoveAll(dir) }
