package mdm

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/internal/mtls"
)

// A Renewal asks for a new management certificate in place of one that is still
// valid. Certificate and Key are required.
type Renewal struct {
	// Certificate is the present management certificate.
	Certificate *x509.Certificate

	// Key is the RSA key of Certificate. It signs the TLS handshake and the
	// request.
	Key crypto.Signer

	// Issuers are the certificates that lead from Certificate to a root, as in
	// Enrollment. The new certificate may lead to them, because servers need not
	// send them again.
	Issuers []*x509.Certificate

	// NewKey is the RSA key of the new certificate. If it is nil, it is Key.
	NewKey crypto.Signer

	// SpecType selects the name of the request's type (ValueType) in the
	// specification. If it is false, the request has the name that public
	// servers insist on.
	SpecType bool

	// Credential goes into the request's header. If it is nil, the header has the
	// device's name and an empty password, as in the example of the
	// specification, because the certificate authenticates the request.
	Credential Credential

	// Attestation proves that a TPM holds NewKey. If it is nil, nothing is
	// proven.
	Attestation *Attestation

	// Context is as in [Request].
	Context []Item
}

// Renew asks the service at d.EnrollURL for a new certificate ([MS-MDE2]
// section 3.5); a server may want another URL for it, see [Schedule]. The
// request is a PKCS #10 request in a PKCS #7 message signed with the present
// key. It is sent over TLS that the present certificate authenticates. If the
// Transport of c.HTTPClient is neither nil nor an [*http.Transport], it must
// present the certificate by itself.
//
// Renew checks what [Client.Enroll] checks, except that the issuers may be the
// present ones and that the answer need not have an account, or only a part of
// one, which need not have an APPID: Server and ProviderID of the Enrollment may
// be empty. The certificate must be a new one.
//
// The error is as that of [Client.Enroll], with the operation "Renew". Its code
// is 0x80180016 if the present certificate has ended: the device must then
// enroll again.
func (c *Client) Renew(ctx context.Context, d *Discovery, p *Policy, r *Renewal) (*Enrollment, error) {
	m, known, err := c.renewMessage(ctx, d, p, r)
	if err != nil {
		return nil, &Error{Op: opRenew, Err: err}
	}
	var asked bool
	own := *c
	own.HTTPClient, err = mtls.Client(c.HTTPClient, func(base *tls.Config) (*tls.Config, error) {
		return mtls.Config(base, r.Certificate, r.Issuers, r.Key, func() { asked = true })
	})
	if err != nil {
		return nil, &Error{Op: opRenew, Err: err}
	}
	if c.ownTransport() {
		defer own.HTTPClient.CloseIdleConnections()
	} else {
		asked = true // the transport does not tell
	}
	e, err := own.request(ctx, opRenew, d.EnrollURL, m, func(document []byte) (*Enrollment, error) {
		e, err := own.acceptRenewal(document, r.newKey().Public(), known, isPlain(d.EnrollURL))
		if err == nil && e.Certificate.Equal(r.Certificate) {
			return nil, hresult.Errorf(codeProvCertNotFound, "the document has the present certificate and not a new one")
		}
		return e, err
	})
	var failed *Error
	if !asked && errors.As(err, &failed) && failed.HTTPStatus != 0 && failed.Err == nil {
		failed.Err = errors.New("the server did not ask for the device's certificate")
	}
	return e, err
}

// ownTransport reports whether [mtls.Client] makes a transport of its own for
// c.
func (c *Client) ownTransport() bool {
	if c.HTTPClient == nil || c.HTTPClient.Transport == nil {
		return true
	}
	_, ok := c.HTTPClient.Transport.(*http.Transport)
	return ok
}

// newKey returns the key of the new certificate.
func (r *Renewal) newKey() crypto.Signer {
	if r.NewKey != nil {
		return r.NewKey
	}
	return r.Key
}

// renewMessage returns the request with its credential, and the present
// issuers.
func (c *Client) renewMessage(ctx context.Context, d *Discovery, p *Policy, r *Renewal) (*message, []StoredCertificate, error) {
	switch {
	case d == nil || d.EnrollURL == "":
		return nil, nil, misuse.Errorf("no URL of the enrollment service")
	case r == nil || r.Certificate == nil || r.Key == nil:
		return nil, nil, misuse.Errorf("no certificate or no key")
	case !samePublicKey(r.Certificate.PublicKey, r.Key.Public()):
		return nil, nil, misuse.Errorf("the certificate is for another key")
	case now(c.Now).After(r.Certificate.NotAfter):
		return nil, nil, hresult.Errorf(codeNotEligible, "the certificate expired at %s", r.Certificate.NotAfter.UTC().Format(time.RFC3339))
	case p == nil:
		p = defaultPolicy()
	}
	known, err := issuers(r.Issuers)
	if err != nil {
		return nil, nil, err
	}
	m, err := c.signedMessage(ctx, d, p, r)
	if err != nil {
		return nil, nil, err
	}
	with := r.Credential
	if with == nil {
		with = Password{User: or(r.Certificate.Subject.CommonName, c.Device.WithDefaults().ID)}
	}
	return m, known, c.authenticate(m, with)
}

