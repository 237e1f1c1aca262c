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

// allPCRs selects all PCRs.
const allPCRs = 1<<pcrCount - 1

// A Quote is a TPM's signed statement on what its machine booted (TPM2_Quote): the
// values of some or all of PCRs 0 to 23 in one bank. The machine's event log says
// which events led to these values. The EventLog of go-attestation compares a log
// with a quote that package attestga has converted.
type Quote struct {
	Attest    []byte      // TPMS_ATTEST of type quote
	Signature []byte      // TPMT_SIGNATURE of the attestation key over Attest
	Bank      crypto.Hash // SHA-1, SHA-256, SHA-384 or SHA-512
	PCRs      [][]byte    // 24 values by PCR; nil for a PCR that the quote is not about
}

// Quote returns a quote by the attestation key aik of the given PCRs, 0 to 23, or of
// all of them if none are given. bank is SHA-1, SHA-256, SHA-384 or SHA-512, and the
// TPM must have it. The statement repeats the nonce, which has at most 64 bytes and
// may be nil.
//
// If the values do not fit the signed digest, because a PCR changed between reading
// and signing, Quote tries again, three times in all. Leave out PCRs that change all
// the time, such as PCR 10, into which Linux's IMA measures. The error wraps an
// [*Error], and the error of ctx if that ended first.
func (t *TPM) Quote(ctx context.Context, aik *Key, nonce []byte, bank crypto.Hash, pcrs ...int) (*Quote, error) {
	err := aik.attests(nonce)
	if err == nil && algOf(bank) == 0 {
		err = errors.New("bank is not SHA-1, SHA-256, SHA-384 or SHA-512")
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
			q, err = t.quote(ctx, aik, nonce, bank, selected)
			if err != nil || q.Verify(aik.pub, nonce) == nil {
				return err
			}
		}
		return &Error{Op: "Quote", Err: errors.New("quote does not match the PCRs that were read: they keep changing, or the TPM has no such bank")}
	})
	if err != nil {
		return nil, err
	}
	return q, nil
}

// quote reads the selected PCRs and has aik sign them, once.
func (t *TPM) quote(ctx context.Context, aik *Key, nonce []byte, bank crypto.Hash, selected uint32) (*Quote, error) {
	pcrs, err := t.readPCRs(ctx, bank, selected)
	if err != nil {
		return nil, err
	}
	o, err := t.load(ctx, aik)
	if err != nil {
		return nil, err
	}
	s, err := t.sessionFor(ctx, aik, true, o)
	if err != nil {
		return nil, err
	}
	h, err := t.authorize(ctx, aik, o)
	if err != nil {
		return nil, err
	}
	var rsp *tpm2.QuoteResponse
	err = t.withSlots(ctx, o.borrows(), func() (err error) {
		rsp, err = run(ctx, t, tpm2.Quote{
			SignHandle:     h,
			QualifyingData: tpm2.TPM2BData{Buffer: nonce},
			InScheme:       tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull},
			PCRSelect:      selection(bank, selected),
		}, s)
		return err
	}, o)
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

// selection returns the selection of the PCRs whose bits are set.
func selection(bank crypto.Hash, pcrs uint32) tpm2.TPMLPCRSelection {
	return tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{{
		Hash:      tpm2.TPMIAlgHash(algOf(bank)),
		PCRSelect: []byte{byte(pcrs), byte(pcrs >> 8), byte(pcrs >> 16)},
	}}}
}

// readPCRs reads the PCRs of a bank whose bits are set in left. A TPM returns only
// some at a time, from the first one on.
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

// Verify checks, without a TPM, that q was made for nonce (nil is the same as empty)
// and signed by the key aik, an *[rsa.PublicKey] or *[ecdsa.PublicKey], and that it is
// about the values in q.PCRs that are not empty, and about no other PCRs.
//
// Verify does not decide whether aik can be trusted, nor what the values mean. The
// device chose the PCRs: check that those you need are there. The error is an
// [*Error] that wraps [ErrProof].
func (q *Quote) Verify(aik crypto.PublicKey, nonce []byte) error {
	if err := q.verify(aik, nonce); err != nil {
		return &Error{Op: "Verify", Err: proofError{err}}
	}
	return nil
}

func (q *Quote) verify(aik crypto.PublicKey, nonce []byte) error {
	if q == nil {
		return errors.New("no quote")
	}
	if err := checkKey(aik); err != nil {
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
		return errors.New("quote is about other PCRs")
	}
	sig, err := parseSignature(q.Signature)
	if err != nil {
		return err
	}
	if err := sig.verify(aik, q.Attest); err != nil {
		return err
	}
	// The hash of the signature, which verify has accepted, is also used for the
	// digest of the PCRs.
	if !bytes.Equal(at.digest, digest(hashOf(sig.hash), q.PCRs...)) {
		return errors.New("quote is about other values of the PCRs")
	}
	return nil
}
