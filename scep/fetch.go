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

// GetNextCACert asks for the certificates that the CA will have after its
// next change of keys (RFC 8894, section 4.7). That ca signed the answer is
// what they are trusted by; they need not lead to the roots, and may not be
// valid yet. The capabilities of the result are those of ca.
func (c *Client) GetNextCACert(ctx context.Context, ca *CA, id string) (*CA, error) {
	const op = "GetNextCACert"
	if !ca.Caps.Has(op) {
		return nil, c.fail(op, fmt.Errorf("%w: %q", ErrCapability, op))
	}
	body, err := c.do(ctx, op, http.MethodGet, op, id, nil)
	if err != nil {
		return nil, err
	}
	next, err := c.openNext(ctx, ca, body)
	if err != nil {
		e := c.fail(op, err)
		e.HTTPStatus = http.StatusOK
		return nil, e
	}
	return next, nil
}

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
	at := c.now()
	for _, cert := range sent {
		if cert.NotBefore.After(at) {
			at = cert.NotBefore
		}
	}
	next := &CA{Caps: ca.Caps}
	if _, err := next.trust(sent, nil, nil, at); err != nil {
		return nil, err
	}
	return next, next.choose()
}

// GetCert asks the CA for the certificate it issued with a serial number (RFC
// 8894, section 3.3.4). req says who asks; CAs may want its Certificate to be
// one of theirs. A certificate that is no longer valid is returned, too.
func (c *Client) GetCert(ctx context.Context, ca *CA, req *Request, serial *big.Int) (*x509.Certificate, error) {
	const op = "GetCert"
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
		return fmt.Errorf("%w: no certificate with the serial number among %d", ErrMismatch, len(certs))
	}})
	return found, err
}

// GetCRL asks the CA for the revocation list that says whether cert is revoked
// (RFC 8894, section 3.3.5), and checks that the certificate's issuer signed
// it and that it is the current one. cert must be issued by a CA of ca.
func (c *Client) GetCRL(ctx context.Context, ca *CA, req *Request, cert *x509.Certificate) (*x509.RevocationList, error) {
	const op = "GetCRL"
	var issuer *x509.Certificate
	for _, above := range ca.Chain {
		if isCA(above) && bytes.Equal(above.RawSubject, cert.RawIssuer) && cert.CheckSignatureFrom(above) == nil {
			issuer = above
		}
	}
	if issuer == nil {
		return nil, c.fail(op, fmt.Errorf("%w: the certificate is not one of this CA", errRequest))
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

// readCRL returns the list that issuer has signed and that is valid now.
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
			return nil, fmt.Errorf("%w: the revocation list is of %s", ErrUntrusted, list.ThisUpdate.UTC().Format(time.RFC3339))
		}
		return list, nil
	}
	return nil, fmt.Errorf("%w: no revocation list of the issuer among %d", ErrMismatch, len(lists))
}
