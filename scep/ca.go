package scep

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"
)

// oidPrivacyCA is the extended key usage of the certificates that requests to
// Windows's attestation CA are encrypted to.
var oidPrivacyCA = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 21, 36}

// A CA is what a client must know of a server to enroll with it. [Client.CA]
// makes one whose certificates are checked. Recipient and Signer are its
// choice and may be replaced by other certificates of Chain; whoever fills in
// a CA otherwise has to trust every certificate in it.
type CA struct {
	Caps      Caps
	Chain     []*x509.Certificate // those that lead to the roots, in the server's order
	Recipient *x509.Certificate   // whom messages are encrypted to
	Signer    *x509.Certificate   // who signs replies; a CA certificate of Chain may, too
}

// CA asks for capabilities and certificates, by GetCACertChain if the server
// names it, and keeps the certificates that lead to the roots.
//
// A server that fails to answer GetCACaps is one without capabilities (RFC
// 8894, section 3.5.1), but for a client with a Challenge, which cannot do
// without: it gets the error, in which HTTP status 404 says that there is no
// such CA.
//
// Messages are encrypted to the RA's certificate with the extended key usage
// 1.3.6.1.4.1.311.21.36, else to the RA's with key usage keyEncipherment, else
// to the only CA certificate with that usage, else to the issuing CA. Replies
// are signed by the RA's certificate with key usage digitalSignature, else by
// the issuing CA.
func (c *Client) CA(ctx context.Context, id string) (*CA, error) {
	caps, err := c.GetCACaps(ctx, id)
	if err != nil {
		if c.Challenge != "" || ctx.Err() != nil {
			return nil, err
		}
		c.log(ctx, "capabilities unknown", "reason", err)
	}
	op, get := "GetCACert", c.GetCACert
	if caps.Has("GetCACertChain") {
		op, get = "GetCACertChain", c.GetCACertChain
	}
	sent, err := get(ctx, id)
	if err != nil {
		return nil, err
	}
	ca := &CA{Caps: caps}
	left, err := ca.trust(sent, c.Roots, c.now())
	if err != nil {
		return nil, c.fail(op, err)
	}
	if left != nil {
		c.log(ctx, "certificates left out", "op", op, "reason", left)
	}
	if err := ca.choose(); err != nil {
		return nil, c.fail(op, err)
	}
	c.log(ctx, "CA", "recipient", ca.Recipient.Subject, "signer", ca.Signer.Subject, "certificates", len(ca.Chain))
	return ca, nil
}

// trust keeps of the certificates sent those that lead to the roots now, and
// says why the others do not. Nil roots are those sent.
func (ca *CA) trust(sent []*x509.Certificate, roots *x509.CertPool, now time.Time) (left, err error) {
	if roots == nil {
		roots = x509.NewCertPool()
		addCAs(roots, sent)
	}
	intermediates := x509.NewCertPool()
	addCAs(intermediates, sent)
	var why []error
	for _, cert := range sent {
		if err := leadsTo(cert, roots, intermediates, now); err != nil {
			why = append(why, fmt.Errorf("%s: %w", cert.Subject, err))
			continue
		}
		ca.Chain = append(ca.Chain, cert)
	}
	if len(ca.Chain) == 0 {
		return nil, fmt.Errorf("%w: %w", ErrUntrusted, why[0])
	}
	return errors.Join(why...), nil
}

func addCAs(pool *x509.CertPool, certs []*x509.Certificate) {
	for _, cert := range certs {
		if isCA(cert) {
			pool.AddCert(cert)
		}
	}
}

// isCA reports whether cert may issue others. Roots of version 1 cannot say.
func isCA(cert *x509.Certificate) bool {
	return cert.IsCA || (cert.Version == 1 && bytes.Equal(cert.RawIssuer, cert.RawSubject))
}

var oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

// leadsTo checks that cert leads to roots. What it may be used for is not
// looked at, and neither is a critical subject alternative name of a kind that
// crypto/x509 leaves to its caller: the names of TPMs are such.
func leadsTo(cert *x509.Certificate, roots, intermediates *x509.CertPool, now time.Time) error {
	own := *cert
	own.UnhandledCriticalExtensions = slices.DeleteFunc(slices.Clone(cert.UnhandledCriticalExtensions),
		func(id asn1.ObjectIdentifier) bool { return id.Equal(oidSubjectAltName) })
	_, err := own.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: intermediates, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	return err
}

// choose fills in Recipient and Signer.
func (ca *CA) choose() error {
	issuing := ca.issuing()
	if issuing == nil {
		return fmt.Errorf("%w: no CA certificate among %d", ErrMalformed, len(ca.Chain))
	}
	ca.Recipient = first(
		ca.ra(func(c *x509.Certificate) bool { return slices.ContainsFunc(c.UnknownExtKeyUsage, oidPrivacyCA.Equal) }),
		ca.ra(func(c *x509.Certificate) bool { return c.KeyUsage&x509.KeyUsageKeyEncipherment != 0 }),
		ca.onlyCA(x509.KeyUsageKeyEncipherment),
		issuing)
	if _, ok := ca.Recipient.PublicKey.(*rsa.PublicKey); !ok {
		return fmt.Errorf("%w: %s has no RSA key to encrypt to", ErrCapability, ca.Recipient.Subject)
	}
	ca.Signer = first(
		ca.ra(func(c *x509.Certificate) bool { return c.KeyUsage&x509.KeyUsageDigitalSignature != 0 }),
		issuing)
	return nil
}

func first(certs ...*x509.Certificate) *x509.Certificate {
	for _, c := range certs {
		if c != nil {
			return c
		}
	}
	return nil
}

// ra returns the first certificate that is no CA's and that ok accepts.
func (ca *CA) ra(ok func(*x509.Certificate) bool) *x509.Certificate {
	for _, c := range ca.Chain {
		if !isCA(c) && ok(c) {
			return c
		}
	}
	return nil
}

// onlyCA returns the CA certificate with a key usage if there is just one.
func (ca *CA) onlyCA(usage x509.KeyUsage) *x509.Certificate {
	var found *x509.Certificate
	for _, c := range ca.Chain {
		if isCA(c) && c.KeyUsage&usage != 0 {
			if found != nil {
				return nil
			}
			found = c
		}
	}
	return found
}

// issuing returns the CA certificate that issued no other CA's.
func (ca *CA) issuing() *x509.Certificate {
	for _, c := range ca.Chain {
		above := slices.ContainsFunc(ca.Chain, func(o *x509.Certificate) bool {
			return isCA(o) && !o.Equal(c) && bytes.Equal(o.RawIssuer, c.RawSubject) && !bytes.Equal(o.RawIssuer, o.RawSubject)
		})
		if isCA(c) && !above {
			return c
		}
	}
	return nil
}

// signer returns the certificate that may have signed a reply: Signer or a CA
// certificate that says it is the one.
func (ca *CA) signer(is func(*x509.Certificate) bool) *x509.Certificate {
	if ca.Signer != nil && is(ca.Signer) {
		return ca.Signer
	}
	for _, c := range ca.Chain {
		if isCA(c) && is(c) {
			return c
		}
	}
	return nil
}
