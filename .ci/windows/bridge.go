package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/attest/attesttest"
)

// Functions of TBS, as dll/tbs.c numbers them.
const (
	getDeviceInfo = iota + 1
	createContext
	submitCommand
	getLog
	getOwnerAuth
)

// Results of TBS (winerror.h).
const (
	errBadParameter       = 0x80284002
	errInvalidContext     = 0x80284004
	errInsufficientBuffer = 0x80284005
	errServiceNotRunning  = 0x80284008
	errCommandCanceled    = 0x8028400D
	errTPMNotFound        = 0x8028400F
	errNoEventLog         = 0x80284011
	errAccessDenied       = 0x80284012
	errOwnerauthNotFound  = 0x80284015
	errCommandBlocked     = 0x80280400 // TPM_E_COMMAND_BLOCKED
)

// A bridge is the TBS service: the programs' tbs.dll connects to it. It passes commands
// to an swtpm, one at a time. When the last context closes, it removes what that left
// in the TPM, as TBS does.
type bridge struct {
	listener net.Listener

	mu       sync.Mutex
	tpm      *attesttest.SWTPM
	contexts int
	commands int // since reset
	left     int // objects and sessions that the last context left
	behavior
}

// A behavior is how TBS answers. The zero value is a TBS with a TPM 2.0, without an
// event log and without authorization values.
type behavior struct {
	version uint32            // TPM version; 0 is 2
	log     []byte            // event log
	auths   map[uint32][]byte // authorization values, by type

	// fault returns a result of TBS for a call of a function, or 0 for TBS's own. n
	// is how many commands there were before, in the input: a command, or what else the
	// function has.
	fault func(function, n int, in []byte) uint32

	// before, if not nil, is called before each command. Other calls go on meanwhile.
	before func(n int)
}

// startBridge starts TBS with a TPM whose state is in the folder dir.
func startBridge(dir string) (*bridge, error) {
	tpm, err := attesttest.StartSWTPM(dir)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, tpm.Close())
	}
	b := &bridge{listener: l, tpm: tpm}
	go b.accept()
	return b, nil
}

// close ends the TPM.
func (b *bridge) close() error {
	b.listener.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tpm.Close()
}

// port returns where tbs.dll finds the bridge.
func (b *bridge) port() int { return b.listener.Addr().(*net.TCPAddr).Port }

// set changes how TBS answers, and counts commands from 0.
func (b *bridge) set(how behavior) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.behavior, b.commands, b.left = how, 0, 0
}

// counts returns how many commands there were since set, and how many objects and
// sessions programs left to TBS to remove.
func (b *bridge) counts() (commands, left int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.commands, b.left
}

func (b *bridge) accept() {
	for {
		conn, err := b.listener.Accept()
		if err != nil {
			return
		}
		go b.serve(conn)
	}
}

// serve answers the calls of one context, or of none.
func (b *bridge) serve(conn net.Conn) {
	defer conn.Close()
	created := false
	for {
		var head [3]uint32
		if binary.Read(conn, binary.BigEndian, &head) != nil || head[1] > 1<<16 {
			break
		}
		in := make([]byte, head[1])
		if _, err := io.ReadFull(conn, in); err != nil {
			break
		}
		result, out := b.call(int(head[0]), in)
		if head[0] == createContext && result == 0 && !created {
			created = true
			b.mu.Lock()
			b.contexts++
			b.mu.Unlock()
		}
		if result == errInvalidContext && created {
			b.release(false) // the program opens another
			created = false
		}
		room := int(head[2])
		if result == 0 && room > 0 && room < len(out) {
			result = errInsufficientBuffer
		}
		answer := binary.BigEndian.AppendUint32(nil, result)
		answer = binary.BigEndian.AppendUint32(answer, uint32(len(out)))
		if result == 0 && room > 0 {
			answer = append(answer, out...)
		}
		if _, err := conn.Write(answer); err != nil {
			break
		}
	}
	if created {
		b.release(true)
	}
}

// release ends a context. own is whether the program closed it, or ended itself.
func (b *bridge) release(own bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.contexts--; b.contexts > 0 {
		return
	}
	n, err := flush(b.tpm)
	if err != nil {
		fmt.Println("   TBS:", err)
	}
	if own {
		b.left += n
	}
}

// call runs a function of TBS.
func (b *bridge) call(function int, in []byte) (result uint32, out []byte) {
	b.mu.Lock()
	n := b.commands
	if function == submitCommand {
		b.commands++
		if before := b.before; before != nil {
			b.mu.Unlock()
			before(n)
			b.mu.Lock()
		}
	}
	defer b.mu.Unlock()
	if b.fault != nil {
		if result := b.fault(function, n, in); result != 0 {
			return result, nil
		}
	}
	switch function {
	case getDeviceInfo:
		version := b.version
		if version == 0 {
			version = 2
		}
		// TPM_DEVICE_INFO: version of the structure, of the TPM, kind of interface, revision.
		for _, v := range []uint32{1, version, 0, 0} {
			out = binary.LittleEndian.AppendUint32(out, v)
		}
		return 0, out
	case createContext:
		return 0, nil
	case submitCommand:
		out, err := b.tpm.Send(in)
		if err != nil {
			fmt.Println("   TBS:", err)
			return 0x80284006, nil // TBS_E_IOERROR
		}
		return 0, out
	case getLog:
		if b.log == nil {
			return errNoEventLog, nil
		}
		return 0, b.log
	case getOwnerAuth:
		if auth, ok := b.auths[binary.BigEndian.Uint32(in)]; ok {
			return 0, auth
		}
		return errOwnerauthNotFound, nil
	}
	return errBadParameter, nil
}

// flush removes what is loaded, and returns how much that was.
func flush(tpm *attesttest.SWTPM) (n int, err error) {
	for _, first := range []tpm2.TPMHandle{0x80000000, 0x02000000, 0x03000000} {
		r, err := tpm2.GetCapability{Capability: tpm2.TPMCapHandles, Property: uint32(first), PropertyCount: 64}.Execute(tpm)
		if err != nil {
			return n, err
		}
		handles, err := r.CapabilityData.Data.Handles()
		if err != nil {
			return n, err
		}
		for _, h := range handles.Handle {
			if _, err := (tpm2.FlushContext{FlushHandle: h}).Execute(tpm); err != nil {
				return n, err
			}
			n++
		}
	}
	return n, nil
}
