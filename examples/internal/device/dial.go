package device

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/internal/plain"
)

// dialTime is how long a TPM at a socket may take to take the connection and to answer
// the first command.
const dialTime = 10 * time.Second

// dial connects to the command socket of an emulator. The emulator needs
// TPM2_Startup; it answers TPM_RC_INITIALIZE if it has had one.
func dial(ctx context.Context, network, address string) (*Device, error) {
	spec := network + ":" + address
	start := time.Now()
	caller := ctx
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	var unknown *net.DNSError
	switch {
	case errors.As(err, &unknown) && unknown.IsNotFound:
		return nil, &mistake{spec, "there is no host " + unknown.Name, "Check the spelling of the host's name, then the DNS server of this machine.", err}
	case network == "unix" && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)):
		return nil, &mistake{spec, "nothing listens at the socket " + address, "Start the emulator, or correct the path.", err}
	case err != nil && ctx.Err() != nil:
		return nil, silent(caller, spec, "Open", start)
	case err != nil:
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err // without the address
		}
		return nil, unopened(spec, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	rsp, err := exchange(conn)
	if !stop() || errors.Is(err, os.ErrDeadlineExceeded) {
		conn.Close()
		return nil, silent(caller, spec, "TPM2_Startup", start)
	}
	if err := judge(ctx, spec, rsp, err); err != nil {
		conn.Close()
		return nil, err
	}
	return &Device{TPMCloser: transport.FromReadWriteCloser(conn), Name: "TPM at " + spec}, nil
}

// silent returns the error of a TPM that did not answer.
func silent(ctx context.Context, spec, op string, start time.Time) error {
	err := plain.Because(attest.ErrNoAnswer, "%s: the TPM has not answered for %.0f s", spec, time.Since(start).Seconds())
	if ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", err, ctx.Err())
	}
	return &attest.Error{Op: op, Err: err}
}

// exchange sends TPM2_Startup, again if the TPM asks for that, and returns the answer.
func exchange(conn net.Conn) ([]byte, error) {
	var sent capture
	_, _ = tpm2.Startup{StartupType: tpm2.TPMSUClear}.Execute(&sent)
	for {
		if _, err := conn.Write(sent); err != nil {
			return nil, err
		}
		rsp := make([]byte, 4096)
		n, err := io.ReadAtLeast(conn, rsp, 10)
		switch {
		case errors.Is(err, io.ErrUnexpectedEOF): // something shorter is no answer of a TPM
			return rsp[:n], nil
		case err != nil:
			return nil, err
		}
		switch tpm2.TPMRC(binary.BigEndian.Uint32(rsp[6:])) {
		case tpm2.TPMRCRetry, tpm2.TPMRCYielded, tpm2.TPMRCTesting:
			time.Sleep(50 * time.Millisecond)
			continue
		}
		return rsp[:n], nil
	}
}

// A capture is a transport that keeps the command.
type capture []byte

func (c *capture) Send(command []byte) ([]byte, error) {
	*c = command
	return nil, io.EOF
}

// A canned transport has one answer to everything.
type canned struct {
	rsp []byte
	err error
}

func (c canned) Send([]byte) ([]byte, error) { return c.rsp, c.err }

// judge returns the error of an answer to TPM2_Startup, or nil. Package attest knows what
// is no answer of a TPM 2.0.
func judge(ctx context.Context, spec string, rsp []byte, err error) error {
	if err == nil && len(rsp) == 10 && binary.BigEndian.Uint16(rsp) == uint16(tpm2.TPMSTNoSessions) && binary.BigEndian.Uint32(rsp[2:]) == 10 {
		switch tpm2.TPMRC(binary.BigEndian.Uint32(rsp[6:])) {
		case tpm2.TPMRCSuccess, tpm2.TPMRCInitialize:
			return nil
		}
	}
	_, judged := (&attest.TPM{Transport: canned{rsp, err}}).Info(ctx)
	var e *attest.Error
	switch {
	case errors.As(judged, &e) && e.RC == tpm2.TPMRCFailure:
		failed := &attest.Error{Op: "TPM2_Startup", RC: e.RC, Err: e.Err}
		return command.At(spec, &advised{failed, "The emulator's TPM has failed: end the emulator and start it again. If that does not help, begin with a new state."})
	case errors.As(judged, &e) && (err != nil || e.RC != 0 || errors.Is(e, attest.ErrNoTPM)):
		return &attest.Error{Op: "TPM2_Startup", RC: e.RC, Err: fmt.Errorf("%s: %w", spec, e.Err)}
	case strings.HasPrefix(string(rsp), "HTTP/"):
		return &mistake{spec, "a web server answers there, not a TPM", wrongAddress, nil}
	}
	return &mistake{spec, "what answers there is no TPM 2.0", wrongAddress, nil}
}

const wrongAddress = "Give the address of the TPM emulator's command channel. That of swtpm is the one of --server, not of --ctrl."
