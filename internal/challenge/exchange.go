package challenge

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/wcce"
	"github.com/whiteglove/whiteglove/internal/wire"
	"github.com/whiteglove/whiteglove/scep"
)

// An Exchange is the state of an exchange with a CA: the request, and from Read on
// the challenge.
type Exchange struct {
	URL         string // of the CA's SCEP server
	RequestID   string // sent with the HTTP requests; may be empty
	CA          *scep.CA
	CSR         []byte            // PKCS #10, DER
	Signer      Signer            // signs messages and decrypts replies; nil after Parse if the JSON has no key
	Certificate *x509.Certificate // of Signer
	Transaction string            // transactionID of the reply

	Blob            []byte // contents of TPM2B_ID_OBJECT, without its size
	EncryptedSecret []byte // contents of TPM2B_ENCRYPTED_SECRET, without its size
	Context         []byte // of the server; sent back unchanged
}

// SignAs sets Signer and makes its self-signed Certificate. If key is nil, it makes
// an RSA key of 2048 bits. The error is that of [scep.ProtocolCertificate].
func (x *Exchange) SignAs(key Signer, now time.Time) (err error) {
	if x.Signer = key; key == nil {
		if x.Signer, err = NewSigner(); err != nil {
			return err
		}
	}
	x.Certificate, err = scep.ProtocolCertificate(x.Signer, nil, now)
	return err
}

// Request returns the SCEP request to which the CA replies with the challenge.
func (x *Exchange) Request() *scep.Request {
	return &scep.Request{CSR: x.CSR, Signer: x.Signer, Decrypter: x.Signer, Certificate: x.Certificate}
}

// Read reads the challenge from the reply to Request. The error wraps
// [wcce.ErrFormat].
func (x *Exchange) Read(reply *scep.Reply) error {
	parts, err := wcce.ParseChallenge(reply.Content)
	if err != nil {
		return err
	}
	tach, err := wcce.ParseTACH(parts.TACH)
	if err != nil {
		return err
	}
	x.Transaction, x.Context = reply.TransactionID, parts.Context
	x.Blob, x.EncryptedSecret = tach.Blob, tach.EncryptedSecret
	return nil
}

// Answer sends the secret that the TPM decrypted, and returns the CA's reply. The
// secret is encrypted to the CA twice: by itself, and as part of the message. The
// error is that of [scep.Client.Answer], or says that nothing can be encrypted to
// the CA.
func (x *Exchange) Answer(ctx context.Context, c *scep.Client, secret []byte) (*scep.Reply, error) {
	sealed, err := cms.Encrypt(secret, x.CA.Recipient, cms.AES128CBC)
	if err != nil {
		return nil, err
	}
	content, err := (&wcce.Answer{Secret: sealed, Context: x.Context}).Marshal()
	if err != nil {
		return nil, err
	}
	asked := &scep.Reply{Status: scep.StatusChallenge, TransactionID: x.Transaction}
	return c.Answer(ctx, x.CA, x.Request(), asked, content)
}

// CheckRoles checks that the certificates to which messages are encrypted and which
// sign replies are not those of a TPM's key under the same root; see
// [wcce.IsTPMKey]. The error wraps [scep.ErrUntrusted].
func CheckRoles(ca *scep.CA) error {
	for _, cert := range []*x509.Certificate{ca.Recipient, ca.Signer} {
		if wcce.IsTPMKey(cert) {
			return fmt.Errorf("%w: certificate %x belongs to a key of a TPM", scep.ErrUntrusted, cert.SerialNumber)
		}
	}
	return nil
}

// CheckTrust checks that the certificates to which messages are encrypted and which
// sign replies lead to roots or, if that is nil, to a certificate in CA.Chain. It is
// for an exchange from [Parse], whose CA nobody checked. The error wraps
// [scep.ErrUntrusted].
func (x *Exchange) CheckTrust(roots *x509.CertPool, now time.Time) error {
	if roots == nil {
		roots = Pool(x.CA.Chain)
	}
	for _, cert := range []*x509.Certificate{x.CA.Recipient, x.CA.Signer} {
		if _, err := Chains(cert, roots, Pool(x.CA.Chain), now); err != nil {
			return fmt.Errorf("%w: %q: %w", scep.ErrUntrusted, cert.Subject, wire.Dated(err, cert, x.CA.Chain, now, "the operator of the CA"))
		}
	}
	return nil
}
