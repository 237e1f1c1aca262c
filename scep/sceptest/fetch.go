package sceptest

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"time"

	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/pkimsg"
	"github.com/whiteglove/whiteglove/scep"
)

// Revoke adds the certificate with a serial number to the revocation list with
// which the server answers GetCRL. Its holder can no longer renew it or sign
// GetCert and GetCRL with it. A nil serial number is ignored.
func (s *Server) Revoke(serial *big.Int) {
	if serial == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revoked = append(s.revoked, x509.RevocationListEntry{SerialNumber: serial, RevocationTime: s.now()})
}

// isRevoked reports whether Revoke was called for cert.
func (s *Server) isRevoked(cert *x509.Certificate) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.revoked {
		if e.SerialNumber.Cmp(cert.SerialNumber) == 0 {
			return true
		}
	}
	return false
}

// fetch handles a GetCert or GetCRL with the decrypted content.
func (h *handling) fetch(content []byte) (status int, out []byte, err error) {
	if _, err := h.known(); err != nil {
		return 0, nil, err
	}
	issuer, serial, err := pkimsg.ParseIssuerAndSerial(content)
	if err != nil {
		return 0, nil, bad(scep.BadRequest, "%w", err)
	}
	s, ca := h.server, h.keys.authority
	s.mu.Lock()
	cert, _ := s.issued.Get(serial.String())
	s.mu.Unlock()
	if cert == nil || !bytes.Equal(issuer, ca.Certificate.RawSubject) {
		return 0, nil, bad(scep.BadCertID, "this CA did not issue such a certificate")
	}
	if h.message.Type == pkimsg.GetCert {
		out, err = bag([]*x509.Certificate{cert})
		return pkimsg.Success, out, err
	}
	list, err := s.crl(ca)
	if err != nil {
		return 0, nil, err
	}
	out, err = cms.Bag(nil, list)
	return pkimsg.Success, out, err
}

// crl returns the current revocation list. It is valid for a day.
func (s *Server) crl(ca *Authority) (*x509.RevocationList, error) {
	s.mu.Lock()
	entries := s.revoked
	s.mu.Unlock()
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number:                    big.NewInt(int64(len(entries)) + 1),
		ThisUpdate:                s.now().Add(-time.Minute),
		NextUpdate:                s.now().Add(24 * time.Hour),
		RevokedCertificateEntries: entries,
	}, ca.Certificate, ca.Key)
	if err != nil {
		return nil, err
	}
	return x509.ParseRevocationList(der)
}
