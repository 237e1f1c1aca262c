package ekcert

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

const (
	maxDepth    = 6              // CAs between a certificate and its root
	maxFetches  = 10             // of issuers in one Verify, and of CRLs for each certificate
	issuerStays = 24 * time.Hour // in the cache
)

// walk fetches the issuers that cert and the CAs above it name (RFC 5280, section
// 4.2.2.1, id-ad-caIssuers) until there is a chain to a root. It adds them to
// cert.Issuers, which are not trusted. failure is the reason why there is no chain
// without them.
func (c *Client) walk(ctx context.Context, cert *Certificate, vendor string, failure error) ([]*x509.Certificate, error) {
	left := maxFetches
	at := cert.Certificate
	var errs []error
	for range maxDepth {
		if ctx.Err() != nil {
			break
		}
		if issuerOf(at, cert.Issuers) == nil {
			fetched, err := c.fetchIssuers(ctx, at, &left)
			errs = append(errs, err)
			cert.Issuers = append(cert.Issuers, fetched[:min(len(fetched), maxIssuers-len(cert.Issuers))]...)
			chain, err := c.chain(ctx, cert, c.trusted(vendor, cert.Issuers))
			if err == nil {
				return chain, nil
			}
			failure = err
		}
		at = issuerOf(at, cert.Issuers)
		if at == nil || string(at.RawIssuer) == string(at.RawSubject) {
			break
		}
	}
	if err := errors.Join(ctx.Err(), errors.Join(errs...)); err != nil {
		return nil, fmt.Errorf("%w (%w)", failure, &fetchFailure{err})
	}
	return nil, failure
}

// A fetchFailure is the reason why issuers could not be fetched.
type fetchFailure struct{ err error }

func (f *fetchFailure) Error() string { return f.err.Error() }
func (f *fetchFailure) Unwrap() error { return f.err }

// issuerOf returns the certificate among certs that signed cert, or nil.
func issuerOf(cert *x509.Certificate, certs []*x509.Certificate) *x509.Certificate {
	for _, c := range certs {
		if string(c.RawSubject) == string(cert.RawIssuer) && cert.CheckSignatureFrom(c) == nil {
			return c
		}
	}
	return nil
}

// fetchIssuers returns the issuers of cert from the first URL that has them.
func (c *Client) fetchIssuers(ctx context.Context, cert *x509.Certificate, left *int) ([]*x509.Certificate, error) {
	var errs []error
	for _, address := range cert.IssuingCertificateURL {
		if *left == 0 {
			return nil, errors.Join(append(errs, fmt.Errorf("over %d fetches", maxFetches))...)
		}
		*left--
		issuers, err := c.fetchIssuer(ctx, cert, address)
		if err == nil {
			return issuers, nil
		}
		errs = append(errs, fmt.Errorf("issuer at %q: %w", address, err))
	}
	return nil, errors.Join(errs...)
}

// fetchIssuer gets certificates in DER, PEM or PKCS #7 that include the issuer of
// cert. Other answers do not go to the cache: an attacker on the path could block the
// right one for a day.
func (c *Client) fetchIssuer(ctx context.Context, cert *x509.Certificate, address string) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	err := c.fetch(ctx, address, maxSize, func(b []byte) (until time.Time, err error) {
		found, err := parse(b)
		if err != nil {
			return until, err
		}
		certs = append([]*x509.Certificate{found.Certificate}, found.Issuers...)
		if issuerOf(cert, certs) == nil {
			return until, errors.New("the answer does not have the issuer")
		}
		return c.now().Add(issuerStays), nil
	})
	return certs, err
}
