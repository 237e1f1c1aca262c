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
	"strings"
	"sync"
	"time"

	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/internal/plain"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// oidPrivacyCA is the extended key usage of the certificates to which requests
// to Windows's attestation CA are encrypted.
var oidPrivacyCA = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 21, 36}

// A CA is what a client must know about a server to enroll with it. [Client.CA]
// returns one whose certificates are checked. A caller may keep it and use it
// for any number of requests, from several goroutines.
//
// A caller may replace Recipient and Signer by other certificates of Chain. A
// caller who fills in a CA without [Client.CA] vouches for every certificate in
// it: none is checked again.
type CA struct {
	Caps Caps // capabilities; they decide which algorithms are used

	// Chain holds the certificates that lead to the roots: CAs and
	// registration authorities (RAs), in the order in which the server sent
	// them. A new certificate must lead to a CA in it.
	Chain []*x509.Certificate

	Recipient *x509.Certificate // messages are encrypted to it; its key is an RSA key
	Signer    *x509.Certificate // signs replies; any CA certificate in Chain may sign them, too

	unproven []*x509.Certificate // of Chain; RA certificates that nothing proves to be the CA's
}

// CA asks the server for its capabilities and its certificates, and keeps the
// certificates that lead to the roots (see [Client.Roots]). It uses
// GetCACertChain if the server advertises it, else GetCACert. id names a CA on a
// server that has several; it may be empty.
//
// If GetCACaps fails, the server is taken as one without capabilities (RFC 8894,
// section 3.5.1), unless Challenge is set: then the error is returned, in which
// HTTP status 404 means that the server has no such CA.
//
// Recipient is the first of these that exists:
//  1. the RA certificate with the extended key usage 1.3.6.1.4.1.311.21.36
//  2. the RA certificate with the key usage keyEncipherment
//  3. the CA certificate with that key usage, if there is only one
//  4. the certificate of the issuing CA
//
// Signer is the RA certificate with the key usage digitalSignature, else the
// only RA certificate, else the certificate of the issuing CA.
//
// The CA may have issued many certificates, and whoever is on the path of plain
// http can add one of them to the answer. A certificate counts as an RA's only if
//   - its SHA-256 digest is in RAFingerprints, or
//   - the issuing CA itself issued it for this purpose: its extended key usage is
//     1.3.6.1.4.1.311.20.2.1 (certificate request agent), 1.3.6.1.5.5.7.3.28
//     (cmcRA) or 1.3.6.1.4.1.311.21.36 (encryption to an attestation CA), or
//   - TLS proves that the server sent it, and it is not only for TLS clients, TLS
//     servers and e-mail.
//
// The RA certificates of NDES name their purpose; those of others often do not.
//
// Without Challenge, GetCACaps and GetCACert are sent at the same time.
//
// The error is an [*Error]. It wraps [ErrUntrusted] if no certificate leads to
// the roots, the one with the Fingerprint is missing, or there is nothing to
// trust the answer by; [ErrMalformed] if the answer cannot be read or has no CA
// certificate; [ErrCapability] if Recipient would have no RSA key; and the error
// of ctx if that ended first.
func (c *Client) CA(ctx context.Context, id string) (*CA, error) {
	if c.Roots.Equal(x509.NewCertPool()) { // nil is not
		return nil, c.fail("CA", misuse.Errorf("the Roots of the Client are an empty pool, so no CA can be trusted: add those of the CA, or let TLS vouch for it with nil"))
	}
	caps, op, sent, from, err := c.ask(ctx, id)
	if err != nil {
		return nil, err
	}
	ca := &CA{Caps: caps}
	left, err := ca.trust(ctx, sent, c.Roots, c.Fingerprint, c.now())
	if err != nil {
		return nil, c.failed(op, from, err)
	}
	if left != nil {
		c.log(ctx, "certificates left out", "op", op, "reason", left)
	}
	if err := ca.choose(ca.registrations(c.RAFingerprints, from.Authenticated)); err != nil {
		return nil, c.fail(op, err)
	}
	c.log(ctx, "CA", "recipient", ca.Recipient.Subject, "signer", ca.Signer.Subject, "certificates", len(ca.Chain))
	return ca, nil
}

// ask gets capabilities and certificates. op is the operation that returned the
// certificates, and from the answer with them.
func (c *Client) ask(ctx context.Context, id string) (caps Caps, op string, sent []*x509.Certificate, from *wire.Answer, err error) {
	var failed error
	get := func() { sent, from, failed = c.certificates(ctx, "GetCACert", id) }
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
		return nil, "", nil, nil, err
	}
	if err != nil {
		c.log(ctx, "capabilities unknown", "reason", err)
	}
	const chain = "GetCACertChain"
	switch {
	case !caps.Has(chain):
		wait()
		return caps, "GetCACert", sent, from, failed
	case c.Challenge == "":
		wait()
	}
	sent, from, err = c.certificates(ctx, chain, id)
	return caps, chain, sent, from, err
}

// maxCertificates is the largest number of certificates of a CA and its RAs that is
// accepted. Real servers send up to six.
const maxCertificates = 32

