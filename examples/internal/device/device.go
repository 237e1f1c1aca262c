// Package device opens the TPM that a -tpm flag names.
package device

import (
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
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
// the same TPM the next time if it has a state file (and has the endorsement and storage
// keys of all such TPMs in any case); a child process swtpm with a state folder; an emulator at a socket; or the machine's own TPM. It opens
// the machine's TPM only if spec names it, and never an emulator instead of it. The
// TCTI strings "device:PATH", "swtpm:path=SOCKET" and "swtpm:host=HOST,port=PORT" are
// understood, too. Open ends soon after ctx.
//
// The error is that of [Check] if that has one. It wraps [attest.ErrNoTPM] if the machine
// has no TPM, [attesttest.ErrNoSWTPM] if swtpm is not installed, and
// [attest.ErrNoAnswer] if a TPM at a socket does not answer within ten seconds or when
// ctx ends; the error of ctx is wrapped then, too.
func Open(ctx context.Context, spec string) (*Device, error) {
	if err := Check(spec); err != nil {
		return nil, err
	}
	kind, arg, _ := strings.Cut(spec, ":")
	switch kind {
	case "soft":
		return emulate(arg)
	case "swtpm":
		if network, address, ok := tcti(arg); ok {
			return dial(ctx, network, address)
		}
		return start(ctx, arg)
	case "unix", "tcp":
		return dial(ctx, kind, arg)
	}
	tpm, err := attest.Open(arg)
	if err != nil {
		return nil, err
	}
	d := &Device{TPMCloser: closer{tpm.Transport, tpm}, Name: "this machine's TPM"}
	// A TPM that needs a value which this user may not read says so when it is used.
	d.owner, d.endorsement, _ = attest.SystemAuth()
	return d, nil
}

// Check checks the form of spec without opening anything. Its error is a mistake in the
// command line.
func Check(spec string) error {
	kind, arg, _ := strings.Cut(spec, ":")
	switch {
	case kind == "soft" || kind == "device":
		return nil
	case kind == "swtpm" && arg == "":
		return fmt.Errorf("tpm: %q: name a state folder, as in swtpm:STATEDIR", spec)
	case kind == "swtpm":
		if network, address, ok := tcti(arg); ok && network == "tcp" {
			return checkAddress(spec, address)
		}
		return nil
	case kind == "unix" && arg == "":
		return fmt.Errorf("tpm: %q: name a socket, as in unix:SOCKET", spec)
	case kind == "unix":
		return nil
	case kind == "tcp":
		return checkAddress(spec, arg)
	case strings.HasPrefix(spec, "/dev/"):
		return fmt.Errorf("tpm: %q: write device:%s", spec, spec)
	case strings.HasPrefix(spec, "/"):
		return fmt.Errorf("tpm: %q: write unix:%s, swtpm:%s or soft:%s", spec, spec, spec, spec)
	case hints[kind] != "":
		return fmt.Errorf("tpm: %q: %s", spec, hints[kind])
	}
	return fmt.Errorf("tpm: %q: want %s", spec, Kinds)
}

// checkAddress checks that an address has a host and a port.
func checkAddress(spec, address string) error {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil || port == "" || port == "0" {
		return fmt.Errorf("tpm: %q: want a host and a port number, as in tcp:localhost:2321", spec)
	}
	return nil
}

// hints are for the other TCTIs of tpm2-tss.
var hints = map[string]string{
	"tabrmd": "programs need no resource manager beside the kernel's: use device:/dev/tpmrm0",
	"mssim":  "the protocol of Microsoft's simulator is not spoken: use swtpm, or soft",
	"cmd":    "no command is run: use swtpm:STATEDIR, or an emulator at unix:SOCKET or tcp:HOST:PORT",
	"tbs":    "Windows' own TPM is -tpm device",
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
