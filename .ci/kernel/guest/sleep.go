//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/attest"
)

// asleep suspends the machine to memory in the middle of a run on tpmrm0, where the
// kernel keeps the keys and sessions of the run and of another program.
func asleep(ctx context.Context) error {
	tpm, err := attest.Open(managed)
	if err != nil {
		return err
	}
	defer tpm.Close()
	session, err := startSession(tpm)
	if err != nil {
		return err
	}
	cmd, err := provision(ctx, managed, "/tmp/asleep")
	rest, err := reachKeeping(cmd, err, "keys")
	if err != nil {
		return err
	}
	if err := sleep(); err != nil {
		return err
	}
	out, err := io.ReadAll(rest)
	if err := errors.Join(err, cmd.Wait()); err != nil || !bytes.Contains(out, []byte(`"reached":"enrolled"`)) {
		return fmt.Errorf("%w\n%s", err, out)
	}
	if _, err := (tpm2.PolicyGetDigest{PolicySession: session}).Execute(tpm.Transport); err != nil {
		return fmt.Errorf("a session after the sleep: %w", err)
	}
	return errors.Join(tpm.Close(), nothingLeft())
}

func startSession(tpm *attest.TPM) (tpm2.TPMISHPolicy, error) {
	rsp, err := tpm2.StartAuthSession{
		TPMKey: tpm2.TPMRHNull, Bind: tpm2.TPMRHNull, NonceCaller: tpm2.TPM2BNonce{Buffer: make([]byte, 16)}, SessionType: tpm2.TPMSEPolicy,
		Symmetric: tpm2.TPMTSymDef{Algorithm: tpm2.TPMAlgNull}, AuthHash: tpm2.TPMAlgSHA256,
	}.Execute(tpm.Transport)
	if err != nil {
		return 0, err
	}
	return rsp.SessionHandle, nil
}

// forgetful suspends the machine to memory while a program has a key and a session in
// the TPM. The firmware then starts the TPM from the state that the kernel had it save,
// without them. The program goes on all the same, and so does a run.
func forgetful(ctx context.Context) error {
	tpm, err := attest.Open(plain)
	if err != nil {
		return err
	}
	defer tpm.Close()
	release := tpm.Keep()
	key, err := tpm.CreateKey(ctx, attest.Template{Algorithm: attest.P256, Usage: attest.Sign})
	if err != nil {
		return err
	}
	session, err := startSession(tpm)
	if err := errors.Join(err, sleep()); err != nil {
		return err
	}
	_, err = tpm2.PolicyGetDigest{PolicySession: session}.Execute(tpm.Transport)
	if !errors.Is(err, tpm2.TPMRCReferenceH0) {
		return fmt.Errorf("the TPM did not forget the session: %w", err)
	}
	_, err = key.Sign(nil, make([]byte, 32), crypto.SHA256)
	if err := errors.Join(err, release(ctx), tpm.Close()); err != nil {
		return err
	}
	return resumed(ctx)
}

// sleep suspends the machine to memory. The host wakes it.
func sleep() error { return os.WriteFile("/sys/power/state", []byte("mem"), 0) }
