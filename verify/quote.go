package verify

import (
	"context"
	"crypto"
	"fmt"
	"slices"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/internal/misuse"
)

// A Result is what evidence proves that was accepted.
type Result struct {
	Bank     crypto.Hash        // of the PCRs
	PCRs     [][]byte           // 24 values by PCR; nil for a PCR that was not asked for
	Firmware string             // name of the first entry of Policy.Firmware that fits; empty if the policy has none
	Clock    attest.ClockInfo   // the TPM's time; the caller keeps it in Device.Clock
	Since    *Since             // what happened since Device.Clock; nil if that is nil
	Boot     *Boot              // what the event log says; nil if the device sent none
	Keys     []crypto.PublicKey // certified keys, in the order of Evidence.Keys: each is in the device's TPM and cannot leave it
}

// Request returns a request for a quote of the PCRs that the Policy needs.
//
// The error is an [*Error]. It says so if the policy or d is not valid, wraps
// [ErrFull] or another error of the store, or the error of ctx if that ended first.
func (v *Verifier) Request(ctx context.Context, d *Device) (*Request, error) {
	r, err := v.request(ctx, d)
	if err != nil {
		return nil, failed("request", err)
	}
	return r, nil
}

func (v *Verifier) request(ctx context.Context, d *Device) (*Request, error) {
	id := d.ID()
	if v == nil || id == "" {
		return nil, misuse.Errorf("no device")
	}
	policy, err := v.policy()
	if err != nil {
		return nil, err
	}
	p := &pending{Kind: ofQuote, Device: id, Nonce: random(32), Bank: policy.bank(), PCRs: policy.selection()}
	r := &Request{Device: id, Nonce: p.Nonce, Bank: p.Bank, PCRs: p.PCRs}
	if r.ID, err = v.keep(ctx, p); err != nil {
		return nil, err
	}
	r.Expires = p.Expires
	return r, nil
}

// Check checks the evidence of a device, which the caller looks up by e.Device. It
// checks in this order: that the evidence answers an open request for this device,
// which is then used; that the quote is of the bank and PCRs that were asked for, with
// the nonce, and signed by the attestation key; that the TPM's time has not gone back;
// the statements about keys; the event log; the Policy.
//
// The error is an [*Error]. It wraps [ErrChallenge] if no such request is open;
// [attest.ErrProof] if the quote or a statement does not hold; [ErrClock]; [ErrLog];
// [ErrPolicy], with each point that is not met; an error of the store; and the error
// of ctx if that ended first. Else it says that the policy or d is not valid.
func (v *Verifier) Check(ctx context.Context, d *Device, e *Evidence) (*Result, error) {
	r, err := v.check(ctx, d, e)
	if err != nil {
		return nil, failed("check", err)
	}
	return r, nil
}

func (v *Verifier) check(ctx context.Context, d *Device, e *Evidence) (*Result, error) {
	id := d.ID()
	if v == nil || id == "" {
		return nil, misuse.Errorf("no device")
	}
	policy, err := v.policy()
	if err != nil {
		return nil, err
	}
	if e == nil || e.Quote == nil {
		return nil, malformed("no quote")
	}
	if err := e.limits(); err != nil {
		return nil, err
	}
	p, err := v.take(ctx, e.ID, ofQuote)
	if err != nil {
		return nil, err
	}
	if p.Device != id || e.Device != id {
		return nil, fmt.Errorf("%w: it is for another device", ErrChallenge)
	}
	if p.Bank != policy.bank() || !slices.Equal(p.PCRs, policy.selection()) {
		return nil, fmt.Errorf("%w: the policy has changed since", ErrChallenge)
	}
	aik, err := attest.PublicKey(d.AIKPublicArea)
	if err != nil {
		return nil, err
	}
	r := &Result{Bank: p.Bank, PCRs: e.Quote.PCRs}
	if err := checkQuote(e.Quote, aik, p); err != nil {
		return nil, err
	}
	if err := r.checkClock(d, e.Quote); err != nil {
		return nil, err
	}
	if r.Keys, err = certified(e.Keys, aik, p.Nonce); err != nil {
		return nil, err
	}
	if len(e.EventLog) > 0 {
		if r.Boot, err = replay(e.EventLog, e.Quote); err != nil {
			return nil, err
		}
	}
	return r, policy.check(r)
}

// checkQuote checks that q is what p asks for.
func checkQuote(q *attest.Quote, aik crypto.PublicKey, p *pending) error {
	if q.Bank != p.Bank {
		return fmt.Errorf("%w: the quote is of bank %v, not %v", attest.ErrProof, q.Bank, p.Bank)
	}
	var selected []int
	for i, value := range q.PCRs {
		if len(value) > 0 {
			selected = append(selected, i)
		}
	}
	if !slices.Equal(selected, p.PCRs) {
		return fmt.Errorf("%w: the quote is of PCRs %v, not %v", attest.ErrProof, selected, p.PCRs)
	}
	return q.Verify(aik, p.Nonce)
}

// certified checks statements about keys and returns the keys.
func certified(statements []*attest.Statement, aik crypto.PublicKey, nonce []byte) (keys []crypto.PublicKey, err error) {
	for i, s := range statements {
		if s != nil && s.CreationData != nil {
			return nil, malformed("key %d: it has creation data", i)
		}
		if err := s.Verify(aik, nonce); err != nil {
			return nil, fmt.Errorf("key %d: %w", i, err)
		}
		key, err := attest.PublicKey(s.PublicArea)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// Evidence has the device's TPM answer m, with a quote by the attestation key aik and
// a statement about each of the given keys. The caller adds the event log. A device
// calls it; a verifier does not.
//
// The error is that of [attest.TPM.Quote] or [attest.TPM.Certify], an [*attest.Error], or
// an [*Error] if m is nil or names no PCRs, which wraps [ErrMalformed].
func (m *Request) Evidence(ctx context.Context, tpm *attest.TPM, aik *attest.Key, keys ...*attest.Key) (*Evidence, error) {
	if m == nil {
		return nil, failed("evidence", malformed("no request"))
	}
	if len(m.PCRs) == 0 {
		return nil, failed("evidence", malformed("the request names no PCRs"))
	}
	quote, err := tpm.Quote(ctx, aik, m.Nonce, m.Bank, m.PCRs...)
	if err != nil {
		return nil, err
	}
	e := &Evidence{ID: m.ID, Device: m.Device, Quote: quote}
	for _, key := range keys {
		s, err := tpm.Certify(ctx, key, aik, m.Nonce)
		if err != nil {
			return nil, err
		}
		e.Keys = append(e.Keys, s)
	}
	return e, nil
}
