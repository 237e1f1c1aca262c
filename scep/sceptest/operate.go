package sceptest

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/pkimsg"
	"github.com/whiteglove/whiteglove/internal/refusal"
	"github.com/whiteglove/whiteglove/scep"
)

// operate answers a PKIOperation.
func (s *Server) operate(w http.ResponseWriter, r *http.Request, k *keys) {
	const op = "PKIOperation"
	body, err := message(w, r)
	if err != nil {
		s.refuse(w, op, asError(err))
		return
	}
	m, err := pkimsg.Parse(body)
	if err == nil && len(m.SenderNonce) != pkimsg.NonceSize {
		err = fmt.Errorf("senderNonce of %d octets", len(m.SenderNonce))
	}
	if err != nil {
		s.refuse(w, op, asError(unreadable(err)))
		return
	}
	h := &handling{server: s, keys: k, message: m, http: r}
	status, content, err := h.handle(body)
	var envelope []byte
	if err == nil && content != nil {
		envelope, err = h.encrypt(content)
	}
	if err != nil {
		h.fail(w, asError(err))
		return
	}
	h.reply(w, &pkimsg.Info{Status: status, FailInfo: pkimsg.None}, envelope)
}

// asError returns the *scep.Error that err wraps, or else a badRequest with the
// text of err.
func asError(err error) *scep.Error {
	var e *scep.Error
	if errors.As(err, &e) {
		return e
	}
	return &scep.Error{FailInfo: scep.BadRequest, Message: refusal.Text(err)}
}

// bad returns a refusal with a failInfo and a text.
func bad(info scep.FailInfo, format string, args ...any) error {
	return &scep.Error{FailInfo: info, Message: refusal.Text(fmt.Errorf(format, args...))}
}

// A handling is the state of one message while the server handles it.
type handling struct {
	server  *Server
	keys    *keys
	message *pkimsg.Message
	http    *http.Request
	signer  *x509.Certificate // of the message; the reply is encrypted to it
	cipher  cms.Cipher        // of the message; the reply uses it, too
}

// handle checks a message and returns the status and content of the reply.
func (h *handling) handle(body []byte) (status int, content []byte, err error) {
	if h.signer, err = verify(body, h.message); err != nil {
		return 0, nil, bad(scep.BadMessageCheck, "signature: %w", err)
	}
	if err := h.algorithms(); err != nil {
		return 0, nil, err
	}
	if err := h.fresh(); err != nil {
		return 0, nil, err
	}
	if content, h.cipher, err = h.keys.decrypt(h.message.Envelope()); err != nil {
		return 0, nil, bad(scep.BadMessageCheck, "envelope: %w", err)
	}
	if h.cipher == cms.DES3CBC && !h.server.caps().Has("DES3") {
		return 0, nil, bad(scep.BadAlg, "%v is not advertised", h.cipher)
	}
	switch h.message.Type {
	case pkimsg.PKCSReq, pkimsg.RenewalReq:
		return h.request(content)
	case pkimsg.CertPoll:
		return h.poll(content)
	case pkimsg.GetCert, pkimsg.GetCRL:
		return h.fetch(content)
	case pkimsg.ChallengeAnswer:
		return h.answer(content)
	}
	return 0, nil, bad(scep.BadRequest, "%v is not supported", h.message.Type)
}

// algorithms checks the digest and that the signer's certificate is valid now.
func (h *handling) algorithms() error {
	if d := h.message.Signed.Digest; d == crypto.SHA1 && !h.server.caps().Has("SHA-1") {
		return bad(scep.BadAlg, "%v is not advertised", d)
	}
	now := h.server.now()
	if now.Before(h.signer.NotBefore) || now.After(h.signer.NotAfter) {
		return bad(scep.BadTime, "the signer's certificate is not valid now")
	}
	return nil
}

// fresh checks that the senderNonce is new, or with QuirkRepeatedNonce that no other
// transaction had it. In a repeated message it is not new.
func (h *handling) fresh() error {
	s := h.server
	s.mu.Lock()
	defer s.mu.Unlock()
	nonce := string(h.message.SenderNonce)
	id, used := s.nonces.Get(nonce)
	if used && (id != h.message.TransactionID || !s.Quirks.has(QuirkRepeatedNonce)) {
		return bad(scep.BadRequest, "senderNonce was used before")
	}
	s.nonces.Put(nonce, h.message.TransactionID, time.Time{}, time.Time{})
	return nil
}

// request handles a PKCSReq or a RenewalReq.
func (h *handling) request(content []byte) (status int, out []byte, err error) {
	renews, err := h.known()
	if err != nil {
		return 0, nil, err
	}
	csr, err := pkimsg.ParseCSR(content)
	if err != nil {
		return 0, nil, bad(scep.BadRequest, "%w", err)
	}
	req := &Request{
		TransactionID: h.message.TransactionID,
		CSR:           content, PublicKey: csr.Key,
		Signer: h.signer, Renews: renews, Attributes: attributes(h.message.Other), Header: h.http.Header,
		server: h.server,
	}
	for _, c := range h.message.Signed.Certificates {
		if !c.Equal(h.signer) {
			req.Extra = append(req.Extra, c)
		}
	}
	if err := h.server.proven(req); err != nil {
		return 0, nil, err
	}
	if err := h.renewable(req, csr); err != nil {
		return 0, nil, err
	}
	if err := h.server.checkPassword(req); err != nil {
		return 0, nil, err
	}
	return h.proceed(req)
}

