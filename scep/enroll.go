package scep

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"

	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/pkimsg"
)

// A Status is the pkiStatus of a reply.
type Status int

// The statuses of a [Reply]; a failure is an [Error].
const (
	StatusSuccess   Status = pkimsg.Success
	StatusPending   Status = pkimsg.Pending
	StatusChallenge Status = pkimsg.Challenge // Windows; taken only where [Client.Challenge] says so
)

// String returns the status's name.
func (s Status) String() string {
	switch s {
	case StatusSuccess:
		return "success"
	case StatusPending:
		return "pending"
	case StatusChallenge:
		return "challenge"
	}
	return fmt.Sprintf("pkiStatus %d", int(s))
}

// A Reply is a server's answer that is not a failure.
type Reply struct {
	Status        Status
	TransactionID string
	Certificates  []*x509.Certificate // with StatusSuccess; the new one first
	Content       []byte              // with StatusChallenge; decrypted
	Attributes    []Attribute         // signed ones that RFC 8894 does not name

	signer *x509.Certificate // of the request, for the messages that follow
}

// Enroll sends req as a PKCSReq message and checks the reply. The caller
// follows up a pending reply with [Client.Poll], and a challenge with
// [Client.Answer].
func (c *Client) Enroll(ctx context.Context, ca *CA, req *Request) (*Reply, error) {
	return c.transact(ctx, ca, req, nil, message{op: "PKCSReq", kind: pkimsg.PKCSReq, content: req.CSR})
}

// RenewAs is the kind of message that asks for a renewal.
type RenewAs int

// The kinds of renewal.
const (
	RenewAuto       RenewAs = iota // a RenewalReq if the server names "Renewal", else a PKCSReq
	RenewRenewalReq                // a RenewalReq (messageType 17)
	RenewPKCSReq                   // a PKCSReq (19), as servers want it that know nothing else
)

// Renew asks for a certificate in place of req.Certificate, which is required
// and signs the message. Its key must be an RSA key; that of the CSR should be
// a new one. Some CAs want the challenge password again. The reply is as that
// of Enroll.
func (c *Client) Renew(ctx context.Context, ca *CA, req *Request) (*Reply, error) {
	m := message{op: "RenewalReq", kind: pkimsg.RenewalReq, content: req.CSR}
	if c.RenewAs == RenewPKCSReq || c.RenewAs == RenewAuto && !ca.Caps.Has("Renewal") {
		m.op, m.kind = "PKCSReq", pkimsg.PKCSReq
	}
	if req.Certificate == nil {
		return nil, c.fail(m.op, fmt.Errorf("%w: no Certificate to renew", errRequest))
	}
	return c.transact(ctx, ca, req, nil, m)
}

// Poll asks after the request that reply left pending, in the same transaction
// (CertPoll). It asks once; when to ask again is the caller's matter. To poll
// from another process, keep the reply's TransactionID, and set Certificate in
// req from the beginning: the message must have the same signer.
func (c *Client) Poll(ctx context.Context, ca *CA, req *Request, reply *Reply) (*Reply, error) {
	const op = "CertPoll"
	switch {
	case reply.Status != StatusPending:
		return nil, c.fail(op, fmt.Errorf("%w: the reply is not pending", errRequest))
	case req.Certificate == nil && reply.signer == nil:
		return nil, c.fail(op, fmt.Errorf("%w: no Certificate, and none known", errRequest))
	}
	issuing := ca.issuing()
	if issuing == nil {
		return nil, c.fail(op, fmt.Errorf("%w: no CA certificate", errRequest))
	}
	csr, err := pkimsg.ParseCSR(req.CSR)
	if err != nil {
		return nil, c.fail(op, fmt.Errorf("%w: %w", errRequest, err))
	}
	content, err := pkimsg.IssuerAndSubject(issuing.RawSubject, csr.Subject)
	if err != nil {
		return nil, c.fail(op, fmt.Errorf("%w: %w", errRequest, err))
	}
	return c.transact(ctx, ca, req, reply, message{op: op, kind: pkimsg.CertPoll, content: content})
}

// Answer sends content as the answer to the challenge in reply, which Enroll
// returned for req.
func (c *Client) Answer(ctx context.Context, ca *CA, req *Request, reply *Reply, content []byte) (*Reply, error) {
	const op = "ChallengeAnswer"
	if !c.challenges(ca) {
		return nil, c.fail(op, fmt.Errorf("%w: %q", ErrCapability, c.Challenge))
	}
	if reply.Status != StatusChallenge {
		return nil, c.fail(op, fmt.Errorf("%w: the reply is no challenge", errRequest))
	}
	return c.transact(ctx, ca, req, reply, message{op: op, kind: pkimsg.ChallengeAnswer, content: content})
}

// challenges reports whether the extension of Windows was negotiated.
func (c *Client) challenges(ca *CA) bool { return c.Challenge != "" && ca.Caps.Has(c.Challenge) }

// A message is what transact sends.
type message struct {
	op      string
	kind    pkimsg.Type
	content []byte
	accept  func(content []byte) error // see opening
}

// transact sends a message of a transaction, of which before is the reply so
// far, or nil.
func (c *Client) transact(ctx context.Context, ca *CA, req *Request, before *Reply, m message) (*Reply, error) {
	var signer *x509.Certificate
	if before != nil {
		signer = before.signer
	}
	t, err := req.transaction(signer, m.accept == nil, c.now())
	if err != nil {
		return nil, c.fail(m.op, err)
	}
	if before != nil {
		t.id = before.TransactionID
	}
	nonce := make([]byte, pkimsg.NonceSize)
	_, _ = rand.Read(nonce)
	der, err := c.seal(ca, t, nonce, m)
	if err != nil {
		return nil, c.fail(m.op, err)
	}
	body, err := c.exchange(ctx, m.op, ca.Caps, der)
	if err != nil {
		return nil, err
	}
	o := opening{client: c, ca: ca, transaction: t, nonce: nonce, accept: m.accept}
	reply, err := o.open(body)
	if err != nil {
		e := c.fail(m.op, err)
		e.HTTPStatus = http.StatusOK
		if refused := (*refusal)(nil); errors.As(err, &refused) {
			e.FailInfo, e.Message, e.Code, e.Err = refused.info, refused.text, refused.code, nil
		}
		return nil, e
	}
	c.log(ctx, "reply", "op", m.op, "transaction", t.id, "status", reply.Status)
	reply.signer = t.certificate
	return reply, nil
}

// seal encrypts and signs a message as the server's capabilities demand.
func (c *Client) seal(ca *CA, t *transaction, nonce []byte, m message) ([]byte, error) {
	if ca == nil || ca.Recipient == nil {
		return nil, fmt.Errorf("%w: no certificate to encrypt to", errRequest)
	}
	hash, cipher, err := c.algorithms(ca.Caps)
	if err != nil {
		return nil, err
	}
	envelope, err := cms.Encrypt(m.content, ca.Recipient, cipher)
	if err != nil {
		return nil, err
	}
	info := &pkimsg.Info{
		Type: m.kind, TransactionID: t.id, SenderNonce: nonce,
		Status: pkimsg.None, FailInfo: pkimsg.None, Other: t.attributes,
	}
	return pkimsg.Sign(info, envelope, hash, t.signer, t.certificate, t.extra)
}

func (c *Client) algorithms(caps Caps) (crypto.Hash, cms.Cipher, error) {
	hash, err := caps.digest(c.AllowLegacy)
	if err != nil {
		return 0, 0, err
	}
	cipher, err := caps.cipher(c.AllowLegacy)
	return hash, cipher, err
}
