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

// A Status is the pkiStatus of a reply (RFC 8894, section 3.2.1.3).
type Status int

// The values of [Reply.Status]. A server's pkiStatus FAILURE becomes an [Error].
const (
	StatusSuccess   Status = pkimsg.Success   // 0: Certificates holds the new certificate
	StatusPending   Status = pkimsg.Pending   // 3: the request waits for approval; see [Client.Poll]
	StatusChallenge Status = pkimsg.Challenge // 11, of Windows: Content holds a challenge; see [Client.Answer]
)

// String returns "success", "pending", "challenge", or "pkiStatus" and the
// number.
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

// A Reply is a server's answer that is not a failure. The CA signed all of it.
type Reply struct {
	Status        Status
	TransactionID string // of the request; the messages that follow use it, too

	// Certificates holds the new certificate, followed by the others that the
	// server sent with it, if Status is StatusSuccess. The new one leads to the
	// CA; it may need some of the others to do so.
	Certificates []*x509.Certificate

	// Content is the decrypted content of the challenge if Status is
	// StatusChallenge. Its format is the matter of the protocol that uses it.
	Content []byte

	// Attributes holds the signed attributes of the message that RFC 8894 does
	// not define. The Value of each has only FullBytes, in DER.
	Attributes []Attribute

	signer *x509.Certificate // of the request, for the messages that follow
}

// Enroll sends req as a PKCSReq message (RFC 8894, section 3.3.1) and checks the
// reply. If its status is [StatusPending], the caller goes on with
// [Client.Poll]; if it is [StatusChallenge], with [Client.Answer]. ca is what
// [Client.CA] returned.
//
// The error is an [*Error]. If the CA refuses the request, it has the CA's
// FailInfo and Message, or an HTTP status. Otherwise it wraps one of these:
//   - [ErrCapability] and [ErrLegacy], if the client may use none of the CA's
//     digests or ciphers; nothing is sent then
//   - [ErrMalformed] or [ErrAlgorithm], if the reply cannot be read
//   - [ErrLegacy], if the reply uses SHA-1 or triple DES without AllowLegacy
//   - [ErrUntrusted], if the CA did not sign the reply or the new certificate,
//     or one of their certificates is not valid now
//   - [ErrMismatch], if the reply is to another message or for another key
//   - [ErrDecrypt], if the reply cannot be decrypted
//   - [ErrCapability], if the reply is a challenge that was not negotiated
//   - the error of req.Signer
//   - the error of ctx, if that ended first, or another network failure
//
// An error that wraps none of these and has no FailInfo and no HTTP status says
// what is wrong with req, with ca or with the URL.
func (c *Client) Enroll(ctx context.Context, ca *CA, req *Request) (*Reply, error) {
	const op = "PKCSReq"
	if err := req.check(ca); err != nil {
		return nil, c.fail(op, err)
	}
	return c.transact(ctx, ca, req, nil, message{op: op, kind: pkimsg.PKCSReq, content: req.CSR})
}

// RenewAs is the kind of message with which [Client.Renew] asks for a renewal.
type RenewAs int

// The values of [Client.RenewAs].
const (
	RenewAuto       RenewAs = iota // RenewalReq if the server advertises "Renewal", else PKCSReq
	RenewRenewalReq                // RenewalReq (messageType 17; RFC 8894, section 3.3.1.1)
	RenewPKCSReq                   // PKCSReq (messageType 19), for servers that do not accept RenewalReq
)

// Renew asks for a certificate that replaces req.Certificate. That certificate
// is required, and its key, an RSA key, signs the message. The key of the CSR
// should be a new one. Some CAs require the challenge password again.
//
// The reply and the errors are those of [Client.Enroll]; if req has no
// Certificate, the [*Error] wraps no sentinel and nothing is sent.
func (c *Client) Renew(ctx context.Context, ca *CA, req *Request) (*Reply, error) {
	m := message{op: "RenewalReq", kind: pkimsg.RenewalReq}
	if err := req.check(ca); err != nil {
		return nil, c.fail(m.op, err)
	}
	m.content = req.CSR
	if c.RenewAs == RenewPKCSReq || c.RenewAs == RenewAuto && !ca.Caps.Has("Renewal") {
		m.op, m.kind = "PKCSReq", pkimsg.PKCSReq
	}
	if req.Certificate == nil {
		return nil, c.fail(m.op, fmt.Errorf("%w: no Certificate to renew", errRequest))
	}
	return c.transact(ctx, ca, req, nil, m)
}

