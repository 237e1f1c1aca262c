package scep

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"sync"
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
// its only one, else by the issuing CA. A certificate whose extended key usages
// are those of clients and servers is not taken for an RA's.
//
// Both are asked for at the same time, if the client has no Challenge.
func (c *Client) CA(ctx context.Context, id string) (*CA, error) {
	caps, op, sent, err := c.ask(ctx, id)
	if err != nil {
		return nil, err
	}
	ca := &CA{Caps: caps}
	left, err := ca.trust(sent, c.Roots, c.Fingerprint, c.now())
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

// ask asks for capabilities and certificates, and says by which operation it
// got the latter.
func (c *Client) ask(ctx context.Context, id string) (caps Caps, op string, sent []*x509.Certificate, err error) {
	var failed error
	get := func() { sent, failed = c.GetCACert(ctx, id) }
	wait := get
	if c.Challenge == "" {
		var wg sync.WaitGroup
		wg.Go(get)
		wait = wg.Wait
	}
	caps, err = c.GetCACaps(ctx, id)
	if err != nil && (c.Challenge != "" || ctx.Err() != nil) {
		if c.Challenge == "" {
			wait()
		}
		return nil, "", nil, err
	}
	if err != nil {
		c.log(ctx, "capabilities unknown", "reason", err)
	}
	const chain = "GetCACertChain"
	switch {
	case !caps.Has(chain):
		wait()
		return caps, "GetCACert", sent, failed
	case c.Challenge == "":
		wait()
	}
	sent, err = c.GetCACertChain(ctx, id)
	return caps, chain, sent, err
}

// trust keeps of the certificates sent those that lead to the roots now, and
// says why the others do not. Nil roots are the one with the fingerprint; if
// that is nil too, those sent.
func (ca *CA) trust(sent []*x509.Certificate, roots *x509.CertPool, fingerprint []byte, now time.Time) (left, err error) {
	anchors := sent
	if fingerprint != nil {
		pinned, err := find(sent, fingerprint)
		if err != nil {
			return nil, err
		}
		anchors = []*x509.Certificate{pinned}
	}
	pinned := roots != nil && fingerprint != nil
	if roots == nil {
		roots = x509.NewCertPool()
		addCAs(roots, anchors)
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
	if pinned && !slices.ContainsFunc(ca.Chain, anchors[0].Equal) {
		return nil, fmt.Errorf("%w: the certificate with the fingerprint does not lead to the roots", ErrUntrusted)
	}
	return errors.Join(why...), nil
}

// find returns the CA certificate with a fingerprint.
func find(sent []*x509.Certificate, fingerprint []byte) (*x509.Certificate, error) {
	if len(fingerprint) != sha256.Size {
		return nil, fmt.Errorf("%w: a fingerprint of %d bytes, not %d", errRequest, len(fingerprint), sha256.Size)
	}
	for _, cert := range sent {
		if sum := sha256.Sum256(cert.Raw); isCA(cert) && bytes.Equal(sum[:], fingerprint) {
			return cert, nil
		}
	}
	return nil, fmt.Errorf("%w: no CA certificate with the fingerprint %x among %d", ErrUntrusted, fingerprint, len(sent))
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
		ca.onlyRA(),
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

// ra returns the first certificate of an RA that ok accepts.
func (ca *CA) ra(ok func(*x509.Certificate) bool) *x509.Certificate {
	for _, c := range ca.Chain {
		if isRA(c) && ok(c) {
			return c
		}
	}
	return nil
}

// isRA reports whether cert may be an RA's. Nothing in it has to say so, but
// what a CA issues to its clients says that it is for clients or servers: else
// one of them could pose as the RA to the others.
func isRA(cert *x509.Certificate) bool {
	return !isCA(cert) && (len(cert.ExtKeyUsage) == 0 || len(cert.UnknownExtKeyUsage) > 0 ||
		slices.ContainsFunc(cert.ExtKeyUsage, func(u x509.ExtKeyUsage) bool {
			return u != x509.ExtKeyUsageClientAuth && u != x509.ExtKeyUsageServerAuth && u != x509.ExtKeyUsageEmailProtection
		}))
}

// onlyRA returns the RA's certificate if there is just one.
func (ca *CA) onlyRA() *x509.Certificate {
	var found *x509.Certificate
	for _, c := range ca.Chain {
		if isRA(c) {
			if found != nil {
				return nil
			}
			found = c
		}
	}
	return found
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
