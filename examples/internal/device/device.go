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

// Kinds are the forms of the flag's value, besides the TCTI strings of tpm2-tss for the
// same TPMs, such as swtpm:host=localhost,port=2321.
const Kinds = "soft[:STATEFILE], swtpm:STATEDIR, unix:SOCKET, tcp:HOST:PORT or device[:PATH]"

// Usage is the flag's help text.
const Usage = "use this `TPM`: " + Kinds

// A Device is an open TPM. Its Close closes it.
type Device struct {
	transport.TPMCloser
	Name string // what it is, in a few words for people

	owner, endorsement []byte // authorization values that the system keeps
}

// Open opens the TPM that spec names: the emulator in this process, which is
// the same TPM the next time if it has a state file; a child process swtpm with
// a state folder; an emulator at a socket; or the machine's own TPM. It opens
// the machine's TPM only if spec names it, and never an emulator instead of it. The
// TCTI strings "device:PATH", "swtpm:path=SOCKET" and "swtpm:host=HOST,port=PORT" are
// understood, too.
//
// The error wraps [attest.ErrNoTPM] if the machine has no TPM, and
// [attesttest.ErrNoSWTPM] if swtpm is not installed.
func Open(spec string) (*Device, error) {
	kind, arg, _ := strings.Cut(spec, ":")
	switch kind {
	case "soft":
		tpm, err := attesttest.New(attesttest.Config{StateFile: arg})
		if err != nil {
			return nil, unopened(spec, err)
		}
		if arg == "" {
			return &Device{TPMCloser: tpm, Name: "emulated TPM in this process"}, nil
		}
		return &Device{TPMCloser: tpm, Name: "emulated TPM in this process, state in " + arg}, nil
	case "swtpm":
		if network, address, ok := tcti(arg); ok {
			return dial(network, address)
		}
		return start(arg)
	case "unix", "tcp":
		return dial(kind, arg)
	case "device":
		tpm, err := attest.Open(arg)
		if err != nil {
			return nil, err
		}
		d := &Device{TPMCloser: closer{tpm.Transport, tpm}, Name: "this machine's TPM"}
		// A TPM that needs a value which this user may not read says so when it is used.
		d.owner, d.endorsement, _ = attest.SystemAuth()
		return d, nil
	}
	if hint := hints[kind]; hint != "" {
		return nil, fmt.Errorf("tpm: %q: %s", spec, hint)
	}
	return nil, fmt.Errorf("tpm: %q: want %s", spec, Kinds)
}

// hints are for the other TCTIs of tpm2-tss.
var hints = map[string]string{
	"tabrmd": "programs need no resource manager beside the kernel's: use device:/dev/tpmrm0",
	"mssim":  "the protocol of Microsoft's simulator is not spoken: use swtpm, or soft",
	"cmd":    "no command is run: use swtpm:STATEDIR, or an emulator at unix:SOCKET or tcp:HOST:PORT",
	"pcap":   "it only records what another TPM does: name that, and use -trace-md to record",
}

// tcti returns the address in the options of tpm2-tss's TCTI for swtpm, and whether arg
// is such options.
func tcti(arg string) (network, address string, ok bool) {
	host, port := "localhost", "2321"
	for option := range strings.SplitSeq(arg, ",") {
		name, value, is := strings.Cut(option, "=")
		switch {
		case is && name == "path":
			return "unix", value, true
		case is && name == "host":
			host = value
		case is && name == "port":
			port = value
		default:
			return "", "", false
		}
	}
	return "tcp", net.JoinHostPort(host, port), true
}

// unopened returns an error that says what can be done, as package attest knows it.
func unopened(spec string, err error) error {
	return &attest.Error{Op: "Open", Err: fmt.Errorf("%s: %w", spec, err)}
}

// closer is a transport that something else closes.
type closer struct {
	transport.TPM
	io.Closer
}

// start starts swtpm with its state in dir.
func start(dir string) (*Device, error) {
	if dir == "" {
		return nil, fmt.Errorf("tpm: swtpm: name a state folder, as in swtpm:STATEDIR")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, unopened("swtpm:"+dir, err)
	}
	tpm, err := attesttest.StartSWTPM(dir)
	if err != nil {
		return nil, fmt.Errorf("tpm: swtpm:%s: %w (Debian: apt-get install swtpm; or use -tpm soft)", dir, err)
	}
	return &Device{TPMCloser: tpm, Name: "swtpm child, state in " + dir}, nil
}

// dial connects to the command socket of an emulator. The emulator needs
// TPM2_Startup; it answers TPM_RC_INITIALIZE if it has had one.
func dial(network, address string) (*Device, error) {
	conn, err := net.Dial(network, address)
	if err != nil {
		return nil, unopened(network+":"+address, err)
	}
	tpm := transport.FromReadWriteCloser(conn)
	_, err = tpm2.Startup{StartupType: tpm2.TPMSUClear}.Execute(tpm)
	if err != nil && err != error(tpm2.TPMRCInitialize) {
		conn.Close()
		return nil, &attest.Error{Op: "TPM2_Startup", Err: fmt.Errorf("%s:%s: %w", network, address, err)}
	}
	return &Device{TPMCloser: tpm, Name: "TPM at " + network + ":" + address}, nil
}
