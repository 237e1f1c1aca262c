package ekcert

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"github.com/whiteglove/whiteglove/internal/cms"
)

// maxIssuers is how many issuers of one certificate are examined.
const maxIssuers = 64

// parseCertificate is [x509.ParseCertificate], but refuses RSA keys whose use takes
// long.
func parseCertificate(der []byte) (*x509.Certificate, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return cert, cms.CheckKey(cert.PublicKey)
}

// usable returns issuers without nil. The error wraps ErrMalformed if they are too many
// or one has a key whose use takes long.
func usable(issuers []*x509.Certificate) ([]*x509.Certificate, error) {
	issuers = slices.DeleteFunc(slices.Clone(issuers), func(issuer *x509.Certificate) bool { return issuer == nil })
	if len(issuers) > maxIssuers {
		return nil, fmt.Errorf("%w: it has %d issuers, at most %d", ErrMalformed, len(issuers), maxIssuers)
	}
	for _, issuer := range issuers {
		if err := cms.CheckKey(issuer.PublicKey); err != nil {
			return nil, fmt.Errorf("%w: issuer: %w", ErrMalformed, err)
		}
	}
	return issuers, nil
}

// paths returns the chains from leaf to roots. Of the issuers, only those that lead to
// roots themselves take part, so that nobody else's make it search many paths.
func (c *Client) paths(ctx context.Context, leaf *x509.Certificate, issuers []*x509.Certificate, roots *x509.CertPool) ([][]*x509.Certificate, error) {
	options := x509.VerifyOptions{
		Roots: roots, Intermediates: c.Intermediates, CurrentTime: c.now(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}
	if len(issuers) == 0 {
		return leaf.Verify(options)
	}
	trusted, _, err := cms.Leading(ctx, issuers, c.Intermediates, func(issuer *x509.Certificate, between *x509.CertPool) error {
		with := options
		with.Intermediates = between
		_, err := issuer.Verify(with)
		return err
	})
	if err != nil {
		return nil, err
	}
	options.Intermediates = trusted
	chains, err := leaf.Verify(options)
	if err != nil && !isExpired(err) {
		// Whether an issuer was the right one until it expired shows with it alone.
		if old := expired(issuers, c.now()); len(old) > 0 {
			options.Intermediates = trusted.Clone()
			for _, issuer := range old {
				options.Intermediates.AddCert(issuer)
			}
			if _, late := leaf.Verify(options); isExpired(late) {
				err = late
			}
		}
	}
	return chains, err
}

// expired returns the certificates that are not valid at a time.
func expired(certs []*x509.Certificate, now time.Time) []*x509.Certificate {
	return slices.DeleteFunc(slices.Clone(certs), func(c *x509.Certificate) bool {
		return !now.Before(c.NotBefore) && !now.After(c.NotAfter)
	})
}
