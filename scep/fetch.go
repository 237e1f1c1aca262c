package scep

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"math/big"
	"net/http"
	"time"

	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/pkimsg"
)

// GetNextCACert asks for the certificates that the CA will use after its next
// change of keys (RFC 8894, section 4.7). They are trusted because ca signed the
// answer: they need not lead to the roots, and may not be valid yet. The result
// has the capabilities of ca. id names a CA on a server that has several; it may
// be empty.
//
// The error is an [*Error]. It has the HTTP status if that is not 200, and wraps
// [ErrCapability] if ca does not advertise GetNextCACert or the next CA has no
// RSA key to encrypt to, [ErrUntrusted] if ca did not sign the answer,
// [ErrLegacy] if it is signed with SHA-1 without AllowLegacy, [ErrMalformed] or
// [ErrAlgorithm] if it cannot be read, and the error of ctx if that ended first.
func (c *Client) GetNextCACert(ctx context.Context, ca *CA, id string) (*CA, error) {
	const op = "GetNextCACert"
	if err := new(Request).check(ca); err != nil {
		return nil, c.fail(op, err)
	}
	if !ca.Caps.Has(op) {
		return nil, c.fail(op, fmt.Errorf("%w: %q", ErrCapability, op))
	}
	answer, err := c.do(ctx, op, http.MethodGet, op, id, nil)
	if err != nil {
		return nil, err
	}
	next, err := c.openNext(ctx, ca, answer.Body)
	if err != nil {
		e := c.failed(op, answer, err)
		e.HTTPStatus = http.StatusOK
		return nil, e
	}
	return next, nil
}

// openNext checks that ca signed the answer to GetNextCACert, and returns the CA
// in it.
func (c *Client) openNext(ctx context.Context, ca *CA, body []byte) (*CA, error) {
	signed, err := cms.ParseSigned(body)
	if err != nil {
		return nil, unreadable(err)
	}
	if err := c.authenticate(ca, signed); err != nil {
		return nil, err
	}
	sent, bad, err := cms.ParseBag(signed.Content)
	if err != nil {
		return nil, unreadable(err)
	}
	for _, err := range bad {
		c.log(ctx, "certificate left out", "op", "GetNextCACert", "reason", err)
	}
	// The time of the check is when all of them have become valid.
	at := c.now()
	for _, cert := range sent {
		if cert.NotBefore.After(at) {
			at = cert.NotBefore
		}
	}
	next := &CA{Caps: ca.Caps}
	if _, err := next.trust(ctx, sent, nil, nil, at); err != nil {
		return nil, err
	}
	return next, next.choose(next.registrations(nil, true)) // the CA has signed them
}

// GetCert asks the CA for the certificate that it issued with a serial number
// (RFC 8894, section 3.3.4), and checks that the CA signed it. It may be expired
// or revoked. req needs no CSR; it says who asks, and some CAs require its
// Certificate to be one that they issued.
//
// The error is an [*Error]. If the CA refuses, it has the CA's FailInfo, such as
// [BadCertID], or an HTTP status. It wraps [ErrMismatch] if the reply does not
// have the certificate, and [ErrUntrusted] if the CA did not sign the certificate
// or the reply. Otherwise it wraps what the error of [Client.Enroll] does, such
// as the error of ctx. It wraps no sentinel if serial is nil or ca has no CA
// certificate; nothing is sent then.
func (c *Client) GetCert(ctx context.Context, ca *CA, req *Request, serial *big.Int) (*x509.Certificate, error) {
	const op = "GetCert"
	if err := req.check(ca); err != nil {
		return nil, c.fail(op, err)
	}
	issuing := ca.issuing()
	if issuing == nil || serial == nil {
		return nil, c.fail(op, fmt.Errorf("%w: no CA certificate or no serial number", errRequest))
	}
	content, err := pkimsg.IssuerAndSerial(issuing.RawSubject, serial)
	if err != nil {
		return nil, c.fail(op, fmt.Errorf("%w: %w", errRequest, err))
	}
	var found *x509.Certificate
	_, err = c.transact(ctx, ca, req, nil, message{op, pkimsg.GetCert, content, func(content []byte) error {
		certs, _, err := cms.ParseBag(content)
		if err != nil {
			return unreadable(err)
		}
		for _, cert := range certs {
			if cert.SerialNumber.Cmp(serial) != 0 || !bytes.Equal(cert.RawIssuer, issuing.RawSubject) {
				continue
			}
			if err := cert.CheckSignatureFrom(issuing); err != nil {
				return fmt.Errorf("%w: %w", ErrUntrusted, err)
			}
			found = cert
			return nil
		}
		return fmt.Errorf("%w: none of %d certificates has the serial number", ErrMismatch, len(certs))
	}})
	return found, err
}

