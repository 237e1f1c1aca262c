package aik

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/internal/challenge"
	"github.com/whiteglove/whiteglove/scep"
)

// A Challenge is what a CA wants opened. It is of use to Complete only once, and
// only for the few minutes that the CA waits.
//
// The machine with the TPM needs Credential alone. To finish in another process
// or on another machine, a Challenge can be kept as JSON. That holds the key of
// the SCEP messages, because the CA takes an answer only by who asked and
// encrypts the certificate to him: whoever has it, and gets the credential
// opened, gets the certificate, though not the attestation key. Keep it as one
// keeps a key. It holds no other secret: neither the opened one nor anything of
// the TPM's.
type Challenge struct {
	// Credential is to be opened by the TPM that holds both keys.
	Credential *attest.Credential

	// URL is the CA's, without query.
	URL string

	// Signer signs the answer and opens the reply. It is that of the Request,
	// or the one that Begin made. In JSON it is kept if it is an
	// *rsa.PrivateKey; a key of another kind is left out, and has to be set
	// before Complete.
	Signer SignerDecrypter

	x challenge.Exchange
}

// errNotBegun is of a challenge that was not read from JSON either.
var errNotBegun = fmt.Errorf("%w: the challenge is not one of Begin", ErrRequest)

// Complete does the second half of Enroll: it sends the opened secret. c should
// be as it was for Begin. Nothing is sent unless the CA of the challenge leads to
// c.Roots.
func (c *Client) Complete(ctx context.Context, ch *Challenge, secret []byte) ([]*x509.Certificate, error) {
	if ch == nil {
		ch = new(Challenge)
	}
	want, err := c.expected(ch, secret)
	if err != nil {
		return nil, ch.fail("answer", err)
	}
	reply, err := ch.x.Answer(ctx, c.scepClient(ch.x.URL, ch.x.RequestID), secret)
	switch {
	case errors.Is(err, scep.ErrMismatch), errors.Is(err, scep.ErrUntrusted):
		err = fmt.Errorf("%w: %w", ErrCertificate, err)
	case err == nil && reply.Status != scep.StatusSuccess:
		err = fmt.Errorf("%w: %v to an answer", ErrChallenge, reply.Status)
	}
	if err != nil {
		return nil, ch.fail("answer", err)
	}
	chain, err := c.check(want, reply.Certificates, ch.x.CA.Chain)
	if err != nil {
		return nil, ch.fail("certificate", fmt.Errorf("%w: %w", ErrCertificate, err))
	}
	c.debug("attestation key certified", "url", ch.URL, "trust", Trust(chain[0]).String())
	return chain, nil
}

// expected checks what can be checked beforehand, and returns what the
// certificate has to be of.
func (c *Client) expected(ch *Challenge, secret []byte) (*challenge.Subject, error) {
	switch {
	case ch.x.CA == nil:
		return nil, errNotBegun
	case ch.Signer == nil:
		return nil, fmt.Errorf("%w: the challenge has no signer", ErrRequest)
	case len(secret) == 0:
		return nil, fmt.Errorf("%w: no secret", ErrRequest)
	}
	ch.x.Signer = ch.Signer
	if err := ch.x.CheckTrust(c.Roots, c.now()); err != nil {
		return nil, err
	}
	if err := checkCA(ch.x.CA); err != nil {
		return nil, err
	}
	return challenge.Requested(ch.x.CSR)
}

func (ch *Challenge) fail(op string, err error) error {
	e := &Error{Op: op, URL: ch.URL, Err: err}
	if ch.URL != "" {
		e.RequestID = ch.x.RequestID
	}
	return e
}
