package attest

import (
	"bytes"
	"crypto"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest/attesttest"
)

// reopened is a TPM whose service is started again at a command, from which on it is
// another context: what was loaded is not there.
type reopened struct {
	transport.TPM
	at, sent int
}

func (r *reopened) Send(command []byte) ([]byte, error) {
	r.sent++
	if r.sent != r.at {
		return r.TPM.Send(command)
	}
	for _, first := range []tpm2.TPMHandle{0x80000000, 0x02000000, 0x03000000} {
		rsp, err := tpm2.GetCapability{Capability: tpm2.TPMCapHandles, Property: uint32(first), PropertyCount: 64}.Execute(r.TPM)
		if err != nil {
			return nil, err
		}
		handles, err := rsp.CapabilityData.Data.Handles()
		if err != nil {
			return nil, err
		}
		for _, h := range handles.Handle {
			if _, err := (tpm2.FlushContext{FlushHandle: h}).Execute(r.TPM); err != nil {
				return nil, err
			}
		}
	}
	return nil, fmt.Errorf("%w: test", errReopened)
}

// A method that meets the new context at any of its commands starts over, with and
// without what Keep holds, and leaves nothing loaded. If that happens again, it fails.
func TestReopened(t *testing.T) {
	soft, err := attesttest.New(attesttest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer soft.Close()
	for _, keep := range []bool{false, true} {
		for at := 1; ; at++ {
			r := &reopened{TPM: soft}
			tpm := &TPM{Transport: r}
			release := func() error { return nil }
			if keep {
				done := tpm.Keep()
				release = func() error { return done(t.Context()) }
				if _, err := tpm.CreateKey(t.Context(), Template{Usage: Attest}); err != nil {
					t.Fatal(err)
				}
			}
			r.at = r.sent + at
			key, err := tpm.CreateKey(t.Context(), Template{Algorithm: P256, Usage: Sign})
			if err == nil {
				_, err = key.Sign(nil, make([]byte, 32), crypto.SHA256)
			}
			if err := errors.Join(err, release()); err != nil {
				t.Errorf("keep %t, at command %d: %v", keep, at, err)
			}
			if rsp, err := soft.Send(handlesCommand(0x80000000)); err != nil || bytes.Contains(rsp[19:], []byte{0x80, 0, 0}) {
				t.Errorf("keep %t, at command %d: left loaded: %x, %v", keep, at, rsp, err)
			}
			if r.sent < r.at {
				break
			}
		}
	}
	always := &TPM{Transport: alwaysReopened{}}
	var e *Error
	if _, err := always.Info(t.Context()); !errors.As(err, &e) || !errors.Is(err, errReopened) || e.Remedy() == "" || e.HRESULT() == 0 {
		t.Errorf("again and again: %v", err)
	}
}

type alwaysReopened struct{}

func (alwaysReopened) Send([]byte) ([]byte, error) { return nil, errReopened }

// handlesCommand returns TPM2_GetCapability for the handles from first.
func handlesCommand(first uint32) []byte {
	c := []byte{0x80, 1, 0, 0, 0, 22, 0, 0, 1, 0x7A, 0, 0, 0, 1}
	c = binary.BigEndian.AppendUint32(c, first)
	return binary.BigEndian.AppendUint32(c, 64)
}
