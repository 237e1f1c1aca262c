package attest

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"
)

// pcrCount is how many PCRs a PC's TPM has.
const pcrCount = 24

// A Quote is a TPM's signed word on what its machine booted: the values of PCRs
// 0 to 23 in one bank. With the machine's event log, a verifier learns from
// which events they follow; see go-attestation's ParseEventLog, which takes
// these values.
type Quote struct {
	Attest    []byte      // TPMS_ATTEST
	Signature []byte      // TPMT_SIGNATURE
	Bank      crypto.Hash // SHA-1, SHA-256, SHA-384 or SHA-512
	PCRs      [][]byte    // 24 values
}

// Quote has ak state the values of all PCRs of a bank. The nonce, of at most 64
// bytes, is repeated in the statement. If PCRs change while they are read, it
// reads again, a few times.
func (t *TPM) Quote(ctx context.Context, ak *Key, nonce []byte, bank crypto.Hash) (*Quote, error) {
	err := ak.attests(nonce)
	if err == nil && algOf(bank) == 0 {
		err = errors.New("bank is not of SHA-1, SHA-256, SHA-384 or SHA-512")
	}
	if err != nil {
		return nil, &Error{Op: "Quote", Err: err}
	}
	var q *Quote
	err = t.do(ctx, func() (err error) {
		for range 3 {
			q, err = t.quote(ctx, ak, nonce, bank)
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

func (t *TPM) quote(ctx context.Context, ak *Key, nonce []byte, bank crypto.Hash) (*Quote, error) {
	pcrs, err := t.readPCRs(ctx, bank)
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
		PCRSelect:      selection(bank, 0xFFFFFF),
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
func selection(bank crypto.Hash, bits uint32) tpm2.TPMLPCRSelection {
	return tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{{
		Hash:      tpm2.TPMIAlgHash(algOf(bank)),
		PCRSelect: []byte{byte(bits), byte(bits >> 8), byte(bits >> 16)},
	}}}
}

// readPCRs reads all PCRs of a bank. A TPM gives some at a time.
func (t *TPM) readPCRs(ctx context.Context, bank crypto.Hash) ([][]byte, error) {
	pcrs := make([][]byte, 0, pcrCount)
	for len(pcrs) < pcrCount {
		rsp, err := run(ctx, t, tpm2.PCRRead{PCRSelectionIn: selection(bank, 0xFFFFFF&^(1<<len(pcrs)-1))})
		if err != nil {
			return nil, err
		}
		n := len(rsp.PCRValues.Digests)
		if n == 0 || n > pcrCount-len(pcrs) {
			return nil, &Error{Op: "TPM2_PCR_Read", Err: fmt.Errorf("%d values: the TPM has no %v bank of 24 PCRs", n, bank)}
		}
		for _, d := range rsp.PCRValues.Digests {
			if len(d.Buffer) != bank.Size() {
				return nil, &Error{Op: "TPM2_PCR_Read", Err: fmt.Errorf("value of %d bytes", len(d.Buffer))}
			}
			pcrs = append(pcrs, d.Buffer)
		}
	}
	return pcrs, nil
}

// Verify checks that q was made by the key ak for nonce (nil is the same as
// empty) and that it is about all of q.PCRs. Verify does not decide whether ak
// may be believed. It needs no TPM. Its errors wrap ErrProof.
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
	for _, v := range q.PCRs {
		if len(v) != q.Bank.Size() {
			return errors.New("PCR is not as long as a digest of its bank")
		}
	}
	at, err := parseAttest(q.Attest)
	if err != nil {
		return err
	}
	if err := at.of(attestQuote, nonce); err != nil {
		return err
	}
	if at.bank != algOf(q.Bank) || at.pcrs != 0xFFFFFF {
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
