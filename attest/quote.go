package attest

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"math/bits"

	"github.com/google/go-tpm/tpm2"
)

// pcrCount is how many PCRs a PC's TPM has.
const pcrCount = 24

// allPCRs selects them all.
const allPCRs = 1<<pcrCount - 1

// A Quote is a TPM's signed word on what its machine booted: the values of PCRs
// 0 to 23, or of some of them, in one bank. With the machine's event log, a
// verifier learns from which events they follow; see go-attestation's
// ParseEventLog, which takes these values.
type Quote struct {
	Attest    []byte      // TPMS_ATTEST
	Signature []byte      // TPMT_SIGNATURE
	Bank      crypto.Hash // SHA-1, SHA-256, SHA-384 or SHA-512
	PCRs      [][]byte    // 24 values, nil for PCRs that it is not about
}

// Quote has ak state the values of the given PCRs, or of all if none are given,
// in a bank. The nonce, of at most 64 bytes, is repeated in the statement. If
// PCRs change while they are read, it reads again, a few times: on a machine
// that goes on measuring, as Linux's IMA does into PCR 10, leave those out.
func (t *TPM) Quote(ctx context.Context, ak *Key, nonce []byte, bank crypto.Hash, pcrs ...int) (*Quote, error) {
	err := ak.attests(nonce)
	if err == nil && algOf(bank) == 0 {
		err = errors.New("bank is not of SHA-1, SHA-256, SHA-384 or SHA-512")
	}
	var selected uint32
	for _, i := range pcrs {
		if i < 0 || i >= pcrCount {
			err = fmt.Errorf("no PCR %d", i)
			break
		}
		selected |= 1 << i
	}
	if err != nil {
		return nil, &Error{Op: "Quote", Err: err}
	}
	if len(pcrs) == 0 {
		selected = allPCRs
	}
	var q *Quote
	err = t.do(ctx, func() (err error) {
		for range 3 {
			q, err = t.quote(ctx, ak, nonce, bank, selected)
			if err != nil || q.Verify(ak.pub, nonce) == nil {
				return err
			}
		}
		return &Error{Op: "Quote", Err: errors.New("statement does not fit the PCRs: they change, or the TPM has no such bank")}
	})
	if err != nil {
		return nil, err
	}
	return q, nil
}

func (t *TPM) quote(ctx context.Context, ak *Key, nonce []byte, bank crypto.Hash, selected uint32) (*Quote, error) {
	pcrs, err := t.readPCRs(ctx, bank, selected)
	if err != nil {
		return nil, err
	}
	o, err := t.load(ctx, ak)
	if err != nil {
		return nil, err
	}
	s, err := t.sessionFor(ctx, ak, true, o)
	if err != nil {
		return nil, err
	}
	h, err := t.authorize(ctx, ak, o)
	if err != nil {
		return nil, err
	}
	rsp, err := run(ctx, t, tpm2.Quote{
		SignHandle:     h,
		QualifyingData: tpm2.TPM2BData{Buffer: nonce},
		InScheme:       tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull},
		PCRSelect:      selection(bank, selected),
	}, s)
	if err := t.spent(h.Auth, err); err != nil {
		return nil, err
	}
	return &Quote{
		Attest:    bytes.Clone(rsp.Quoted.Bytes()),
		Signature: tpm2.Marshal(rsp.Signature),
		Bank:      bank,
		PCRs:      pcrs,
	}, nil
}

// selection selects PCRs by bit.
func selection(bank crypto.Hash, pcrs uint32) tpm2.TPMLPCRSelection {
	return tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{{
		Hash:      tpm2.TPMIAlgHash(algOf(bank)),
		PCRSelect: []byte{byte(pcrs), byte(pcrs >> 8), byte(pcrs >> 16)},
	}}}
}

// readPCRs reads PCRs of a bank. A TPM gives some at a time, the first ones
// first.
func (t *TPM) readPCRs(ctx context.Context, bank crypto.Hash, left uint32) ([][]byte, error) {
	pcrs := make([][]byte, pcrCount)
	for left != 0 {
		rsp, err := run(ctx, t, tpm2.PCRRead{PCRSelectionIn: selection(bank, left)})
		if err != nil {
			return nil, err
		}
		n := len(rsp.PCRValues.Digests)
		if n == 0 || n > bits.OnesCount32(left) {
			return nil, &Error{Op: "TPM2_PCR_Read", Err: fmt.Errorf("%d values: the TPM has no %v bank of 24 PCRs", n, bank)}
		}
		for _, d := range rsp.PCRValues.Digests {
			if len(d.Buffer) != bank.Size() {
				return nil, &Error{Op: "TPM2_PCR_Read", Err: fmt.Errorf("value of %d bytes", len(d.Buffer))}
			}
			pcrs[bits.TrailingZeros32(left)] = d.Buffer
			left &= left - 1
		}
	}
	return pcrs, nil
}

// Verify checks that q was made by the key ak for nonce (nil is the same as
// empty) and that it is about those of q.PCRs that are not empty, and no others.
// Verify does not decide whether ak may be believed, nor whether those are the
// PCRs that matter: look that they are there. It needs no TPM. Its errors wrap
// ErrProof.
func (q *Quote) Verify(ak crypto.PublicKey, nonce []byte) error {
	if err := q.verify(ak, nonce); err != nil {
		return &Error{Op: "Verify", Err: proofError{err}}
	}
	return nil
}

func (q *Quote) verify(ak crypto.PublicKey, nonce []byte) error {
	if q == nil {
		return errors.New("no quote")
	}
	if err := checkKey(ak); err != nil {
		return err
	}
	if algOf(q.Bank) == 0 || len(q.PCRs) != pcrCount {
		return fmt.Errorf("quote has %d PCRs of bank %v", len(q.PCRs), q.Bank)
	}
	var selected uint32
	for i, v := range q.PCRs {
		if len(v) != 0 && len(v) != q.Bank.Size() {
			return errors.New("PCR is not as long as a digest of its bank")
		}
		if len(v) != 0 {
			selected |= 1 << i
		}
	}
	at, err := parseAttest(q.Attest)
	if err != nil {
		return err
	}
	if err := at.of(attestQuote, nonce); err != nil {
		return err
	}
	if at.bank != algOf(q.Bank) || at.pcrs != selected || selected == 0 {
		return errors.New("statement is about other PCRs")
	}
	sig, err := parseSignature(q.Signature)
	if err != nil {
		return err
	}
	if err := sig.verify(ak, q.Attest); err != nil {
		return err
	}
	// The signature's hash, which verify knows, is that of the composite, too.
	if !bytes.Equal(at.digest, digest(hashOf(sig.hash), q.PCRs...)) {
		return errors.New("statement is about other values of the PCRs")
	}
	return nil
}
