package scep

import (
	"bytes"
	"crypto"
	"crypto/subtle"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"time"

	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/pkimsg"
)

// clockSkew is how far the clocks of client and CA may differ when a
// certificate is new.
const clockSkew = 5 * time.Minute

// An opening checks the reply to one message.
type opening struct {
	client      *Client
	ca          *CA
	transaction *transaction
	nonce       []byte
	accept      func(content []byte) error // of a success; nil for an enrollment
}

// open makes the checks in an order in which nothing is used before it is
// proven: form, signature, belonging, status, content. A failure that the
// server reports is a *refusal.
func (o *opening) open(body []byte) (*Reply, error) {
	m, err := pkimsg.Parse(body)
	if err != nil {
		return nil, unreadable(err)
	}
	if err := o.client.authenticate(o.ca, m.Signed); err != nil {
		return nil, err
	}
	if err := o.belongs(m); err != nil {
		return nil, err
	}
	reply := &Reply{Status: Status(m.Status), TransactionID: m.TransactionID}
	for _, a := range m.Other {
		reply.Attributes = append(reply.Attributes, Attribute{Type: a.Type, Value: asn1.RawValue{FullBytes: a.Value}})
	}
	switch m.Status {
	case pkimsg.Success:
		err = o.success(reply, m)
	case pkimsg.Failure:
		err = failure(m)
	case pkimsg.Pending:
		err = o.pending(m)
	case pkimsg.Challenge:
		err = o.challenge(reply, m)
	default:
		err = fmt.Errorf("%w: pkiStatus %d is undefined", ErrMalformed, m.Status)
	}
	if err != nil {
		return nil, err
	}
	return reply, nil
}

// unreadable says why an answer cannot be read.
func unreadable(err error) error {
	if errors.Is(err, cms.ErrAlgorithm) {
		return fmt.Errorf("%w: %w", ErrAlgorithm, err)
	}
	return fmt.Errorf("%w: %w", ErrMalformed, err)
}

// authenticate checks that the CA signed a message. Certificates within the
// message are not looked at.
func (c *Client) authenticate(ca *CA, s *cms.SignedData) error {
	if s.Digest == crypto.SHA1 && !c.AllowLegacy {
		return fmt.Errorf("%w: the answer is signed with SHA-1", ErrLegacy)
	}
	cert := ca.signer(s.SignedBy)
	if cert == nil {
		return fmt.Errorf("%w: the answer is signed by somebody else", ErrUntrusted)
	}
	if now := c.now(); now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		return fmt.Errorf("%w: the signer's certificate is valid from %s to %s only", ErrUntrusted,
			cert.NotBefore.UTC().Format(time.RFC3339), cert.NotAfter.UTC().Format(time.RFC3339))
	}
	if err := s.Verify(cert, c.AllowLegacy); err != nil {
		return fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	return nil
}

// belongs checks that the reply is one to our message.
func (o *opening) belongs(m *pkimsg.Message) error {
	switch {
	case m.Type != pkimsg.CertRep:
		return fmt.Errorf("%w: %v where CertRep is due", ErrMismatch, m.Type)
	case m.TransactionID != o.transaction.id:
		return fmt.Errorf("%w: transaction %q", ErrMismatch, m.TransactionID)
	case subtle.ConstantTimeCompare(m.RecipientNonce, o.nonce) != 1:
		return fmt.Errorf("%w: recipientNonce is not the one sent", ErrMismatch)
	case m.Status != pkimsg.Failure && m.FailInfo != pkimsg.None:
		return fmt.Errorf("%w: failInfo without failure", ErrMalformed)
	}
	return nil
}

// without checks that there is no content.
func without(m *pkimsg.Message) error {
	if m.Envelope() != nil {
		return fmt.Errorf("%w: content with %v", ErrMalformed, Status(m.Status))
	}
	return nil
}

// pending checks a reply that puts off.
func (o *opening) pending(m *pkimsg.Message) error {
	if o.accept != nil {
		return fmt.Errorf("%w: pending where there is nothing to wait for", ErrMismatch)
	}
	return without(m)
}

