package ekcert

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"

	"github.com/whiteglove/whiteglove/internal/wcce"
)

// A Report is what Verify learned of a certificate that holds.
type Report struct {
	Chain    []*x509.Certificate // certificate first, root last
	Findings []Finding           // in no order that matters; may be empty
}

// Verify checks that cert is of the key ek, is valid now, and leads to one of
// Roots for the maker that it names. Issuers between are taken from
// Intermediates and from cert.Issuers. What else is odd about it, as much in
// the field is, are findings for the caller to weigh.
//
// Errors are of type [*Error] and wrap ErrMismatch, ErrExpired, ErrUntrusted or
// ErrMalformed.
func (c *Client) Verify(ctx context.Context, cert *Certificate, ek crypto.PublicKey) (*Report, error) {
	report, err := c.verify(ctx, cert, ek)
	if err != nil {
		return nil, &Error{Op: "verify", Origin: cert.Origin, Vendor: cert.Vendor(), Err: err}
	}
	return report, nil
}

func (c *Client) verify(ctx context.Context, cert *Certificate, ek crypto.PublicKey) (*Report, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := checkKey(cert.Certificate, ek); err != nil {
		return nil, err
	}
	// The maker that is vouched for is the one in the signed bytes.
	f, err := readFields(cert.Certificate)
	if errors.Is(err, errAltName) && critical(cert.Certificate, wcce.OIDSubjectAltName) {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	chain, err := c.chain(cert, c.Roots.of(VendorName(f.manufacturer)))
	if err != nil {
		return nil, err
	}
	return &Report{Chain: chain, Findings: findings(cert.Certificate)}, nil
}

// chain returns the first chain from cert to one of the roots in pools.
func (c *Client) chain(cert *Certificate, pools []*x509.CertPool) ([]*x509.Certificate, error) {
	if len(pools) == 0 {
		return nil, fmt.Errorf("%w: none is configured for %q", ErrUntrusted, cert.Vendor())
	}
	inter := x509.NewCertPool()
	if c.Intermediates != nil {
		inter = c.Intermediates.Clone()
	}
	for _, issuer := range cert.Issuers {
		inter.AddCert(issuer)
	}
	leaf := withoutAltName(cert.Certificate)
	var failure error
	for _, roots := range pools {
		chains, err := leaf.Verify(x509.VerifyOptions{
			Roots:         roots,
			Intermediates: inter,
			CurrentTime:   c.now(),
			KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
		})
		if err == nil {
			return append([]*x509.Certificate{cert.Certificate}, chains[0][1:]...), nil
		}
		if failure == nil || isExpired(err) {
			failure = err
		}
	}
	if isExpired(failure) {
		return nil, fmt.Errorf("%w: %w", ErrExpired, failure)
	}
	return nil, fmt.Errorf("%w: %w", ErrUntrusted, failure)
}

func isExpired(err error) bool {
	var invalid x509.CertificateInvalidError
	return errors.As(err, &invalid) && invalid.Reason == x509.Expired
}

// withoutAltName returns cert, or a copy of it that no longer names the
// subject alternative name as critical and unread: Go knows no directory names
// there, and this package has read them. Any other critical extension stays
// unread and has Verify of crypto/x509 refuse the certificate.
func withoutAltName(cert *x509.Certificate) *x509.Certificate {
	f, _ := readFields(cert)
	if !f.altName || len(cert.UnhandledCriticalExtensions) == 0 {
		return cert
	}
	own := *cert
	own.UnhandledCriticalExtensions = slices.DeleteFunc(slices.Clone(cert.UnhandledCriticalExtensions),
		func(id asn1.ObjectIdentifier) bool { return id.Equal(wcce.OIDSubjectAltName) })
	return &own
}