// trust sets Chain to those of the certificates sent that lead to the roots now.
// left says why the others do not, and is nil if all do. If roots is nil, the
// certificate with the fingerprint is the root; if that is nil too, all CA
// certificates sent are. The error wraps that of ctx if that ended first.
func (ca *CA) trust(ctx context.Context, sent []*x509.Certificate, roots *x509.CertPool, fingerprint []byte, now time.Time) (left, err error) {
	if len(sent) > maxCertificates {
		return nil, fmt.Errorf("%w: it has %d certificates, more than %d", ErrMalformed, len(sent), maxCertificates)
	}
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
	_, reasons, err := cms.Leading(ctx, sent, nil, func(cert *x509.Certificate, between *x509.CertPool) error {
		return wire.Dated(leadsTo(cert, roots, between, now), cert, sent, now, "the operator of the CA")
	})
	if err != nil {
		return nil, err
	}
	var why []error
	for i, cert := range sent {
		if reasons[i] != nil {
			why = append(why, fmt.Errorf("%q: %w", cert.Subject, reasons[i]))
			continue
		}
		ca.Chain = append(ca.Chain, cert)
	}
	if len(ca.Chain) == 0 {
		// The certificates under an expired one do not lead to a root either,
		// so the expiry is the cause to report.
		return nil, fmt.Errorf("%w: %w", ErrUntrusted, why[max(slices.IndexFunc(why, untimely), 0)])
	}
	if pinned && !slices.ContainsFunc(ca.Chain, anchors[0].Equal) {
		return nil, fmt.Errorf("%w: the certificate with the fingerprint does not lead to the roots", ErrUntrusted)
	}
	return errors.Join(why...), nil
}

// find returns the CA certificate with a SHA-256 fingerprint.
func find(sent []*x509.Certificate, fingerprint []byte) (*x509.Certificate, error) {
	if len(fingerprint) != sha256.Size {
		return nil, fmt.Errorf("%w: Fingerprint has %d bytes, not %d", errRequest, len(fingerprint), sha256.Size)
	}
	for _, cert := range sent {
		if sum := sha256.Sum256(cert.Raw); isCA(cert) && bytes.Equal(sum[:], fingerprint) {
			return cert, nil
		}
	}
	return nil, fmt.Errorf("%w: %w %x; the server sent %s", ErrUntrusted, errFingerprint, fingerprint, named(sent))
}

// errFingerprint means that the server has no CA certificate with the fingerprint.
var errFingerprint = errors.New("no CA certificate has the fingerprint")

// maxNamed is how many certificates an error names.
const maxNamed = 6

// named returns the subjects of certificates and their fingerprints.
func named(certs []*x509.Certificate) string {
	var names []string
	for _, cert := range certs[:min(len(certs), maxNamed)] {
		names = append(names, fmt.Sprintf("%q (SHA-256 %x)", plain.Name(cert.Subject.String()), sha256.Sum256(cert.Raw)))
	}
	if more := len(certs) - maxNamed; more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}

// addCAs adds the CA certificates among certs to pool.
func addCAs(pool *x509.CertPool, certs []*x509.Certificate) {
	for _, cert := range certs {
		if isCA(cert) {
			pool.AddCert(cert)
		}
	}
}

// isCA reports whether cert may issue others. A self-signed certificate of
// version 1 has no extension to say so, and counts as a CA.
func isCA(cert *x509.Certificate) bool {
	return cert.IsCA || (cert.Version == 1 && bytes.Equal(cert.RawIssuer, cert.RawSubject))
}

var oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

// leadsTo checks that cert leads to roots. It accepts every extended key usage,
// and a critical subject alternative name of a kind that crypto/x509 leaves to
// its caller, such as the name of a TPM.
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

// choose sets Recipient and Signer. ras are the RA certificates of Chain.
func (ca *CA) choose(ras registrations) error {
	issuing := ca.issuing()
	if issuing == nil {
		return fmt.Errorf("%w: none of %d certificates is a CA's", ErrMalformed, len(ca.Chain))
	}
	ca.Recipient = first(
		ras.first(func(c *x509.Certificate) bool { return slices.ContainsFunc(c.UnknownExtKeyUsage, oidPrivacyCA.Equal) }),
		ras.first(func(c *x509.Certificate) bool { return c.KeyUsage&x509.KeyUsageKeyEncipherment != 0 }),
		ca.onlyCA(x509.KeyUsageKeyEncipherment),
		issuing)
	if _, ok := ca.Recipient.PublicKey.(*rsa.PublicKey); !ok {
		return fmt.Errorf("%w: %q has no RSA key to encrypt to%s", ErrCapability, ca.Recipient.Subject, ca.hint())
	}
	ca.Signer = first(
		ras.first(func(c *x509.Certificate) bool { return c.KeyUsage&x509.KeyUsageDigitalSignature != 0 }),
		ras.only(),
		issuing)
	return nil
}

// first returns the first certificate that is not nil, or nil.
func first(certs ...*x509.Certificate) *x509.Certificate {
	for _, c := range certs {
		if c != nil {
			return c
		}
	}
	return nil
}

// onlyCA returns the CA certificate with a key usage if there is just one, else
// nil.
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

// issuing returns the first CA certificate that did not issue another CA's
// certificate, or nil.
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

// signer returns the certificate that a reply names as its signer, or nil. It
// may be Signer or a CA certificate; is reports whether the reply names it.
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