// Poll asks whether the pending request of reply was decided, in the same
// transaction (CertPoll; RFC 8894, section 3.3.3). req is the request that was
// sent, and reply the last reply to it. Poll asks once; the caller decides when
// to ask again. The new reply has any status that Enroll's may have.
//
// All messages of a transaction must have the same signer. To poll from another
// process, set req.Certificate from the beginning, keep the key, the CSR and the
// TransactionID, and pass a Reply with that TransactionID and StatusPending.
//
// The errors are those of [Client.Enroll]. If reply is not pending, the signer's
// certificate is not known, or ca has no CA certificate, the [*Error] wraps no
// sentinel and nothing is sent. A CA that no longer knows the transaction
// answers with [BadCertID].
func (c *Client) Poll(ctx context.Context, ca *CA, req *Request, reply *Reply) (*Reply, error) {
	const op = "CertPoll"
	if err := req.check(ca); err != nil {
		return nil, c.fail(op, err)
	}
	switch {
	case reply == nil:
		return nil, c.fail(op, fmt.Errorf("%w: no reply", errRequest))
	case reply.Status != StatusPending:
		return nil, c.fail(op, fmt.Errorf("%w: the reply is not pending", errRequest))
	case req.Certificate == nil && reply.signer == nil:
		return nil, c.fail(op, fmt.Errorf("%w: no Certificate of the first message's signer", errRequest))
	}
	issuing := ca.issuing()
	if issuing == nil {
		return nil, c.fail(op, fmt.Errorf("%w: no CA certificate", errRequest))
	}
	csr, err := req.parseCSR()
	if err != nil {
		return nil, c.fail(op, err)
	}
	content, err := pkimsg.IssuerAndSubject(issuing.RawSubject, csr.Subject)
	if err != nil {
		return nil, c.fail(op, fmt.Errorf("%w: %w", errRequest, err))
	}
	return c.transact(ctx, ca, req, reply, message{op: op, kind: pkimsg.CertPoll, content: content})
}

// Answer sends content as the answer (messageType 41) to the challenge in reply,
// which Enroll or Poll returned for req. The content is encrypted and signed as
// that of every message; its format is the matter of the protocol that uses it.
// To answer from another process, do as for [Client.Poll], with StatusChallenge.
//
// The reply and the errors are those of [Client.Enroll]. The [*Error] also wraps
// [ErrCapability] if ca does not advertise c.Challenge, and no sentinel if reply
// is not a challenge; nothing is sent then.
func (c *Client) Answer(ctx context.Context, ca *CA, req *Request, reply *Reply, content []byte) (*Reply, error) {
	const op = "ChallengeAnswer"
	if err := req.check(ca); err != nil {
		return nil, c.fail(op, err)
	}
	if !c.challenges(ca) {
		return nil, c.fail(op, fmt.Errorf("%w: %q", ErrCapability, c.Challenge))
	}
	if reply == nil {
		return nil, c.fail(op, fmt.Errorf("%w: no reply", errRequest))
	}
	if reply.Status != StatusChallenge {
		return nil, c.fail(op, fmt.Errorf("%w: the reply is not a challenge", errRequest))
	}
	return c.transact(ctx, ca, req, reply, message{op: op, kind: pkimsg.ChallengeAnswer, content: content})
}

// challenges reports whether challenges were negotiated with ca.
func (c *Client) challenges(ca *CA) bool { return c.Challenge != "" && ca.Caps.Has(c.Challenge) }

// A message is what transact sends.
type message struct {
	op      string // for errors
	kind    pkimsg.Type
	content []byte                     // before encryption
	accept  func(content []byte) error // see opening
}

// transact sends a message and checks the reply. before is the last reply of the
// transaction, or nil if the message is its first.
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
	answer, err := c.exchange(ctx, m.op, ca.Caps, der)
	if err != nil {
		return nil, err
	}
	o := opening{client: c, ca: ca, transaction: t, nonce: nonce, accept: m.accept}
	reply, err := o.open(answer.Body)
	if err != nil {
		e := c.failed(m.op, answer, err)
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

// seal encrypts and signs a message with the algorithms that the server's
// capabilities call for. The result is DER.
func (c *Client) seal(ca *CA, t *transaction, nonce []byte, m message) ([]byte, error) {
	if ca.Recipient == nil {
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

// algorithms returns the digest and the cipher of requests.
func (c *Client) algorithms(caps Caps) (crypto.Hash, cms.Cipher, error) {
	hash, err := caps.digest(c.AllowLegacy)
	if err != nil {
		return 0, 0, err
	}
	cipher, err := caps.cipher(c.AllowLegacy)
	return hash, cipher, err
}
