package aik

import (
	"context"
	"crypto/x509"
	"fmt"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/wcce"
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

	id          string // the client request ID
	url         string // the CA's, as it is
	ca          *scep.CA
	csr         []byte
	certificate *x509.Certificate // Signer's
	transaction string
	context     []byte
}

// Complete does the second half of Enroll: it sends the opened secret. c should
// be as it was for Begin. Nothing is sent unless the CA of the challenge leads to
// c.Roots.
func (c *Client) Complete(ctx context.Context, ch *Challenge, secret []byte) ([]*x509.Certificate, error) {
	want, err := c.expected(ch, secret)
	if err != nil {
		return nil, ch.fail("answer", err)
	}
	reply, err := c.answer(ctx, ch, secret)
	if err != nil {
		return nil, ch.fail("answer", err)
	}
	chain, err := c.check(want, reply.Certificates, ch.ca.Chain)
	if err != nil {
		return nil, ch.fail("certificate", fmt.Errorf("%w: %w", ErrCertificate, err))
	}
	c.debug("attestation key certified", "url", ch.URL, "trust", Trust(chain[0]).String())
	return chain, nil
}

// expected checks what can be checked beforehand, and returns what the
// certificate has to be of.
func (c *Client) expected(ch *Challenge, secret []byte) (*subject, error) {
	switch {
	case ch.ca == nil:
		return nil, fmt.Errorf("%w: the challenge is not one of Begin", ErrRequest)
	case ch.Signer == nil:
		return nil, fmt.Errorf("%w: the challenge has no signer", ErrRequest)
	case len(secret) == 0:
		return nil, fmt.Errorf("%w: no secret", ErrRequest)
	}
	for _, cert := range []*x509.Certificate{ch.ca.Recipient, ch.ca.Signer} {
		if _, err := c.chain(cert, nil, ch.ca.Chain); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", scep.ErrUntrusted, cert.Subject, err)
		}
	}
	if err := checkCA(ch.ca); err != nil {
		return nil, err
	}
	return requested(ch.csr)
}

// answer sends the secret, encrypted for the CA once more than all messages are.
func (c *Client) answer(ctx context.Context, ch *Challenge, secret []byte) (*scep.Reply, error) {
	sealed, err := cms.Encrypt(secret, ch.ca.Recipient, cms.AES128CBC)
	if err != nil {
		return nil, err
	}
	content, err := (&wcce.Answer{Secret: sealed, Context: ch.context}).Marshal()
	if err != nil {
		return nil, err
	}
	asked := &scep.Reply{Status: scep.StatusChallenge, TransactionID: ch.transaction}
	reply, err := c.scepClient(ch.url, ch.id).Answer(ctx, ch.ca, ch.request(), asked, content)
	if err != nil {
		return nil, err
	}
	if reply.Status != scep.StatusSuccess {
		return nil, fmt.Errorf("%w: %v to an answer", ErrChallenge, reply.Status)
	}
	return reply, nil
}

// request returns the SCEP request that the challenge is the answer to.
func (ch *Challenge) request() *scep.Request {
	return &scep.Request{CSR: ch.csr, Signer: ch.Signer, Decrypter: ch.Signer, Certificate: ch.certificate}
}

func (ch *Challenge) fail(op string, err error) error {
	e := &Error{Op: op, URL: ch.URL, Err: err}
	if ch.URL != "" {
		e.RequestID = ch.id
	}
	return e
}
