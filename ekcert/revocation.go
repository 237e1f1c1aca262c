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

// Revocation says what [Client.Verify] learned about the revocation of a chain. If a
// certificate is revoked, Verify returns [ErrRevoked] instead.
type Revocation int

// The values of [Report.Revocation].
const (
	RevocationUnchecked Revocation = iota // CheckRevocation is not set
	RevocationGood                        // a valid CRL covers each certificate, and none is revoked
	RevocationUnknown                     // for at least one certificate there is no CRL that could be fetched and is valid
)

// String returns "unchecked", "good", "unknown", or the number.
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

// revocation checks all certificates in the chain of a report except the root, and
// records the result in the report. It returns an error if one is revoked, if ctx
// ended, or if RequireRevocation is set and the result is not RevocationGood.
func (c *Client) revocation(ctx context.Context, report *Report, issuers []*x509.Certificate, pools []*x509.CertPool) error {
	var unknown []string
	var failures []error
	for i, cert := range report.Chain[:len(report.Chain)-1] {
		check := &crlCheck{
			cert: cert, issuer: report.Chain[i+1], now: c.now(),
			signers: func(name []byte) []*x509.Certificate {
				return c.crlSigners(ctx, name, append(issuers[:len(issuers):len(issuers)], report.Chain...), pools)
			},
		}
		err := c.revoked(ctx, check)
		switch {
		case ctx.Err() != nil && !errors.Is(err, ErrRevoked):
			return ctx.Err()
		case errors.Is(err, ErrRevoked):
			return fmt.Errorf("%w: certificate %d of the chain, serial %x", err, i+1, cert.SerialNumber)
		case err != nil:
			failures = append(failures, err)
			unknown = append(unknown, fmt.Sprintf("certificate %d of the chain: %v", i+1, err))
		}
	}
	report.Revocation = RevocationGood
	if unknown == nil {
		return nil
	}
	detail := strings.Join(unknown, "; ")
	if c.RequireRevocation {
		return &unknownRevocation{detail, mayPass(errors.Join(failures...))}
	}
	report.Revocation, report.RevocationDetail = RevocationUnknown, detail
	report.Findings = append(report.Findings, Finding{ID: "revocation-unknown", Severity: Warning, Detail: detail})
	return nil
}

// An unknownRevocation is the error of RequireRevocation.
type unknownRevocation struct {
	detail  string
	mayPass bool
}

func (u *unknownRevocation) Error() string {
	return "it is not known whether the certificate is revoked: " + u.detail
}
func (u *unknownRevocation) HRESULT() uint32 { return revocationOffline }
func (u *unknownRevocation) Retryable() bool { return u.mayPass }

func (u *unknownRevocation) Remedy() string {
	return "Check that the maker's revocation lists can be reached from this network. If the maker publishes none, do not require revocation checks."
}

// revoked returns nil if a valid CRL does not name the certificate of check, and an
// error that wraps ErrRevoked if it does. Any other error says why that is not known.
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

// crlSigners returns the certificates among certs that may sign an indirect CRL: they
// have the name, the key usage cRLSign, and lead to a root of the maker.
func (c *Client) crlSigners(ctx context.Context, name []byte, certs []*x509.Certificate, pools []*x509.CertPool) []*x509.Certificate {
	var found []*x509.Certificate
	for _, cert := range certs {
		if !bytes.Equal(cert.RawSubject, name) || cert.KeyUsage&x509.KeyUsageCRLSign == 0 {
			continue
		}
		if _, err := c.chain(ctx, &Certificate{Certificate: cert, Issuers: certs}, pools); err == nil {
			found = append(found, cert)
		}
	}
	return found
}

// A crlCheck is the question whether a CRL names cert.
type crlCheck struct {
	cert, issuer *x509.Certificate
	point        crlPoint // names the CRL
	now          time.Time
	signers      func(name []byte) []*x509.Certificate // of indirect CRLs
}

// judge checks a CRL. verdict is nil, or wraps ErrRevoked if the CRL names the
// certificate. The CRL may be kept until the time returned. err says why the CRL
// cannot be used; verdict does not count then.
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

// checkSignature checks that a CRL is signed by the issuer of the certificate, or by
// the CRL issuer that the certificate names (RFC 5280, section 4.2.1.13, cRLIssuer).
func (k *crlCheck) checkSignature(list *x509.RevocationList) error {
	if k.point.issuer == nil || bytes.Equal(k.point.issuer, k.cert.RawIssuer) {
		if !bytes.Equal(list.RawIssuer, k.cert.RawIssuer) {
			return errors.New("has another issuer")
		}
		return list.CheckSignatureFrom(k.issuer)
	}
	if !bytes.Equal(list.RawIssuer, k.point.issuer) {
		return errors.New("has another issuer than the one that the certificate names")
	}
	err := errors.New("is indirect, and no certificate of its issuer leads to a root")
	for _, signer := range k.signers(list.RawIssuer) {
		err = signer.CheckSignature(list.SignatureAlgorithm, list.RawTBSRevocationList, list.Signature)
		if err == nil {
			return nil
		}
	}
	return err
}

// checkScope checks that a CRL is current and covers the certificate.
func (k *crlCheck) checkScope(list *crl) error {
	indirect := k.point.issuer != nil && !bytes.Equal(k.point.issuer, k.cert.RawIssuer)
	switch {
	case k.now.Before(list.ThisUpdate):
		return errors.New("is not valid yet")
	case list.NextUpdate.IsZero() || k.now.After(list.NextUpdate):
		return errors.New("is out of date")
	case k.point.reasons || list.someReasons:
		return errors.New("covers only some reasons")
	case list.attributeOnly || list.userOnly && k.cert.IsCA || list.caOnly && !k.cert.IsCA:
		return errors.New("covers other kinds of certificates")
	case indirect && !list.indirect:
		return errors.New("has another issuer, and is not indirect")
	case list.names != nil && !overlap(list.names, k.point.urls):
		return errors.New("is for another distribution point")
	}
	return nil
}

// overlap reports whether a and b have an element in common.
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
