package ekcert

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"

	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// maxIssuers is the largest number of issuers of one certificate that is accepted.
const maxIssuers = 64

// usable returns issuers without nil. The error wraps ErrMalformed if there are too many
// or one has an RSA key that is too large.
func usable(issuers []*x509.Certificate) ([]*x509.Certificate, error) {
	issuers = slices.DeleteFunc(slices.Clone(issuers), func(issuer *x509.Certificate) bool { return issuer == nil })
	if len(issuers) > maxIssuers {
		return nil, fmt.Errorf("%w: it has %d issuers, more than %d", ErrMalformed, len(issuers), maxIssuers)
	}
	for _, issuer := range issuers {
		if err := cms.CheckKey(issuer.PublicKey); err != nil {
			return nil, fmt.Errorf("%w: issuer: %w", ErrMalformed, err)
		}
	}
	return issuers, nil
}

// paths returns the chains from leaf to roots. It uses only those issuers that lead to
// roots themselves, so that other certificates cannot make it search many paths.
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
	return chains, wire.Dated(err, leaf, issuers, c.now(), "the maker of the TPM")
}
