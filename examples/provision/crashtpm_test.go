package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest/attesttest"
)

// A machine has a TPM and runs provision.
type machine struct {
	flag   string                     // value of -tpm for the next process
	outlet *outlet                    // nil if the TPM is in that process
	died   func(t *testing.T, at int) // called between a kill at a point and the next process
}

// left returns what the last process left in the TPM, or "". It must be called
// after each process.
func (m *machine) left() string {
	if m.outlet == nil {
		return ""
	}
	return <-m.outlet.left
}

// plug lets the next processes use a TPM that is outside of them.
func (m *machine) plug(t *testing.T, tpm transport.TPM) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	m.flag, m.outlet = "tcp:"+l.Addr().String(), &outlet{tpm, make(chan string, 1)}
	go m.outlet.serve(l)
}

// emulator returns a machine that loses its power with a kill: the TPM is in the
// process, with its state in a file. The next process uses a TPM that starts from
// that file, at an outlet, which says what is left in it.
func emulator(t *testing.T) *machine {
	file := filepath.Join(t.TempDir(), "tpm")
	m := &machine{flag: "soft:" + file}
	m.died = func(t *testing.T, _ int) {
		tpm, err := attesttest.New(attesttest.Config{StateFile: file})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { tpm.Close() })
		m.plug(t, tpm)
	}
	return m
}

// swtpm returns a function that returns machines with a new swtpm, all with the
// same keys. The swtpm outlives a killed process. At two points only the process
// ends, at the next two the machine reboots as well, and so on.
func swtpm(t *testing.T) func(*testing.T) *machine {
	maker := t.TempDir()
	first, err := attesttest.StartSWTPM(maker)
	if errors.Is(err, attesttest.ErrNoSWTPM) && os.Getenv("WHITEGLOVE_REQUIRE_SWTPM") == "" {
		t.Skip(err)
	}
	if err == nil {
		err = first.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return func(t *testing.T) *machine {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(maker)); err != nil {
			t.Fatal(err)
		}
		tpm, err := attesttest.StartSWTPM(dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { tpm.Close() })
		m := new(machine)
		m.plug(t, tpm)
		m.died = func(t *testing.T, at int) {
			if at/2%2 == 0 {
				return
			}
			if err := tpm.Reboot(); err != nil {
				t.Fatal(err)
			}
		}
		return m
	}
}

// An outlet lets one process after the other use a TPM. When a process ends, in
// whatever way, the outlet flushes what it left loaded, as the resource managers
// of Linux and Windows do. Without a resource manager, as at a bare socket or
// /dev/tpm0, a TPM keeps that until it is turned off.
type outlet struct {
	tpm  transport.TPM
	left chan string // what was flushed after each process
}

// serve serves one connection after the other.
func (o *outlet) serve(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		for err == nil {
			err = o.pass(conn)
		}
		conn.Close()
		o.left <- o.flush()
	}
}

// pass passes on a command and its response.
func (o *outlet) pass(conn net.Conn) error {
	command := make([]byte, 10)
	if _, err := io.ReadFull(conn, command); err != nil {
		return err
	}
	size := binary.BigEndian.Uint32(command[2:])
	if size < 10 || size > 1<<16 {
		return fmt.Errorf("command of %d bytes", size)
	}
	command = append(command, make([]byte, size-10)...)
	if _, err := io.ReadFull(conn, command[10:]); err != nil {
		return err
	}
	response, err := o.tpm.Send(command)
	if err == nil {
		_, err = conn.Write(response)
	}
	return err
}

// flush flushes everything that is loaded, and returns the handles.
func (o *outlet) flush() (was string) {
	for _, kind := range []uint32{0x02000000, 0x03000000, 0x80000000} { // sessions: loaded, saved; transient objects
		rsp, err := tpm2.GetCapability{Capability: tpm2.TPMCapHandles, Property: kind, PropertyCount: 32}.Execute(o.tpm)
		if err != nil {
			return was + " " + err.Error()
		}
		list, err := rsp.CapabilityData.Data.Handles()
		if err != nil {
			return was + " " + err.Error()
		}
		for _, h := range list.Handle {
			if top := uint32(h) >> 24; top != 2 && top != 3 && top != 0x80 {
				continue
			}
			was += fmt.Sprintf(" %08X", uint32(h))
			if _, err := (tpm2.FlushContext{FlushHandle: h}).Execute(o.tpm); err != nil {
				was += ": " + err.Error()
			}
		}
	}
	return was
}
