package attest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/google/go-tpm/tpm2"
)

// run executes one command, and repeats it if the TPM asks for that. Errors are of
// type *Error.
//
// If an answer reports success but cannot be trusted, the handle in it is flushed
// when the method returns. So is the kept session, whose nonces may no longer match
// the TPM's. The session is also flushed if the TPM complains about one.
func run[R any](ctx context.Context, t *TPM, cmd tpm2.Command[R, *R], s ...tpm2.Session) (*R, error) {
	name := commandName(cmd.Command())
	switch {
	case t.reopened:
		return nil, &Error{Op: name, Err: errReopened}
	case t.silence != nil:
		return nil, &Error{Op: name, Err: t.silence.again()}
	}
	p := &port{ctx: ctx, tpm: t, name: name}
	rsp, err := execute(p, cmd, s)
	if err == nil {
		return rsp, nil
	}
	e := &Error{Op: name, Err: err}
	if errors.Is(err, errReopened) {
		t.forget()
		return nil, e
	}
	if t.silence != nil {
		return nil, e
	}
	if !errors.As(err, &e.RC) {
		t.distrust(p.made)
	} else if isSessionRC(e.RC) {
		t.endSession()
	}
	return nil, e
}

// execute executes a command and turns a panic into an error: go-tpm trusts the
// lengths in an answer in places, so a hostile one could end the process.
func execute[R any](p *port, cmd tpm2.Command[R, *R], s []tpm2.Session) (rsp *R, err error) {
	defer func() {
		if v := recover(); v != nil {
			rsp, err = nil, fmt.Errorf("%w: %v", errAnswer, v)
		}
	}()
	return cmd.Execute(p, s...)
}

// A port is the transport.TPM that go-tpm sees during one command.
type port struct {
	ctx  context.Context
	tpm  *TPM
	name string         // of the command
	made tpm2.TPMHandle // handle in the answer, if the command makes an object or session
}

// tag12 is TPM_TAG_RSP_COMMAND, with which a TPM 1.2 answers.
const tag12 = 0x00C4

// maxResponse limits an answer, in bytes. A TPM's MAX_RESPONSE_SIZE is 4096.
const maxResponse = 8192

// patience is how long a command is repeated while the TPM is busy. Tests that a TPM
// makes of itself, and the search for an RSA key, take less.
const patience = 2 * time.Minute

// Send implements transport.TPM.
func (p *port) Send(command []byte) ([]byte, error) {
	first := time.Now()
	for pause := time.Millisecond; ; pause = min(2*pause, 250*time.Millisecond) {
		if err := p.ctx.Err(); err != nil {
			return nil, err
		}
		start := time.Now()
		rsp, err := p.pass(command)
		if err != nil {
			return nil, err
		}
		rc, err := p.check(command, rsp)
		if err != nil {
			return nil, err
		}
		if l := p.tpm.Logger; l != nil {
			l.DebugContext(p.ctx, "tpm command", "name", p.name, "rc", uint32(rc), "took", time.Since(start))
		}
		if !isBusy(rc) {
			return rsp, nil
		}
		if waited := time.Since(first); waited > patience {
			return nil, fmt.Errorf("%w: the TPM has been busy for %v", rc, waited.Round(time.Second))
		}
		select {
		case <-p.ctx.Done():
			return nil, fmt.Errorf("%w while waiting for the TPM: %w", rc, p.ctx.Err())
		case <-time.After(pause):
		}
	}
}

// check checks the header of a response and returns its response code. A successful
// response has sessions if the command had.
func (p *port) check(command, rsp []byte) (tpm2.TPMRC, error) {
	if len(rsp) >= 14 && makesHandle(p.name) {
		p.made = tpm2.TPMHandle(binary.BigEndian.Uint32(rsp[10:]))
	}
	if len(rsp) < 10 || len(rsp) > maxResponse || binary.BigEndian.Uint32(rsp[2:]) != uint32(len(rsp)) {
		return 0, fmt.Errorf("%w of %d bytes", errAnswer, len(rsp))
	}
	if binary.BigEndian.Uint16(rsp) == tag12 {
		return 0, fmt.Errorf("%w: %w", ErrNoTPM, errTPM12)
	}
	rc := tpm2.TPMRC(binary.BigEndian.Uint32(rsp[6:]))
	if rc == 0 && !bytes.Equal(rsp[:2], command[:2]) {
		return 0, fmt.Errorf("%w: it has the wrong tag", errAnswer)
	}
	return rc, nil
}

// isSessionRC reports whether rc is about a session (TCG Part 2, 6.6.2).
func isSessionRC(rc tpm2.TPMRC) bool { return rc&0x8C0 == 0x880 }

// isBusy reports whether the TPM asks to be sent the command again.
func isBusy(rc tpm2.TPMRC) bool {
	return rc == tpm2.TPMRCRetry || rc == tpm2.TPMRCYielded || rc == tpm2.TPMRCTesting
}

// makesHandle reports whether the answers of a command begin with a new handle.
func makesHandle(name string) bool {
	switch name {
	case "TPM2_CreatePrimary", "TPM2_CreateLoaded", "TPM2_Load", "TPM2_StartAuthSession":
		return true
	}
	return false
}

// commandName returns the name of a command as Part 3 has it.
func commandName(cc tpm2.TPMCC) string {
	switch cc {
	case tpm2.TPMCCActivateCredential:
		return "TPM2_ActivateCredential"
	case tpm2.TPMCCCertify:
		return "TPM2_Certify"
	case tpm2.TPMCCCertifyCreation:
		return "TPM2_CertifyCreation"
	case tpm2.TPMCCCreate:
		return "TPM2_Create"
	case tpm2.TPMCCCreateLoaded:
		return "TPM2_CreateLoaded"
	case tpm2.TPMCCCreatePrimary:
		return "TPM2_CreatePrimary"
	case tpm2.TPMCCEvictControl:
		return "TPM2_EvictControl"
	case tpm2.TPMCCFlushContext:
		return "TPM2_FlushContext"
	case tpm2.TPMCCGetCapability:
		return "TPM2_GetCapability"
	case tpm2.TPMCCLoad:
		return "TPM2_Load"
	case tpm2.TPMCCNVRead:
		return "TPM2_NV_Read"
	case tpm2.TPMCCNVReadPublic:
		return "TPM2_NV_ReadPublic"
	case tpm2.TPMCCPolicyOR:
		return "TPM2_PolicyOR"
	case tpm2.TPMCCPolicySecret:
		return "TPM2_PolicySecret"
	case tpm2.TPMCCPCRRead:
		return "TPM2_PCR_Read"
	case tpm2.TPMCCQuote:
		return "TPM2_Quote"
	case tpm2.TPMCCReadPublic:
		return "TPM2_ReadPublic"
	case tpm2.TPMCCRSADecrypt:
		return "TPM2_RSA_Decrypt"
	case tpm2.TPMCCSign:
		return "TPM2_Sign"
	case tpm2.TPMCCStartAuthSession:
		return "TPM2_StartAuthSession"
	}
	return fmt.Sprintf("TPM command 0x%08X", uint32(cc))
}

// hasRC reports whether err wraps one of the response codes, for any handle,
// parameter or session.
func hasRC(err error, codes ...tpm2.TPMRC) bool {
	for _, c := range codes {
		if errors.Is(err, c) {
			return true
		}
	}
	return false
}
