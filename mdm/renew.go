package mdm

import (
	"bytes"
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/internal/mtls"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// A Renewal asks for a new management certificate in place of one that still
// is valid. Certificate and Key are required.
type Renewal struct {
	Certificate *x509.Certificate // the present one
	Key         crypto.Signer     // of Certificate, RSA: proves the device by TLS and signs the request
	Issuers     [][]byte          // of Certificate, in DER, as in Enrollment; servers need not send them again
	NewKey      crypto.Signer     // of the certificate to be; if nil, Key

	// SpecType names the request as the specification has it. Servers are
	// known that accept only the other name, which is used if it is false.
	SpecType bool

	// Token goes into the request's header. If nil, that has the device's
	// name and no password, as the specification's example: the certificate
	// is what authenticates.
	Token Credential

	Attestation *Attestation // of NewKey; may be nil
	Context     []Item       // as in Request
}

// Renew asks the service at d.EnrollURL, or at [Schedule].Server, for a new
// certificate ([MS-MDE2] section 3.5). The request is a PKCS #10 request
// signed with the present key (PKCS #7), sent over TLS that the present
// certificate authenticates; an HTTPClient whose Transport is no
// [*http.Transport] must present it by itself. What is checked is what
// [Client.Enroll] checks, but the issuers may be the present ones and the
// answer need not have an account: Server and ProviderID may be empty.
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
		asked = true // nobody can tell
	}
	e, err := own.request(ctx, opRenew, d.EnrollURL, m, func(document []byte) (*Enrollment, error) {
		e, err := own.acceptRenewal(document, r.newKey().Public(), known)
		if err == nil && bytes.Equal(e.Certificate, r.Certificate.Raw) {
			return nil, hresult.Errorf(codeProvCertNotFound, "the document has the present certificate, no new one")
		}
		return e, err
	})
	var failed *Error
	if !asked && errors.As(err, &failed) && failed.HTTPStatus != 0 && failed.Err == nil {
		failed.Err = errors.New("the server did not ask for the device's certificate")
	}
	return e, err
}

// ownTransport reports whether [mtls.Client] makes a transport of its own for c.
func (c *Client) ownTransport() bool {
	if c.HTTPClient == nil || c.HTTPClient.Transport == nil {
		return true
	}
	_, ok := c.HTTPClient.Transport.(*http.Transport)
	return ok
}

func (r *Renewal) newKey() crypto.Signer {
	if r.NewKey != nil {
		return r.NewKey
	}
	return r.Key
}

func (c *Client) renewMessage(ctx context.Context, d *Discovery, p *Policy, r *Renewal) (*message, []StoredCertificate, error) {
	switch {
	case d == nil || d.EnrollURL == "":
		return nil, nil, errors.New("no address of the enrollment service")
	case r == nil || r.Certificate == nil || r.Key == nil:
		return nil, nil, errors.New("no certificate or no key")
	case !samePublicKey(r.Certificate.PublicKey, r.Key.Public()):
		return nil, nil, errors.New("the certificate is of another key")
	case now(c.Now).After(r.Certificate.NotAfter):
		return nil, nil, hresult.Errorf(codeNotEligible, "the certificate ended at %s", r.Certificate.NotAfter.UTC().Format(time.RFC3339))
	case p == nil:
		p = defaultPolicy()
	}
	known, err := issuers(r.Issuers)
	if err != nil {
		return nil, nil, err
	}
	m, err := c.signedMessage(d, p, r)
	if err != nil {
		return nil, nil, err
	}
	with := r.Token
	if with == nil {
		with = Password{User: or(r.Certificate.Subject.CommonName, c.Device.ID)}
	}
	return m, known, c.authenticate(ctx, m, with)
}

// signedMessage writes the request, signed with the present key.
func (c *Client) signedMessage(d *Discovery, p *Policy, r *Renewal) (*message, error) {
	extra, err := r.Attestation.items()
	if err != nil {
		return nil, err
	}
	items, err := c.items(d, append(extra, r.Context...))
	if err != nil {
		return nil, err
	}
	csr, err := certificateRequest(r.newKey(), p, c.Device.ID)
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

// issuers reads certificates as those of a document: the last as a root.
func issuers(ders [][]byte) ([]StoredCertificate, error) {
	var all []StoredCertificate
	for i, der := range ders {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("issuer %d: %w", i, err)
		}
		store := "CA"
		if i == len(ders)-1 {
			store = "Root"
		}
		all = append(all, StoredCertificate{store, "System", cert})
	}
	return all, nil
}

// acceptRenewal checks a provisioning document as [Client.Renew] says.
func (c *Client) acceptRenewal(data []byte, key crypto.PublicKey, known []StoredCertificate) (*Enrollment, error) {
	document, err := parseDocument(data)
	if err != nil {
		return nil, hresult.Errorf(codeProvUnknown, "%w", err)
	}
	e, err := c.acceptCertificates(document, key, known)
	if err != nil {
		return nil, err
	}
	e.Document = data
	for _, app := range document.Find("APPLICATION") {
		a := readAccount(app)
		e.ProviderID, e.Server = or(e.ProviderID, a.ProviderID), or(e.Server, a.Address)
	}
	if e.Server == "" {
		return e, nil
	}
	if err := wire.CheckSecure(e.Server); err != nil {
		return nil, hresult.Errorf(codeProvW7, "the w7 application's address: %w", err)
	}
	return e, nil
}

// A Schedule is how a server wants a management certificate to be renewed: the
// characteristic My/WSTEP/Renew of a provisioning document.
type Schedule struct {
	Server    string        // URL; "" is that of the enrollment service
	Before    time.Duration // how long before its end to begin; 42 days if the server named none
	Retry     time.Duration // between attempts; 7 days if the server named none
	Automatic bool          // without a user (ROBO); Windows renews so whatever this says
}

// Schedule returns the document's schedule, with the defaults of the
// specification where it has none or one out of range.
func (d *Document) Schedule() Schedule {
	const day = 24 * time.Hour
	s := Schedule{Before: 42 * day, Retry: 7 * day}
	for _, c := range d.Find("CertificateStore", "My", "WSTEP", "Renew") {
		s.Server = or(s.Server, c.text("ServerURL"))
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
	if s.Server != "" && wire.CheckSecure(s.Server) != nil {
		s.Server = ""
	}
	return s
}

// days reads a number of days from 1 to 1000, or 0.
func days(s string) time.Duration {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n > 1000 {
		return 0
	}
	return time.Duration(n) * 24 * time.Hour
}
