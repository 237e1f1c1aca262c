package device_test

import (
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/internal/tooltest"
)

// The TCTI strings of tpm2-tss lead to the TPM to which they lead its own tools.
func TestTCTI(t *testing.T) {
	getrandom := tooltest.Path(t, "tpm2_getrandom")
	emulator, err := attesttest.New(attesttest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer emulator.Close()
	socket := tooltest.ServeTPM(t, emulator)
	spec := "swtpm:path=" + socket
	if out, err := exec.Command(getrandom, "-T", spec, "--hex", "4").CombinedOutput(); err != nil {
		t.Errorf("tpm2_getrandom -T %s: %v: %s", spec, err, out)
	}
	port := forward(t, socket)
	for _, spec := range []string{spec, "swtpm:host=127.0.0.1,port=" + port, "swtpm:port=" + port + ",host=127.0.0.1", "tcp:127.0.0.1:" + port, "unix:" + socket} {
		d, err := device.Open(t.Context(), spec)
		if err != nil {
			t.Errorf("%s: %v", spec, err)
			continue
		}
		if r, err := (tpm2.GetRandom{BytesRequested: 4}).Execute(d); err != nil || len(r.RandomBytes.Buffer) != 4 {
			t.Errorf("%s: %v", spec, err)
		}
		if err := d.Close(); err != nil {
			t.Errorf("%s: %v", spec, err)
		}
	}
	for spec, want := range map[string]string{
		"tabrmd":                      "use device:/dev/tpmrm0",
		"tabrmd:bus_name=x":           "use device:/dev/tpmrm0",
		"mssim:host=localhost":        "use swtpm",
		"cmd:ssh host tpm2_send":      "no command is run",
		"pcap:device:/dev/tpm0":       "-trace-md",
		"swtpm:path=/nowhere/s":       "unix:/nowhere/s",
		"swtpm:host=127.0.0.1,port=1": "tcp:127.0.0.1:1",
		"nonsense":                    "want soft",
	} {
		d, err := device.Open(t.Context(), spec)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", spec, err)
		}
		if err == nil {
			d.Close()
		}
	}
}

// forward returns a port of the loopback interface that leads to the socket.
func forward(t *testing.T, socket string) (port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("unix", socket)
			if err != nil {
				c.Close()
				return
			}
			go pass(to, c)
			go pass(c, to)
		}
	}()
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port
}

// pass copies until one side ends, and ends the other.
func pass(to, from net.Conn) {
	io.Copy(to, from)
	to.Close()
}