// proceed decides about a checked request: it waits, is challenged, or a
// certificate is issued.
func (h *handling) proceed(req *Request) (status int, out []byte, err error) {
	if h.server.Pending != nil && h.server.Pending(req) {
		h.server.mu.Lock()
		h.server.waiting.Put(req.TransactionID, req, time.Time{}, time.Time{})
		h.server.mu.Unlock()
		return pkimsg.Pending, nil, nil
	}
	if h.server.Challenge == nil {
		return h.issue(req)
	}
	challenge, err := h.server.Challenge(req)
	if err != nil {
		return 0, nil, err
	}
	h.server.mu.Lock()
	h.server.challenged.Put(req.TransactionID, req, time.Time{}, time.Time{})
	h.server.mu.Unlock()
	return pkimsg.Challenge, challenge, nil
}

// proven checks that the client has the key of the CSR.
func (s *Server) proven(req *Request) error {
	if s.CheckCSR != nil {
		return s.CheckCSR(req)
	}
	csr, err := req.parse()
	if err == nil {
		err = csr.CheckSignature()
	}
	if err != nil {
		return bad(scep.BadMessageCheck, "CSR: %w", err)
	}
	return nil
}

// parse returns the CSR as crypto/x509 parses it, once.
func (r *Request) parse() (*x509.CertificateRequest, error) {
	if r.parsed != nil {
		return r.parsed, nil
	}
	csr, err := x509.ParseCertificateRequest(r.CSR)
	if err == nil {
		r.parsed = csr
	}
	return csr, err
}

// answer handles the answer to a challenge. A challenge may be answered once,
// whether or not the answer is right.
func (h *handling) answer(content []byte) (status int, out []byte, err error) {
	s := h.server
	if s.Challenge == nil || s.Check == nil {
		return 0, nil, bad(scep.BadRequest, "%v is not supported", h.message.Type)
	}
	s.mu.Lock()
	req, _ := s.challenged.Get(h.message.TransactionID)
	ours := req != nil && req.Signer.Equal(h.signer)
	if ours {
		s.challenged.Delete(h.message.TransactionID)
	}
	s.mu.Unlock()
	switch {
	case req == nil:
		return 0, nil, bad(scep.BadRequest, "no challenge is open in this transaction")
	case !ours:
		return 0, nil, bad(scep.BadMessageCheck, "not signed by the signer of the request")
	}
	if err := s.Check(req, content); err != nil {
		return 0, nil, err
	}
	return h.issue(req)
}

// issue returns a bag with the new certificate and those of the CAs above it.
func (h *handling) issue(req *Request) (status int, out []byte, err error) {
	certify := h.server.Issue
	if certify == nil {
		certify = certifyCSR
	}
	cert, err := certify(req)
	if err != nil {
		return 0, nil, err
	}
	key, ok := cert.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !key.Equal(req.PublicKey) {
		return 0, nil, &scep.Error{HTTPStatus: http.StatusInternalServerError, Message: "The certificate is for another key."}
	}
	h.server.mu.Lock()
	h.server.issued.Put(cert.SerialNumber.String(), cert, time.Time{}, time.Time{})
	h.server.mu.Unlock()
	out, err = bag(append([]*x509.Certificate{cert}, h.keys.authority.chain()...))
	return pkimsg.Success, out, err
}

// certifyCSR issues a certificate with the subject and names of the CSR.
func certifyCSR(req *Request) (*x509.Certificate, error) {
	csr, err := req.parse()
	if err != nil {
		return nil, bad(scep.BadRequest, "CSR: %w", err)
	}
	return req.Certify(&x509.Certificate{
		RawSubject: csr.RawSubject,
		DNSNames:   csr.DNSNames, EmailAddresses: csr.EmailAddresses, IPAddresses: csr.IPAddresses, URIs: csr.URIs,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

// fail refuses a message: with an HTTP status if e has one, else with a CertRep.
func (h *handling) fail(w http.ResponseWriter, e *scep.Error) {
	op := h.message.Type.String()
	if e.HTTPStatus != 0 {
		h.server.refuse(w, op, e)
		return
	}
	info := e.FailInfo
	if info == scep.NoFailInfo {
		info = scep.BadRequest
	}
	h.server.refusals.Add(h.server.Logger, op, reason(e))
	h.reply(w, &pkimsg.Info{Status: pkimsg.Failure, FailInfo: int(info) - 1, FailText: e.Message}, nil)
}

// reply sends the CertRep for the message.
func (h *handling) reply(w http.ResponseWriter, info *pkimsg.Info, envelope []byte) {
	info.Type = pkimsg.CertRep
	info.TransactionID = h.message.TransactionID
	info.RecipientNonce = h.message.SenderNonce
	info.SenderNonce = make([]byte, pkimsg.NonceSize)
	_, _ = rand.Read(info.SenderNonce)
	h.server.Quirks.lie(info)
	der, err := h.server.sign(h.keys, info, envelope)
	if err != nil {
		h.server.refuse(w, h.message.Type.String(), &scep.Error{HTTPStatus: http.StatusInternalServerError, Err: err})
		return
	}
	w.Header().Set("Content-Type", "application/x-pki-message")
	h.server.Quirks.write(w, h.http, der)
}