// failure returns what the server says went wrong.
func failure(m *pkimsg.Message) error {
	if err := without(m); err != nil {
		return err
	}
	if m.FailInfo < int(BadAlg) || m.FailInfo > int(BadCertID) {
		return fmt.Errorf("%w: failure with failInfo %d", ErrMalformed, m.FailInfo)
	}
	return &refusal{FailInfo(m.FailInfo), m.FailText, m.Code}
}

// A refusal is a failure that the server reports, on its way into an [Error].
type refusal struct {
	info FailInfo
	text string
	code uint32
}

func (r *refusal) Error() string { return r.info.String() }

// decrypt opens the envelope.
func (o *opening) decrypt(m *pkimsg.Message) ([]byte, error) {
	e, err := cms.ParseEnveloped(m.Envelope())
	if err != nil {
		return nil, unreadable(err)
	}
	if e.Cipher == cms.DES3CBC && !o.client.AllowLegacy {
		return nil, fmt.Errorf("%w: the reply is encrypted with triple DES", ErrLegacy)
	}
	content, err := e.Decrypt(o.transaction.certificate, o.transaction.decrypter, o.client.AllowLegacy)
	switch {
	case errors.Is(err, cms.ErrAlgorithm), errors.Is(err, cms.ErrMalformed):
		return nil, unreadable(err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrDecrypt, err)
	}
	return content, nil
}

func (o *opening) challenge(reply *Reply, m *pkimsg.Message) error {
	if !o.client.challenges(o.ca) {
		return fmt.Errorf("%w: a challenge without %q", ErrCapability, o.client.Challenge)
	}
	content, err := o.decrypt(m)
	if err != nil {
		return err
	}
	reply.Content = content
	return nil
}

// success opens the content and has it checked.
func (o *opening) success(reply *Reply, m *pkimsg.Message) error {
	content, err := o.decrypt(m)
	if err != nil {
		return err
	}
	if o.accept != nil {
		return o.accept(content)
	}
	return o.enrolled(reply, content)
}

// enrolled takes the new certificate from a bag and puts it first.
func (o *opening) enrolled(reply *Reply, content []byte) error {
	certs, bad, err := cms.ParseBag(content)
	if err != nil {
		return unreadable(err)
	}
	own := -1
	for i, cert := range certs {
		switch {
		case o.ours(cert.PublicKey):
			if own >= 0 {
				return fmt.Errorf("%w: two certificates for the key", ErrMismatch)
			}
			own = i
		case !isCA(cert) && !o.known(cert):
			return fmt.Errorf("%w: a certificate of another key, %q", ErrMismatch, cert.Subject)
		}
	}
	if own < 0 {
		return fmt.Errorf("%w: no certificate for the key among %d, and %d that cannot be read", ErrMismatch, len(certs), len(bad))
	}
	if err := o.issued(certs[own], certs); err != nil {
		return fmt.Errorf("%w: the new certificate: %w", ErrUntrusted, err)
	}
	reply.Certificates = append([]*x509.Certificate{certs[own]}, certs[:own]...)
	reply.Certificates = append(reply.Certificates, certs[own+1:]...)
	return nil
}

// ours reports whether pub is the key that a certificate was asked for.
func (o *opening) ours(pub crypto.PublicKey) bool {
	key, ok := o.transaction.csr.Key.(interface{ Equal(crypto.PublicKey) bool })
	return ok && key.Equal(pub)
}

// known reports whether cert is one of the CA's own.
func (o *opening) known(cert *x509.Certificate) bool {
	for _, c := range o.ca.Chain {
		if bytes.Equal(c.Raw, cert.Raw) {
			return true
		}
	}
	return false
}

// issued checks that the new certificate leads to the CA that was asked and is
// valid. Certificates sent with it may be in between.
func (o *opening) issued(cert *x509.Certificate, sent []*x509.Certificate) error {
	anchors, between := x509.NewCertPool(), x509.NewCertPool()
	addCAs(anchors, o.ca.Chain)
	addCAs(between, sent)
	now := o.client.now()
	if early := cert.NotBefore.Sub(now); early > 0 && early <= clockSkew {
		now = cert.NotBefore
	}
	return leadsTo(cert, anchors, between, now)
}
