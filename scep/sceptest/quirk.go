package sceptest

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"net/http"
	"time"

	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/pkimsg"
)

// A Quirk is a fault in a server's replies, or something unusual that is permitted. Several may be combined with |. The zero value is none.
type Quirk uint

// Faults, which a client must detect. A client may accept QuirkSHA1, and QuirkDES
// in a reply with certificates, if its user permits it. They change the replies to PKIOperation and, where they apply, the
// answer to GetNextCACert.
const (
	QuirkWrongNonce       Quirk = 1 << iota // recipientNonce is not the senderNonce of the request
	QuirkWrongTransaction                   // transactionID is not that of the request
	QuirkForeignSigner                      // signed by another CA with the same name and serial number
	QuirkWrongRecipient                     // encrypted to the server instead of the client
	QuirkSHA1                               // signed with SHA-1
	QuirkDES                                // encrypted with single DES
	QuirkTrailing                           // one byte follows the message
	QuirkTruncated                          // the last byte is missing
	QuirkOversized                          // 512 KiB follow the message
	QuirkSlow                               // stops in the middle until the client gives up, at most a minute
)

// Forms that are permitted. A client must accept them, but for QuirkNoPurpose only
// if it knows the RA otherwise. QuirkRepeatedNonce is about requests.
const (
	QuirkBER           Quirk = 1 << (iota + 16) // indefinite lengths, and strings in segments of 1000 bytes
	QuirkPlainRSA                               // signature algorithm rsaEncryption with NULL, the only one for some clients
	QuirkEmptyContent                           // a message without an envelope has empty content, not none
	QuirkNoPurpose                              // the RA's certificates do not name their purpose, as those of many servers
	QuirkSignedBag                              // the answer to GetCACert and GetCACertChain is always a bag, and signed
	QuirkRepeatedNonce                          // takes a senderNonce again within a transaction, as Windows's attestation CA does
)

func (q Quirk) has(one Quirk) bool { return q&one != 0 }

// hash returns the digest of signatures.
func (q Quirk) hash() crypto.Hash {
	if q.has(QuirkSHA1) {
		return crypto.SHA1
	}
	return crypto.SHA256
}

// lie changes the attributes of a reply.
func (q Quirk) lie(info *pkimsg.Info) {
	if q.has(QuirkWrongNonce) {
		info.RecipientNonce = bytes.Clone(info.RecipientNonce)
		info.RecipientNonce[0] ^= 1
	}
	if q.has(QuirkWrongTransaction) {
		info.TransactionID += "0"
	}
}

// encrypt returns the envelope of a reply.
func (h *handling) encrypt(content []byte) ([]byte, error) {
	to, cipher := h.signer, h.cipher
	if h.server.Quirks.has(QuirkWrongRecipient) {
		to = h.keys.recipient
	}
	if h.server.Quirks.has(QuirkDES) {
		cipher = cms.DESCBC
	}
	return encrypt(content, to, cipher)
}

// stranger returns a certificate with the name and serial number of the CA's
// signer, from another CA, and its key.
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

// write sends a reply in DER.
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
