package ekcert

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/whiteglove/whiteglove/internal/roca"
	"github.com/whiteglove/whiteglove/internal/wcce"
)

// A Report is the result of [Client.Verify] for a certificate that passed.
type Report struct {
	Chain    []*x509.Certificate // the certificate first, the root last
	Findings []Finding           // deviations and advice, in no particular order; may be empty

	// Revocation is the result for all certificates in Chain except the root.
	// RevocationDetail says why it is RevocationUnknown; else it is empty.
	Revocation       Revocation
	RevocationDetail string
}

// Verify checks that cert is for the key ek, is valid now, and leads to a root in Roots
// or Pins for the maker that it names. The CAs between are taken from Intermediates and
// cert.Issuers, and fetched if FetchIssuers is set.
//
// It refuses
//   - a weak key (see [ErrWeakKey])
//   - an RSA key that no TPM can have: under 2048 or over 8192 bits, with an even modulus,
//     or with an exponent that is even or under 3
//   - more than 64 issuers, or an issuer with an RSA key of over 8192 bits
//   - a critical extension that it does not know
//   - a certificate that says that it is not for an endorsement key
//   - a CA that is limited to other purposes
//   - a revoked certificate, if CheckRevocation or RequireRevocation is set
//   - a certificate without a valid CRL, if RequireRevocation is set; with
//     CheckRevocation alone this is a finding
//
// All other deviations from the profile are findings in the report, for the caller to
// judge. Verify does not change cert.
//
// The error is an [*Error]. It wraps [ErrMismatch], [ErrNotEK], [ErrWeakKey],
// [ErrUntrusted], [ErrExpired], [ErrRevoked] or [ErrMalformed] as their descriptions
// say, or the error of ctx if that ended first. It wraps none of them if
// RequireRevocation is set and no valid CRL covers a certificate; its HRESULT is then
// 0x80092013 (CRYPT_E_REVOCATION_OFFLINE).
func (c *Client) Verify(ctx context.Context, cert *Certificate, ek crypto.PublicKey) (*Report, error) {
	if cert == nil || cert.Certificate == nil {
		return nil, &Error{Op: "verify", Err: fmt.Errorf("%w: none is given", ErrMalformed)}
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
	if err := possible(ek); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if roca.Weak(ek) {
		return nil, ErrWeakKey
	}
	// The maker is read from the signed bytes, not from cert.Manufacturer.
	f, err := readFields(cert.Certificate)
	if errors.Is(err, errAltName) && critical(cert.Certificate, wcce.OIDSubjectAltName) {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if id := unknownCritical(cert.Certificate); id != nil {
		return nil, fmt.Errorf("%w: its critical extension %v is not known", ErrUntrusted, id)
	}
	vendor := vendorOf(cert.Certificate, f.manufacturer)
	own := *cert // a copy, whose Issuers walk extends
	if own.Issuers, err = usable(cert.Issuers); err != nil {
		return nil, err
	}
	pools := c.trusted(vendor, own.Issuers)
	chain, err := c.chain(ctx, &own, pools)
	if errors.Is(err, ErrUntrusted) && c.FetchIssuers && len(pools) > 0 {
		chain, err = c.walk(ctx, &own, vendor, err)
	}
	if err != nil {
		return nil, err
	}
	report := &Report{Chain: chain, Findings: findings(cert)}
	if c.CheckRevocation || c.RequireRevocation {
		err = c.revocation(ctx, report, own.Issuers, c.trusted(vendor, own.Issuers))
	}
	if err != nil {
		return nil, err
	}
	return report, nil
}
