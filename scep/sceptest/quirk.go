package sceptest

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"net/http"
	"time"

	"github.com/whiteglove/whiteglove/internal/pkimsg"
)

// A Quirk is something that a server's replies do wrong, or in an unusual way
// that is right. Quirks may be or-ed.
type Quirk uint

// The quirks that a client must refuse. QuirkSHA1 it may take if it is told to.
const (
	QuirkWrongNonce       Quirk = 1 << iota // recipientNonce is not the one sent
	QuirkWrongTransaction                   // transactionID is another
	QuirkForeignSigner                      // signed by another CA of the same name
	QuirkWrongRecipient                     // encrypted to the CA itself
	QuirkSHA1                               // signed with SHA-1
	QuirkDES                                // encrypted with single DES
	QuirkTrailing                           // a byte follows
	QuirkTruncated                          // the last byte is missing
	QuirkOversized                          // half a megabyte follows
	QuirkSlow                               // stops in the middle, for up to a minute
)

// The quirks that a client must bear with.
const (
	QuirkBER          Quirk = 1 << (iota + 16) // lengths are indefinite, strings in segments
	QuirkPlainRSA                              // the signature's algorithm is rsaEncryption with NULL, all that some clients take
	QuirkEmptyContent                          // without an envelope, the content is empty rather than absent
)

func (q Quirk) has(one Quirk) bool { return q&one != 0 }

func (q Quirk) hash() crypto.Hash {
	if q.has(QuirkSHA1) {
		return crypto.SHA1
	}
	return crypto.SHA256
}

// lie changes what a reply says.
func (q Quirk) lie(info *pkimsg.Info) {
	if q.has(QuirkWrongNonce) {
		info.RecipientNonce = bytes.Clone(info.RecipientNonce)
		info.RecipientNonce[0] ^= 1
	}
	if q.has(QuirkWrongTransaction) {
		info.TransactionID += "0"
	}
}

// encrypt makes the envelope of a reply.
func (h *handling) encrypt(content []byte) ([]byte, error) {
	to, cipher := h.signer, h.cipher
	if h.server.Quirks.has(QuirkWrongRecipient) {
		to = h.keys.recipient
	}
	if h.server.Quirks.has(QuirkDES) {
		cipher = singleDES
	}
	return encrypt(content, to, cipher)
}

// stranger returns a certificate that could be the CA's and is not.
func (s *Server) stranger() (*x509.Certificate, *rsa.PrivateKey, error) {
	root, err := NewAuthority("SCEP Test Root", nil, nil)
	if err != nil {
		return nil, nil, err
	}
	ca, err := NewAuthority(s.keys.signer.Subject.CommonName, root, &x509.Certificate{SerialNumber: s.keys.signer.SerialNumber})
	if err != nil {
		return nil, nil, err
	}
	key, ok := ca.Key.(*rsa.PrivateKey)
	if !ok {
		return nil, nil, errors.New("sceptest: a CA under a root has no RSA key")
	}
	return ca.Certificate, key, nil
}

// write sends a reply.
func (q Quirk) write(w http.ResponseWriter, r *http.Request, der []byte) {
	if q.has(QuirkBER) {
		der = indefinite(der)
	}
	if q.has(QuirkTruncated) {
		der = der[:len(der)-1]
	}
	if q.has(QuirkTrailing) {
		der = append(der, 0)
	}
	if q.has(QuirkOversized) {
		der = append(der, make([]byte, 2*maxMessage)...)
	}
	if q.has(QuirkSlow) {
		half := len(der) / 2
		_, _ = w.Write(der[:half])
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-time.After(time.Minute):
		}
		der = der[half:]
	}
	_, _ = w.Write(der)
}
