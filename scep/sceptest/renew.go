package sceptest

import (
	"bytes"
	"crypto/subtle"
	"crypto/x509"

	"github.com/whiteglove/whiteglove/internal/pkimsg"
	"github.com/whiteglove/whiteglove/scep"
)

// known checks that the signer's certificate is self-signed or was issued by this
// CA and not revoked. It returns the certificate in the latter case, else nil.
func (h *handling) known() (ours *x509.Certificate, err error) {
	c := h.signer
	if c.CheckSignatureFrom(h.keys.authority.Certificate) == nil {
		if h.server.isRevoked(c) {
			return nil, bad(scep.BadCertID, "the signer's certificate is revoked")
		}
		return c, nil
	}
	if err := c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature); err != nil {
		return nil, bad(scep.BadMessageCheck, "the signer's certificate is not self-signed, and this CA did not issue it: %w", err)
	}
	return nil, nil
}

// renewable checks a renewal: it must be signed with a certificate of this CA
// that has the subject of the CSR.
func (h *handling) renewable(req *Request, csr *pkimsg.CSR) error {
	if h.message.Type == pkimsg.RenewalReq {
		if !h.server.caps().Has("Renewal") {
			return bad(scep.BadRequest, "renewal is not advertised")
		}
		if req.Renews == nil {
			return bad(scep.BadMessageCheck, "the renewal is not signed with a certificate of this CA")
		}
	}
	if req.Renews != nil && !bytes.Equal(req.Renews.RawSubject, csr.Subject) {
		return bad(scep.BadRequest, "the renewal is for another subject")
	}
	return nil
}

// checkPassword checks the challengePassword of the CSR. A renewal needs none.
func (s *Server) checkPassword(req *Request) error {
	if s.Password == "" {
		return nil
	}
	password, err := pkimsg.Password(req.CSR)
	if err != nil {
		return bad(scep.BadRequest, "%w", err)
	}
	if password == "" && req.Renews != nil {
		return nil
	}
	if subtle.ConstantTimeCompare([]byte(password), []byte(s.Password)) != 1 {
		return bad(scep.BadRequest, "wrong challengePassword")
	}
	return nil
}

// poll handles a CertPoll with the decrypted content. It must have the signer and
// the subject of the request, and the name of this CA.
func (h *handling) poll(content []byte) (status int, out []byte, err error) {
	s := h.server
	issuer, subject, err := pkimsg.ParseIssuerAndSubject(content)
	if err != nil {
		return 0, nil, bad(scep.BadRequest, "%w", err)
	}
	s.mu.Lock()
	req, _ := s.waiting.Get(h.message.TransactionID)
	s.mu.Unlock()
	if req == nil {
		return 0, nil, bad(scep.BadCertID, "no request is pending in this transaction")
	}
	csr, err := pkimsg.ParseCSR(req.CSR)
	switch {
	case err != nil:
		return 0, nil, bad(scep.BadRequest, "%w", err)
	case !req.Signer.Equal(h.signer):
		return 0, nil, bad(scep.BadMessageCheck, "not signed by the signer of the request")
	case !bytes.Equal(issuer, h.keys.authority.Certificate.RawSubject) || !bytes.Equal(subject, csr.Subject):
		return 0, nil, bad(scep.BadCertID, "the names are those of another CA or request")
	}
	s.mu.Lock()
	s.waiting.Delete(h.message.TransactionID)
	s.mu.Unlock()
	return h.proceed(req)
}
