package ekcert

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/whiteglove/whiteglove/internal/roca"
	"github.com/whiteglove/whiteglove/internal/wcce"
)

// A Report is what Verify learned of a certificate that holds.
type Report struct {
	Chain    []*x509.Certificate // certificate first, root last
	Findings []Finding           // what is odd, in no order that matters; may be empty

	// Revocation is what the CRLs say of all in Chain but the root, and
	// RevocationDetail why it is not known.
	Revocation       Revocation
	RevocationDetail string
}

// Verify checks that cert is of the key ek, is valid now, and leads to one of
// Roots or Pins for the maker that it names. Issuers between are taken from
// Intermediates and from cert.Issuers, and fetched if FetchIssuers is set. A
// critical extension that this package does not know is refused, and so are a
// certificate that says that it is not for endorsement keys, such as that of an
// attestation key, issuers that are limited to other purposes, and a key with the
// fingerprint of CVE-2017-15361.
// With CheckRevocation set, none in the chain may be revoked; where that cannot
// be learned, the report says so. What else is odd about it, as much in the
// field is, are findings for the caller to weigh.
//
// Errors are of type [*Error] and wrap ErrMismatch, ErrNotEK, ErrWeakKey,
// ErrExpired, ErrUntrusted, ErrRevoked or ErrMalformed.
func (c *Client) Verify(ctx context.Context, cert *Certificate, ek crypto.PublicKey) (*Report, error) {
	if cert == nil || cert.Certificate == nil {
		return nil, &Error{Op: "verify", Err: fmt.Errorf("%w: there is none", ErrMalformed)}
	}
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
	if err := checkPurpose(cert.Certificate); err != nil {
		return nil, err
	}
	if roca.Weak(ek) {
		return nil, ErrWeakKey
	}
	// The maker that is vouched for is the one in the signed bytes.
	f, err := readFields(cert.Certificate)
	if errors.Is(err, errAltName) && critical(cert.Certificate, wcce.OIDSubjectAltName) {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if id := unknownCritical(cert.Certificate); id != nil {
		return nil, fmt.Errorf("%w: its critical extension %v is not known", ErrUntrusted, id)
	}
	vendor := VendorName(f.manufacturer)
	own := *cert // to be added to
	own.Issuers = slices.DeleteFunc(slices.Clone(cert.Issuers), func(issuer *x509.Certificate) bool { return issuer == nil })
	pools := c.trusted(vendor, own.Issuers)
	chain, err := c.chain(&own, pools)
	if errors.Is(err, ErrUntrusted) && c.FetchIssuers && len(pools) > 0 {
		chain, err = c.walk(ctx, &own, vendor, err)
	}
	if err != nil {
		return nil, err
	}
	report := &Report{Chain: chain, Findings: findings(cert.Certificate)}
	if c.CheckRevocation {
		err = c.revocation(ctx, report, own.Issuers, c.trusted(vendor, own.Issuers))
	}
	if err != nil {
		return nil, err
	}
	return report, nil
}
