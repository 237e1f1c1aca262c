package scep

import (
	"bytes"
	"crypto"
	"crypto/subtle"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/pkimsg"
	"github.com/whiteglove/whiteglove/internal/plain"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// clockSkew is how far ahead of the client's clock a new certificate or a
// revocation list may begin.
const clockSkew = 5 * time.Minute

// An opening checks the reply to one message.
type opening struct {
	client      *Client
	ca          *CA
	transaction *transaction
	nonce       []byte
	accept      func(content []byte) error // checks the content of a success; nil for an enrollment
}

// open checks a reply in an order in which nothing is used before it is proven:
// form, signature, relation to the request, status, content. If the CA refused
// the request, the error is a *refusal.
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

// unreadable wraps an error of package cms or pkimsg in ErrAlgorithm or
// ErrMalformed.
func unreadable(err error) error {
	if errors.Is(err, cms.ErrAlgorithm) {
		return fmt.Errorf("%w: %w", ErrAlgorithm, err)
	}
	return fmt.Errorf("%w: %w", ErrMalformed, plain.Because(err, "it is not CMS (%s)", strings.TrimPrefix(err.Error(), "cms: malformed: ")))
}

// authenticate checks that the CA signed a message. It ignores the certificates
// in the message.
func (c *Client) authenticate(ca *CA, s *cms.SignedData) error {
	if s.Digest == crypto.SHA1 && !c.AllowLegacy {
		return fmt.Errorf("%w: the answer is signed with SHA-1", ErrLegacy)
	}
	cert := ca.signer(s.SignedBy)
	if cert == nil {
		return fmt.Errorf("%w: the answer is not signed by the CA%s", ErrUntrusted, ca.hint())
	}
	if now := c.now(); now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		return fmt.Errorf("%w: the signer's certificate is only valid from %s to %s", ErrUntrusted,
			cert.NotBefore.UTC().Format(time.RFC3339), cert.NotAfter.UTC().Format(time.RFC3339))
	}
	if err := s.Verify(cert, c.AllowLegacy); err != nil {
		return fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	return nil
}

// belongs checks that the message is the reply to ours.
func (o *opening) belongs(m *pkimsg.Message) error {
	switch {
	case m.Type != pkimsg.CertRep:
		return fmt.Errorf("%w: the message is a %v, not a CertRep", ErrMismatch, m.Type)
	case m.TransactionID != o.transaction.id:
		return fmt.Errorf("%w: transaction %q, not %q", ErrMismatch, m.TransactionID, o.transaction.id)
	case subtle.ConstantTimeCompare(m.RecipientNonce, o.nonce) != 1:
		return fmt.Errorf("%w: recipientNonce is not the nonce sent", ErrMismatch)
	case m.Status != pkimsg.Failure && m.FailInfo != pkimsg.None:
		return fmt.Errorf("%w: failInfo without failure", ErrMalformed)
	}
	return nil
}

// without checks that a message has no content.
func without(m *pkimsg.Message) error {
	if m.Envelope() != nil {
		return fmt.Errorf("%w: a reply of status %v has content", ErrMalformed, Status(m.Status))
	}
	return nil
}

// pending checks a reply of status pending.
func (o *opening) pending(m *pkimsg.Message) error {
	if o.accept != nil {
		return fmt.Errorf("%w: pending, but only an enrollment may be", ErrMismatch)
	}
	return without(m)
}

// failure checks a reply of status failure and returns its content as a
// *refusal.
func failure(m *pkimsg.Message) error {
	if err := without(m); err != nil {
		return err
	}
	info := sent(m.FailInfo)
	if info < BadAlg || info > BadCertID {
		return fmt.Errorf("%w: failure with failInfo %d", ErrMalformed, m.FailInfo)
	}
	return &refusal{info, wire.Words(m.FailText), m.Code}
}

// A refusal is what a CA says when it refuses a message. transact turns it into
// an [Error].
type refusal struct {
	info FailInfo
	text string
	code uint32
}

func (r *refusal) Error() string { return r.info.String() }

// decrypt returns the decrypted content of a message. public says that the content
// is a certificate or a revocation list, which is no secret, so that even single DES
// may be permitted: the signature protects it.
func (o *opening) decrypt(m *pkimsg.Message, public bool) ([]byte, error) {
	e, err := cms.ParseEnveloped(m.Envelope())
	switch {
	case err != nil:
		return nil, unreadable(err)
	case e.Cipher == cms.DESCBC && !public:
		return nil, fmt.Errorf("%w: a challenge encrypted with single DES", ErrAlgorithm)
	case e.Cipher == cms.DESCBC && !o.client.AllowLegacy:
		return nil, fmt.Errorf("%w: the reply is encrypted with single DES", ErrLegacy)
	case e.Cipher == cms.DES3CBC && !o.client.AllowLegacy:
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

// challenge checks a reply of status challenge and sets the content of reply.
func (o *opening) challenge(reply *Reply, m *pkimsg.Message) error {
	if !o.client.challenges(o.ca) {
		return fmt.Errorf("%w: a challenge, but not the capability %q", ErrCapability, o.client.Challenge)
	}
	content, err := o.decrypt(m, false)
	if err != nil {
		return err
	}
	reply.Content = content
	return nil
}

// success checks a reply of status success and passes its content on: to accept,
// or else to reply.
func (o *opening) success(reply *Reply, m *pkimsg.Message) error {
	content, err := o.decrypt(m, true)
	if err != nil {
		return err
	}
	if o.accept != nil {
		return o.accept(content)
	}
	return o.enrolled(reply, content)
}

// enrolled reads the bag of certificates in content into reply, the new
// certificate first. Besides it, the bag may have certificates of CAs and those
// in Chain, and no other.
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
			return fmt.Errorf("%w: a certificate for another key, %q", ErrMismatch, cert.Subject)
		}
	}
	if own < 0 {
		return fmt.Errorf("%w: none of %d certificates is for the key; %d more cannot be read", ErrMismatch, len(certs), len(bad))
	}
	if err := o.issued(certs[own], certs); err != nil {
		return fmt.Errorf("%w: the new certificate: %w", ErrUntrusted, err)
	}
	reply.Certificates = append([]*x509.Certificate{certs[own]}, certs[:own]...)
	reply.Certificates = append(reply.Certificates, certs[own+1:]...)
	return nil
}

// ours reports whether pub is the key of the CSR.
func (o *opening) ours(pub crypto.PublicKey) bool {
	key, ok := o.transaction.csr.Key.(interface{ Equal(crypto.PublicKey) bool })
	return ok && key.Equal(pub)
}

// known reports whether cert is in the CA's Chain.
func (o *opening) known(cert *x509.Certificate) bool {
	for _, c := range o.ca.Chain {
		if bytes.Equal(c.Raw, cert.Raw) {
			return true
		}
	}
	return false
}

// issued checks that the new certificate leads to a CA in Chain, perhaps by way
// of certificates sent with it, and is valid now.
func (o *opening) issued(cert *x509.Certificate, sent []*x509.Certificate) error {
	anchors, between := x509.NewCertPool(), x509.NewCertPool()
	addCAs(anchors, o.ca.Chain)
	addCAs(between, sent)
	now := o.client.now()
	if early := cert.NotBefore.Sub(now); early > 0 && early <= clockSkew {
		now = cert.NotBefore
	}
	return wire.Dated(leadsTo(cert, anchors, between, now), cert, append(sent[:len(sent):len(sent)], o.ca.Chain...), now, "the operator of the CA")
}
