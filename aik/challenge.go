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

// A Challenge is the CA's challenge to prove that one TPM holds the endorsement key
// and the attestation key. It can be completed only once, and only within the few
// minutes that the CA allows.
//
// The machine with the TPM needs only the Credential. To complete the challenge in
// another process or on another machine, store it as JSON. The JSON contains the key
// of the SCEP messages, because the CA accepts an answer only from the client that
// sent the request, and encrypts the certificate for it. Whoever has the JSON and the
// opened credential gets the certificate, though not the attestation key, so protect
// it like a private key. It contains no other secret: neither the opened secret nor
// anything from the TPM.
type Challenge struct {
	// Credential is what the TPM with both keys has to open, with
	// [attest.TPM.ActivateCredential].
	Credential *attest.Credential

	// URL is the URL of the CA, without query.
	URL string

	// Signer signs the answer and decrypts the reply. It is that of the Request
	// or the one that Begin made. An *rsa.PrivateKey is stored in the JSON.
	// Other keys are left out: set Signer before Complete.
	Signer SignerDecrypter

	x challenge.Exchange
}

// errNotBegun is the error for a challenge that comes neither from Begin nor from
// JSON.
var errNotBegun = fmt.Errorf("%w: the challenge was not returned by Begin", ErrRequest)

// Complete does the second half of [Client.Enroll]: it sends the secret that the TPM
// found in ch.Credential, and returns the certificate followed by its issuers, with
// the root last. c should have the same fields as for Begin. Nothing is sent unless
// the CA of the challenge leads to c.Roots.
//
// The error is an [*Error]. It wraps
//   - [ErrRequest] if ch does not come from Begin, lacks its Signer, or secret is
//     empty,
//   - [scep.ErrUntrusted] if the CA does not lead to c.Roots,
//   - [ErrChallenge] if the CA answers with something other than a certificate or a
//     refusal,
//   - a [*scep.Error] with the refusal, as after a wrong secret,
//   - [ErrCertificate] if what the CA issues cannot be accepted,
//   - the error of ctx if that ended first.
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

// expected checks what can be checked before the answer is sent, and returns the key
// and the TPM that the certificate has to be for.
func (c *Client) expected(ch *Challenge, secret []byte) (*challenge.Subject, error) {
	switch {
	case ch.x.CA == nil:
		return nil, errNotBegun
	case ch.Signer == nil:
		return nil, fmt.Errorf("%w: the challenge has no Signer", ErrRequest)
	case len(secret) == 0:
		return nil, fmt.Errorf("%w: the secret is empty", ErrRequest)
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

// fail returns err as the error of an operation on ch.
func (ch *Challenge) fail(op string, err error) error {
	e := &Error{Op: op, URL: ch.URL, Err: err}
	if ch.URL != "" {
		e.RequestID = ch.x.RequestID
	}
	return e
}