// signedMessage returns the request, signed with the present key.
func (c *Client) signedMessage(ctx context.Context, d *Discovery, p *Policy, r *Renewal) (*message, error) {
	extra, err := r.Attestation.items()
	if err != nil {
		return nil, err
	}
	items, err := c.items(d, append(extra, r.Context...))
	if err != nil {
		return nil, err
	}
	csr, err := c.certificateRequest(ctx, r.newKey(), p)
	if err != nil {
		return nil, err
	}
	signed, err := cms.Sign(&cms.Message{Content: csr, Certificate: r.Certificate}, r.Key)
	if err != nil {
		return nil, fmt.Errorf("signing the request: %w", err)
	}
	valueType := typePKCS7
	if r.SpecType {
		valueType = typePKCS7Spec
	}
	return &message{action: actionEnroll, body: tokenRequest(requestRenew, valueType, signed, items)}, nil
}

// issuers returns certificates as if they came from a document, the last as a
// root.
func issuers(certs []*x509.Certificate) ([]StoredCertificate, error) {
	var all []StoredCertificate
	for i, cert := range certs {
		if cert == nil {
			return nil, misuse.Errorf("issuer %d is nil", i)
		}
		store := "CA"
		if i == len(certs)-1 {
			store = "Root"
		}
		all = append(all, StoredCertificate{store, "System", cert})
	}
	return all, nil
}

// acceptRenewal checks a provisioning document as [Client.Renew] says. The
// account may be incomplete. Its address may be of http only if plain is set.
func (c *Client) acceptRenewal(data []byte, key crypto.PublicKey, known []StoredCertificate, plain bool) (*Enrollment, error) {
	document, err := parseDocument(data)
	if err != nil {
		return nil, hresult.Errorf(codeProvUnknown, "%w", err)
	}
	e, err := c.acceptCertificates(document, key, known)
	if err != nil {
		return nil, err
	}
	e.Document = data
	app, err := document.application(func(id string) bool { return id == "" || strings.EqualFold(id, "w7") })
	if err != nil {
		return nil, err
	}
	if app == nil {
		return e, nil
	}
	account, err := readAccount(app)
	if err != nil {
		return nil, hresult.Errorf(codeProvW7, "%w", err)
	}
	e.ProviderID, e.Server = account.ProviderID, account.Address
	if e.Server == "" {
		return e, nil
	}
	if err := checkService(e.Server, plain); err != nil {
		return nil, hresult.Errorf(codeProvW7, "the w7 application's address: %w", err)
	}
	return e, nil
}

// A Schedule tells how a server wants a management certificate to be renewed:
// it is the characteristic CertificateStore/My/WSTEP/Renew of a provisioning
// document ([MS-MDE2] section 2.2.9).
type Schedule struct {
	// Server is the URL to renew at (ServerURL). If it is empty, it is that of
	// the enrollment service.
	Server string

	// Before is how long before the certificate's end the renewal begins
	// (RenewPeriod): 1 to 1000 days, 42 if the server does not say.
	Before time.Duration

	// Retry is the time between two attempts (RetryInterval): at most Before, 7
	// days if the server does not say.
	Retry time.Duration

	// Automatic reports whether the renewal needs no user (ROBOSupport).
	// Windows ignores it and renews without one.
	Automatic bool
}

// Schedule returns the document's schedule. Values that are missing or out of
// range have the defaults of the specification. A Server is left empty if there
// are two, if it is neither https nor http on the loopback interface, or if it
// has a user or a fragment in it.
func (d *Document) Schedule() Schedule {
	const day = 24 * time.Hour
	s, twice := Schedule{Before: 42 * day, Retry: 7 * day}, false
	for _, c := range d.Find("CertificateStore", "My", "WSTEP", "Renew") {
		server := c.text("ServerURL")
		twice = twice || c.sole("ServerURL") != nil || s.Server != "" && server != "" && s.Server != server
		s.Server = or(s.Server, server)
		if n := days(or(c.text("RenewPeriod"), c.text("RenewalPeriod"))); n > 0 {
			s.Before = n
		}
		if n := days(c.text("RetryInterval")); n > 0 && n <= s.Before {
			s.Retry = n
		}
		automatic, err := strconv.ParseBool(c.text("ROBOSupport"))
		s.Automatic = err == nil && automatic
	}
	s.Retry = min(s.Retry, s.Before)
	if twice || checkService(s.Server, true) != nil {
		s.Server = ""
	}
	return s
}

// days reads a number of days from 1 to 1000. It returns 0 if s is none.
func days(s string) time.Duration {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n > 1000 {
		return 0
	}
	return time.Duration(n) * 24 * time.Hour
}
