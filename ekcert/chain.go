package ekcert

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/whiteglove/whiteglove/internal/plain"
	"github.com/whiteglove/whiteglove/internal/wcce"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// chain returns the first chain from cert to a root in pools. It fetches nothing. The
// caller has checked the issuers with usable.
func (c *Client) chain(ctx context.Context, cert *Certificate, pools []*x509.CertPool) ([]*x509.Certificate, error) {
	if len(pools) == 0 {
		return nil, fmt.Errorf("%w: no root is configured for %s", ErrUntrusted, makerOf(cert))
	}
	leaf := withoutHandled(cert.Certificate)
	if chain := c.KnownCAs.chain(leaf, pools, c.now()); chain != nil {
		return append([]*x509.Certificate{cert.Certificate}, chain...), nil
	}
	var failure error
	for _, roots := range pools {
		chains, err := c.paths(ctx, leaf, cert.Issuers, roots)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		i := slices.IndexFunc(chains, forEKs)
		if i >= 0 {
			if c.Roots.has(roots) {
				c.KnownCAs.add(roots, chains[i][1:])
			}
			return append([]*x509.Certificate{cert.Certificate}, chains[i][1:]...), nil
		}
		if err == nil {
			err = errors.New("a CA of the chain is not for endorsement keys")
		}
		if failure == nil || isExpired(err) {
			failure = err
		}
	}
	return nil, c.explain(cert, failure)
}

var errSHA1 = errors.New("it is signed with SHA-1, which is not accepted")

// explain returns why crypto/x509 found no chain, and of which certificate it speaks.
func (c *Client) explain(cert *Certificate, failure error) error {
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	switch {
	case isExpired(failure) && errors.As(failure, &invalid):
		return fmt.Errorf("%w: %s is valid from %s to %s, and it is %s", ErrExpired, nameOf(invalid.Cert, cert),
			day(invalid.Cert.NotBefore), day(invalid.Cert.NotAfter), day(c.now()))
	case cert.SignatureAlgorithm == x509.SHA1WithRSA || cert.SignatureAlgorithm == x509.ECDSAWithSHA1:
		if isTPM12(cert.Certificate) {
			return fmt.Errorf("%w: %w: %w: %w", ErrUntrusted, errTPM12, errSHA1, failure)
		}
		return fmt.Errorf("%w: %w: %w", ErrUntrusted, errSHA1, failure)
	case errors.As(failure, &unknown):
		return fmt.Errorf("%w: %w", ErrUntrusted, plain.Because(failure, "the certificate of the CA %q, which signed %s, is not among the roots for %s, nor among the intermediate CAs",
			wire.Words(unknown.Cert.Issuer.String()), nameOf(unknown.Cert, cert), makerOf(cert)))
	}
	return fmt.Errorf("%w: %w", ErrUntrusted, failure)
}

// day returns a time as in an error.
func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

// nameOf returns how an error names a certificate of the chain of leaf.
func nameOf(cert *x509.Certificate, leaf *Certificate) string {
	if bytes.Equal(cert.Raw, leaf.Raw) {
		return "the certificate of the endorsement key"
	}
	return fmt.Sprintf("the CA %q", wire.Words(cert.Subject.String()))
}

// makerOf returns how an error names the maker of cert.
func makerOf(cert *Certificate) string {
	if v := cert.Vendor(); v != "" {
		return makerName(v)
	}
	return "a certificate that names no maker"
}

// forEKs reports whether all CAs between a certificate and its root may issue
// endorsement key certificates.
func forEKs(chain []*x509.Certificate) bool {
	for i := 1; i < len(chain)-1; i++ {
		if !mayBeForEKs(chain[i]) {
			return false
		}
	}
	return true
}

// isExpired reports whether crypto/x509 refused a certificate for its validity.
func isExpired(err error) bool {
	var invalid x509.CertificateInvalidError
	return errors.As(err, &invalid) && invalid.Reason == x509.Expired
}

// handled reports whether this package reads the extension id of cert, which
// crypto/x509 does not: a subject alternative name with directory names, or subject
// directory attributes.
func handled(cert *x509.Certificate, id asn1.ObjectIdentifier) bool {
	f, _ := readFields(cert)
	return id.Equal(wcce.OIDSubjectAltName) && f.altName ||
		id.Equal(oidSubjectAttributes) && f.attributes
}

// unknownCritical returns a critical extension of cert that neither crypto/x509 nor
// this package reads, or nil.
func unknownCritical(cert *x509.Certificate) asn1.ObjectIdentifier {
	for _, id := range cert.UnhandledCriticalExtensions {
		if !handled(cert, id) {
			return id
		}
	}
	return nil
}

// withoutHandled returns cert, or a copy whose UnhandledCriticalExtensions lacks those
// that this package reads. If others remain, crypto/x509 refuses the certificate.
func withoutHandled(cert *x509.Certificate) *x509.Certificate {
	if len(cert.UnhandledCriticalExtensions) == 0 {
		return cert
	}
	own := *cert
	own.UnhandledCriticalExtensions = slices.DeleteFunc(slices.Clone(cert.UnhandledCriticalExtensions),
		func(id asn1.ObjectIdentifier) bool { return handled(cert, id) })
	return &own
}
