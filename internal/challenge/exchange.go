package challenge

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/wcce"
	"github.com/whiteglove/whiteglove/scep"
)

// An Exchange is what is known of one until it is completed.
type Exchange struct {
	URL         string // the CA's, as it is
	RequestID   string // that the client sends along; may be ""
	CA          *scep.CA
	CSR         []byte
	Signer      Signer            // of the messages; opens the replies
	Certificate *x509.Certificate // Signer's
	Transaction string

	Blob            []byte // TPM2B_ID_OBJECT without its size
	EncryptedSecret []byte // TPM2B_ENCRYPTED_SECRET without its size
	Context         []byte // of the server, to be sent back
}

// SignAs sets what signs the messages. If key is nil, one is made.
func (x *Exchange) SignAs(key Signer, now time.Time) (err error) {
	if x.Signer = key; key == nil {
		if x.Signer, err = newSigner(); err != nil {
			return err
		}
	}
	x.Certificate, err = scep.ProtocolCertificate(x.Signer, nil, now)
	return err
}

// Request returns the SCEP request that the challenge is the answer to.
func (x *Exchange) Request() *scep.Request {
	return &scep.Request{CSR: x.CSR, Signer: x.Signer, Decrypter: x.Signer, Certificate: x.Certificate}
}

// Read takes the challenge out of the reply to Request.
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

// Answer sends the opened secret, encrypted for the CA once more than all
// messages are.
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

// CheckRoles checks that those who read and sign a CA's messages are not mere
// keys of TPMs under the same root.
func CheckRoles(ca *scep.CA) error {
	for _, cert := range []*x509.Certificate{ca.Recipient, ca.Signer} {
		if wcce.IsTPMKey(cert) {
			return fmt.Errorf("%w: certificate %x is that of a TPM's key", scep.ErrUntrusted, cert.SerialNumber)
		}
	}
	return nil
}

// CheckTrust checks that those who read and sign the messages lead to roots;
// if nil, to any of the CA's certificates. It is for an exchange that was kept.
func (x *Exchange) CheckTrust(roots *x509.CertPool, now time.Time) error {
	if roots == nil {
		roots = Pool(x.CA.Chain)
	}
	for _, cert := range []*x509.Certificate{x.CA.Recipient, x.CA.Signer} {
		if _, err := Chains(cert, roots, Pool(x.CA.Chain), now); err != nil {
			return fmt.Errorf("%w: %s: %w", scep.ErrUntrusted, cert.Subject, err)
		}
	}
	return nil
}
