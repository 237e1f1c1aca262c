package tooltest

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-tpm/tpm2/transport"
)

// ServeTPM lets other programs use a TPM during a test, as swtpm does: it returns the
// path of a Unix socket named "s" in a new folder, for the TCTI "swtpm:path=".
func ServeTPM(t testing.TB, tpm transport.TPM) (socket string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "wg") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket = filepath.Join(dir, "s")
	serve(t, socket, func(c net.Conn) {
		for {
			command, err := readCommand(c)
			if err != nil {
				return
			}
			answer, err := tpm.Send(command)
			if err != nil {
				return
			}
			if _, err := c.Write(answer); err != nil {
				return
			}
		}
	})
	// The control channel of swtpm: every request is granted.
	serve(t, socket+".ctrl", func(c net.Conn) {
		buf := make([]byte, 256)
		for {
			if _, err := c.Read(buf); err != nil {
				return
			}
			if _, err := c.Write(make([]byte, 4)); err != nil {
				return
			}
		}
	})
	return socket
}

// serve accepts connections on a Unix socket, one at a time.
func serve(t testing.TB, path string, f func(net.Conn)) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f(c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
}

func readCommand(r io.Reader) ([]byte, error) {
	b := make([]byte, 10, 4096)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(b[2:])
	if n < 10 || n > 4096 {
		return nil, io.ErrUnexpectedEOF
	}
	b = b[:n]
	_, err := io.ReadFull(r, b[10:])
	return b, err
}
