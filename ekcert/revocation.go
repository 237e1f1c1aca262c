package ekcert

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Revocation is what is known of the revocation of certificates that Verify
// accepts: of revoked ones it returns ErrRevoked.
type Revocation int

// What is known of a revocation.
const (
	RevocationUnchecked Revocation = iota // CheckRevocation is not set
	RevocationGood                        // every certificate is named by no CRL that it should be named by
	RevocationUnknown                     // at least one has no CRL, or none that can be had and holds
)

// String returns "unchecked", "good" or "unknown".
func (r Revocation) String() string {
	switch r {
	case RevocationUnchecked:
		return "unchecked"
	case RevocationGood:
		return "good"
	case RevocationUnknown:
		return "unknown"
	}
	return fmt.Sprintf("Revocation(%d)", int(r))
}

// revocation checks all in the chain of a report but its root, and says in the
// report what is known. It returns an error only for one that is revoked.
func (c *Client) revocation(ctx context.Context, report *Report, issuers []*x509.Certificate, pools []*x509.CertPool) error {
	var unknown []string
	for i, cert := range report.Chain[:len(report.Chain)-1] {
		check := &crlCheck{
			cert: cert, issuer: report.Chain[i+1], now: c.now(),
			signers: func(name []byte) []*x509.Certificate {
				return c.crlSigners(name, append(issuers[:len(issuers):len(issuers)], report.Chain...), pools)
			},
		}
		err := c.revoked(ctx, check)
		switch {
		case errors.Is(err, ErrRevoked):
			return fmt.Errorf("%w: certificate %d of the chain, serial %x", err, i+1, cert.SerialNumber)
		case err != nil:
			unknown = append(unknown, fmt.Sprintf("certificate %d of the chain: %v", i+1, err))
		}
	}
	report.Revocation = RevocationGood
	if unknown != nil {
		report.Revocation, report.RevocationDetail = RevocationUnknown, strings.Join(unknown, "; ")
	}
	return nil
}

// revoked returns nil if one of the CRLs that check's certificate names does
// not name it, an error that wraps ErrRevoked if one does, else why it is not known.
func (c *Client) revoked(ctx context.Context, check *crlCheck) error {
	points, err := crlPoints(check.cert)
	if err != nil {
		return err
	}
	if len(points) == 0 {
		return errors.New("names no CRL")
	}
	var errs []error
	left := maxFetches
	for _, check.point = range points {
		for _, address := range check.point.urls {
			if left == 0 {
				return errors.Join(append(errs, fmt.Errorf("over %d fetches", maxFetches))...)
			}
			left--
			var verdict error
			err := c.fetch(ctx, address, maxCRLSize, func(der []byte) (until time.Time, err error) {
				until, verdict, err = check.judge(der)
				return until, err
			})
			if err == nil {
				return verdict
			}
			errs = append(errs, fmt.Errorf("CRL at %q: %w", address, err))
		}
	}
	if errs == nil {
		return errors.New("names no CRL with a URL")
	}
	return errors.Join(errs...)
}

// crlSigners returns those of certs that have a name, may sign CRLs and lead to
// a root of the maker: who may sign an indirect CRL.
func (c *Client) crlSigners(name []byte, certs []*x509.Certificate, pools []*x509.CertPool) []*x509.Certificate {
	var found []*x509.Certificate
	for _, cert := range certs {
		if !bytes.Equal(cert.RawSubject, name) || cert.KeyUsage&x509.KeyUsageCRLSign == 0 {
			continue
		}
		if _, err := c.chain(&Certificate{Certificate: cert, Issuers: certs}, pools); err == nil {
			found = append(found, cert)
		}
	}
	return found
}

// A crlCheck is the question whether cert is on a CRL.
type crlCheck struct {
	cert, issuer *x509.Certificate
	point        crlPoint // where the CRL is from
	now          time.Time
	signers      func(name []byte) []*x509.Certificate
}

// judge returns a verdict if a CRL holds: nil, or an error that wraps ErrRevoked
// if the CRL names the certificate. It may be kept until the time returned. An
// error says why the CRL tells nothing.
func (k *crlCheck) judge(der []byte) (until time.Time, verdict, err error) {
	list, err := parseCRL(der)
	if err != nil {
		return time.Time{}, nil, err
	}
	if err := k.checkSignature(list.RevocationList); err != nil {
		return time.Time{}, nil, err
	}
	if err := k.checkScope(list); err != nil {
		return time.Time{}, nil, err
	}
	entry, err := list.find(k.cert)
	if entry != nil {
		verdict = fmt.Errorf("%w on %s, reason %d", ErrRevoked, entry.RevocationTime.Format(time.DateOnly), entry.ReasonCode)
	}
	return list.NextUpdate, verdict, err
}

// checkSignature checks that a CRL is signed by the issuer, or by whom the
// certificate names as the issuer of its CRL (RFC 5280, 4.2.1.13: cRLIssuer).
func (k *crlCheck) checkSignature(list *x509.RevocationList) error {
	if k.point.issuer == nil || bytes.Equal(k.point.issuer, k.cert.RawIssuer) {
		if !bytes.Equal(list.RawIssuer, k.cert.RawIssuer) {
			return errors.New("is of another issuer")
		}
		return list.CheckSignatureFrom(k.issuer)
	}
	if !bytes.Equal(list.RawIssuer, k.point.issuer) {
		return errors.New("is of another issuer than the one that the certificate names")
	}
	err := errors.New("is indirect, and no certificate of its issuer is there that leads to a root")
	for _, signer := range k.signers(list.RawIssuer) {
		err = signer.CheckSignature(list.SignatureAlgorithm, list.RawTBSRevocationList, list.Signature)
		if err == nil {
			return nil
		}
	}
	return err
}

// checkScope checks that a CRL is of this time and speaks of the certificate.
func (k *crlCheck) checkScope(list *crl) error {
	indirect := k.point.issuer != nil && !bytes.Equal(k.point.issuer, k.cert.RawIssuer)
	switch {
	case k.now.Before(list.ThisUpdate):
		return errors.New("is not valid yet")
	case list.NextUpdate.IsZero() || k.now.After(list.NextUpdate):
		return errors.New("is out of date")
	case k.point.reasons || list.someReasons:
		return errors.New("is for some reasons only")
	case list.attributeOnly || list.userOnly && k.cert.IsCA || list.caOnly && !k.cert.IsCA:
		return errors.New("is for other kinds of certificates")
	case indirect && !list.indirect:
		return errors.New("is not indirect, and of another issuer")
	case list.names != nil && !overlap(list.names, k.point.urls):
		return errors.New("is of another distribution point")
	}
	return nil
}

func overlap(a, b []string) bool {
	for _, s := range a {
		for _, t := range b {
			if s == t {
				return true
			}
		}
	}
	return false
}
