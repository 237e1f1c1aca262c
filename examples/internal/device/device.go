// Package device opens the TPM that a -tpm flag names.
package device

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
)

// Usage is the flag's help text.
const Usage = `TPM: soft[:STATEFILE], swtpm:STATEDIR, unix:SOCKET, tcp:HOST:PORT or device[:PATH]`

// A Device is an open TPM.
type Device struct {
	transport.TPMCloser
	Name string // what it is, for people
}

// Open opens the TPM that spec names: the emulator in this process (with a
// state file, the same TPM next time), an swtpm child with a state folder, an
// emulator's socket, or the machine's own TPM. The last is never opened unless
// it is named, and nothing falls back to an emulator.
func Open(spec string) (*Device, error) {
	kind, arg, _ := strings.Cut(spec, ":")
	switch kind {
	case "soft":
		tpm, err := attesttest.New(attesttest.Config{StateFile: arg})
		if err != nil {
			return nil, err
		}
		if arg == "" {
			return &Device{tpm, "emulated TPM in this process"}, nil
		}
		return &Device{tpm, "emulated TPM in this process, state in " + arg}, nil
	case "swtpm":
		if arg == "" {
			return nil, fmt.Errorf("tpm: %s: name a state folder, swtpm:STATEDIR", spec)
		}
		if err := os.MkdirAll(arg, 0o700); err != nil {
			return nil, fmt.Errorf("tpm: %w", err)
		}
		tpm, err := attesttest.StartSWTPM(arg)
		if err != nil {
			return nil, fmt.Errorf("tpm: %s: %w (Debian: apt-get install swtpm; or use -tpm soft)", spec, err)
		}
		return &Device{tpm, "swtpm child, state in " + arg}, nil
	case "unix", "tcp":
		return dial(kind, arg)
	case "device":
		tpm, err := attest.Open(arg)
		if err != nil {
			return nil, err
		}
		return &Device{closer{tpm.Transport, tpm}, "this machine's TPM"}, nil
	}
	return nil, fmt.Errorf("tpm: %q: want soft[:STATEFILE], swtpm:STATEDIR, unix:SOCKET, tcp:HOST:PORT or device[:PATH]", spec)
}

// closer is a transport with somebody else's Close.
type closer struct {
	transport.TPM
	io.Closer
}

// dial connects to an emulator's command socket, which wants a TPM2_Startup if
// nobody has sent one.
func dial(network, address string) (*Device, error) {
	conn, err := net.Dial(network, address)
	if err != nil {
		return nil, fmt.Errorf("tpm: %w", err)
	}
	tpm := transport.FromReadWriteCloser(conn)
	_, err = tpm2.Startup{StartupType: tpm2.TPMSUClear}.Execute(tpm)
	if err != nil && err != error(tpm2.TPMRCInitialize) {
		conn.Close()
		return nil, fmt.Errorf("tpm: %s:%s: TPM2_Startup: %w", network, address, err)
	}
	return &Device{tpm, "TPM at " + network + ":" + address}, nil
}