// GetCRL asks the CA for the revocation list that covers cert (RFC 8894, section
// 3.3.5). It checks that the issuer of cert signed the list, and that the list
// has begun, within five minutes, and its next update is not past. cert must be
// issued by a CA in ca.Chain. req needs no CSR.
//
// GetCRL does not look for cert in the list; see
// [x509.RevocationList.RevokedCertificateEntries].
//
// The error is an [*Error]. If the CA refuses, it has the CA's FailInfo, such as
// [BadCertID], or an HTTP status. It wraps [ErrMismatch] if the reply has no list
// of the issuer, and [ErrUntrusted] if the issuer did not sign the list, the list
// is not current or the CA did not sign the reply. Otherwise it wraps what the
// error of [Client.Enroll] does, such as the error of ctx. It wraps no sentinel
// if no CA in ca issued cert; nothing is sent then.
func (c *Client) GetCRL(ctx context.Context, ca *CA, req *Request, cert *x509.Certificate) (*x509.RevocationList, error) {
	const op = "GetCRL"
	if err := req.check(ca); err != nil {
		return nil, c.fail(op, err)
	}
	if cert == nil {
		return nil, c.fail(op, fmt.Errorf("%w: no certificate", errRequest))
	}
	var issuer *x509.Certificate
	for _, above := range ca.Chain {
		if isCA(above) && bytes.Equal(above.RawSubject, cert.RawIssuer) && cert.CheckSignatureFrom(above) == nil {
			issuer = above
		}
	}
	if issuer == nil {
		return nil, c.fail(op, fmt.Errorf("%w: this CA did not issue the certificate", errRequest))
	}
	content, err := pkimsg.IssuerAndSerial(cert.RawIssuer, cert.SerialNumber)
	if err != nil {
		return nil, c.fail(op, fmt.Errorf("%w: %w", errRequest, err))
	}
	var found *x509.RevocationList
	_, err = c.transact(ctx, ca, req, nil, message{op, pkimsg.GetCRL, content, func(content []byte) (err error) {
		found, err = readCRL(content, issuer, c.now())
		return err
	}})
	return found, err
}

// readCRL returns the list of issuer, whose signature and validity it checks.
func readCRL(content []byte, issuer *x509.Certificate, now time.Time) (*x509.RevocationList, error) {
	lists, err := cms.ParseCRLs(content)
	if err != nil {
		return nil, unreadable(err)
	}
	for _, list := range lists {
		if !bytes.Equal(list.RawIssuer, issuer.RawSubject) {
			continue
		}
		if err := list.CheckSignatureFrom(issuer); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUntrusted, err)
		}
		if now.Add(clockSkew).Before(list.ThisUpdate) || !list.NextUpdate.IsZero() && now.After(list.NextUpdate) {
			return nil, fmt.Errorf("%w: the revocation list of %s is not current", ErrUntrusted, list.ThisUpdate.UTC().Format(time.RFC3339))
		}
		return list, nil
	}
	return nil, fmt.Errorf("%w: none of %d revocation lists is the issuer's", ErrMismatch, len(lists))
}
