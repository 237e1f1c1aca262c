// Package verifytest lets an emulated TPM have a past: it has the event log of a real
// machine, and puts its events into the TPM's PCRs as the firmware would have.
//
//	chip, err := attesttest.New(attesttest.Config{})
//	...
//	err = verifytest.Boot(chip, verifytest.EventLog())
//
// A quote of that TPM and the log are then what package verify expects. The log is a
// file of github.com/google/go-attestation's tests (sb_cert_eventlog in v0.6.4,
// Apache-2.0, Copyright Google Inc.): a machine that started a shim and GRUB with
// secure boot.
package verifytest

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	_ "embed" // for the log
	"fmt"

	ga "github.com/google/go-attestation/attest"
	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

//go:embed testdata/secureboot.log
var secureBoot []byte

// EventLog returns the log of a machine that was started with secure boot, with
// digests for the banks SHA-1, SHA-256 and SHA-384. The caller owns the slice.
func EventLog() []byte { return bytes.Clone(secureBoot) }

// noAction is EV_NO_ACTION: an event that is not in a PCR.
const noAction = 3

// Boot extends the PCRs of a TPM, which was just started, by the events of a log, in
// every bank that the log has. The TPM must be an emulator: a real one keeps the values
// until the machine is started again.
//
// The error says that the log cannot be read, or is that of the TPM.
func Boot(tpm transport.TPM, log []byte) error {
	parsed, err := ga.ParseEventLog(log)
	if err != nil {
		return fmt.Errorf("verifytest: %w", err)
	}
	banks := make([][]ga.Event, len(parsed.Algs))
	for i, alg := range parsed.Algs {
		banks[i] = parsed.Events(alg)
	}
	for n := range len(parsed.Events(ga.HashSHA256)) {
		var digests []tpm2.TPMTHA
		for i, alg := range parsed.Algs {
			if e := banks[i][n]; len(e.Digest) > 0 && e.Type != noAction {
				digests = append(digests, tpm2.TPMTHA{HashAlg: tpm2.TPMAlgID(alg), Digest: e.Digest})
			}
		}
		if len(digests) == 0 {
			continue
		}
		if err := extend(tpm, banks[0][n].Index, digests); err != nil {
			return fmt.Errorf("verifytest: event %d: %w", n, err)
		}
	}
	return nil
}

// Extend extends a PCR, 0 to 23, by an event that is in no log, as malware or another
// boot loader would: in the banks SHA-1, SHA-256 and SHA-384, by the event's digests. The
// TPM must be an emulator, as for [Boot]. The error is that of the TPM.
func Extend(tpm transport.TPM, pcr int, event []byte) error {
	one, two, three := sha1.Sum(event), sha256.Sum256(event), sha512.Sum384(event)
	err := extend(tpm, pcr, []tpm2.TPMTHA{
		{HashAlg: tpm2.TPMAlgSHA1, Digest: one[:]},
		{HashAlg: tpm2.TPMAlgSHA256, Digest: two[:]},
		{HashAlg: tpm2.TPMAlgSHA384, Digest: three[:]},
	})
	if err != nil {
		return fmt.Errorf("verifytest: PCR %d: %w", pcr, err)
	}
	return nil
}

// extend sends TPM2_PCR_Extend.
func extend(tpm transport.TPM, pcr int, digests []tpm2.TPMTHA) error {
	_, err := tpm2.PCRExtend{
		PCRHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(pcr), Auth: tpm2.PasswordAuth(nil)},
		Digests:   tpm2.TPMLDigestValues{Digests: digests},
	}.Execute(tpm)
	return err
}
