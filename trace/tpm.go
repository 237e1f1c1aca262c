package trace

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/provision"
)

// TPM returns a transport that passes commands on to tpm and whose commands t
// records. Set attest.TPM.Transport to it.
func (t *Trace) TPM(tpm transport.TPM) transport.TPM { return &tracedTPM{tpm, t} }

// A tracedTPM records TPM commands in a trace.
type tracedTPM struct {
	tpm   transport.TPM
	trace *Trace
}

// Send implements transport.TPM.
func (t *tracedTPM) Send(command []byte) ([]byte, error) {
	return t.SendContext(context.Background(), command)
}

// SendContext is what an attest.TPM calls in place of Send. The step comes from
// ctx.
func (t *tracedTPM) SendContext(ctx context.Context, command []byte) ([]byte, error) {
	e := traceEntry{Kind: "TPM", Begin: time.Now()}
	answer, err := send(ctx, t.tpm, command)
	e.End = time.Now()
	e.Name, e.Why = commandName(command)
	e.Sent, e.Got = newMessage(command, ""), newMessage(answer, "")
	switch rc := responseCode(answer); {
	case err != nil:
		e.Result, e.Failed = err.Error(), true
	case isProbe(e.Name) && errors.Is(rc, tpm2.TPMRCHandle):
		e.Result = "not there"
	case rc != tpm2.TPMRCSuccess:
		e.Result, e.Failed = rc.Error(), true
	default:
		e.Result = "ok"
	}
	t.trace.add(provision.StepOf(ctx), e)
	return answer, err
}

// send sends a command, with ctx if tpm has a method SendContext.
func send(ctx context.Context, tpm transport.TPM, command []byte) ([]byte, error) {
	if c, ok := tpm.(interface {
		SendContext(ctx context.Context, command []byte) ([]byte, error)
	}); ok {
		return c.SendContext(ctx, command)
	}
	return tpm.Send(command)
}

// isProbe reports whether a command asks if an object exists.
func isProbe(name string) bool { return name == "TPM2_ReadPublic" || name == "TPM2_NV_ReadPublic" }

// codeAt is the offset of the code in a command or an answer, and headerSize the
// size of the header in bytes (TCG Part 1, section 18.1).
const (
	codeAt     = 6
	headerSize = 10
)

// responseCode returns the code of an answer, or TPM_RC_FAILURE if it is too short
// to have one.
func responseCode(answer []byte) tpm2.TPMRC {
	if len(answer) < headerSize {
		return tpm2.TPMRCFailure
	}
	return tpm2.TPMRC(binary.BigEndian.Uint32(answer[codeAt:]))
}

// commandName returns a command's name and what it is for.
func commandName(command []byte) (name, why string) {
	if len(command) < headerSize {
		return "incomplete command", ""
	}
	code := tpm2.TPMCC(binary.BigEndian.Uint32(command[codeAt:]))
	if c, ok := commands[code]; ok {
		return "TPM2_" + c.name, c.why
	}
	return fmt.Sprintf("command 0x%08X", uint32(code)), ""
}

// commands are the commands that a run sends.
var commands = map[tpm2.TPMCC]struct{ name, why string }{
	tpm2.TPMCCActivateCredential: {"ActivateCredential", "decrypt a secret meant for an endorsement key and another key of the same TPM"},
	tpm2.TPMCCCertify:            {"Certify", "let the attestation key state that a key is in this TPM"},
	tpm2.TPMCCCertifyCreation:    {"CertifyCreation", "let the attestation key state how it was made"},
	tpm2.TPMCCCreate:             {"Create", "make a key, wrapped by its parent"},
	tpm2.TPMCCCreateLoaded:       {"CreateLoaded", "make a key and load it"},
	tpm2.TPMCCCreatePrimary:      {"CreatePrimary", "make a key from the TPM's seed and a template"},
	tpm2.TPMCCFlushContext:       {"FlushContext", "unload a key or end a session"},
	tpm2.TPMCCGetCapability:      {"GetCapability", "ask what the TPM is and what it holds"},
	tpm2.TPMCCLoad:               {"Load", "load a wrapped key"},
	tpm2.TPMCCNVRead:             {"NV_Read", "read NV memory: the maker's certificate"},
	tpm2.TPMCCNVReadPublic:       {"NV_ReadPublic", "ask whether an NV index exists and how large it is"},
	tpm2.TPMCCPolicyOR:           {"PolicyOR", "satisfy the endorsement key's policy"},
	tpm2.TPMCCPolicySecret:       {"PolicySecret", "satisfy the endorsement key's policy"},
	tpm2.TPMCCReadPublic:         {"ReadPublic", "read a key's public area, and check it"},
	tpm2.TPMCCRSADecrypt:         {"RSA_Decrypt", "decrypt what was encrypted to a key"},
	tpm2.TPMCCSign:               {"Sign", "sign a digest"},
	tpm2.TPMCCStartAuthSession:   {"StartAuthSession", "begin a session whose secrets nobody on the bus can read"},
}
