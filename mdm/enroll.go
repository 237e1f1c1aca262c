package mdm

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/wire"
)

// clockSkew is how much later than the device's a server's clock may be.
const clockSkew = 10 * time.Minute

// A Request asks for the client's device to be enrolled. Token and Key are
// required.
type Request struct {
	Token Token
	Key   crypto.Signer // RSA, of the management certificate to be

	// Context has items besides those that the client's Device fills. They
	// follow those, in their order; a name may be repeated. One with the name
	// of a filled item (but DeviceID) takes its place. Attestation items are
	// left out if the discovered EnrollVersion is too low for them.
	Context []Item
}

// An Enrollment is an enrolled device. Certificates are in DER.
type Enrollment struct {
	Certificate []byte   // the management certificate, of the request's key
	Issuers     [][]byte // of Certificate: its issuer's certificate first, a root last
	Scope       string   // store of Certificate: "System" or "User"
	Server      string   // URL of the management sessions
	ProviderID  string   // name of the management provider
	Document    []byte   // provisioning document as sent, with the account's secrets: not for storing
}

// Enroll enrolls the client's device and checks what it gets: there is one
// certificate of the request's key, all certificates have the thumbprints they
// are filed under, the chain ends in a root of the document (and of c.Roots),
// and there is one management account. If p is nil it is the default policy.
func (c *Client) Enroll(ctx context.Context, d *Discovery, p *Policy, req *Request) (*Enrollment, error) {
	m, err := c.enrollMessage(d, p, req)
	if err != nil {
		return nil, &Error{Op: opEnroll, Err: err}
	}
	answer, err := c.call(ctx, opEnroll, d.EnrollURL, m, "RequestSecurityTokenResponseCollection")
	if err != nil {
		return nil, err
	}
	document, err := readResponse(answer)
	if err == nil {
		var e *Enrollment
		if e, err = c.accept(document, req.Key.Public()); err == nil {
			return e, nil
		}
	}
	return nil, &Error{Op: opEnroll, URL: wire.Redact(d.EnrollURL), HTTPStatus: http.StatusOK, Err: err}
}

func (c *Client) enrollMessage(d *Discovery, p *Policy, req *Request) (*message, error) {
	switch {
	case d == nil || d.EnrollURL == "":
		return nil, errors.New("no address of the enrollment service")
	case req == nil || req.Key == nil:
		return nil, errors.New("no key")
	case req.Token == "":
		return nil, errors.New("no token")
	case p == nil:
		p = defaultPolicy()
	}
	device := c.Device.withDefaults()
	if err := errors.Join(device.check(), device.checkID()); err != nil {
		return nil, err
	}
	items, err := device.items(req.Context, d.EnrollVersion)
	if err != nil {
		return nil, err
	}
	csr, err := certificateRequest(req.Key, p, device.ID)
	if err != nil {
		return nil, err
	}
	return &message{action: actionEnroll, token: req.Token, body: tokenRequest(csr, items)}, nil
}

// tokenRequest writes a RequestSecurityToken.
func tokenRequest(csr []byte, items []Item) string {
	return `<wst:RequestSecurityToken><wst:TokenType>` + typeToken + `</wst:TokenType>` +
		`<wst:RequestType>` + requestIssue + `</wst:RequestType>` +
		securityToken(typePKCS10, csr) + contextItems(items) + `</wst:RequestSecurityToken>`
}

// readResponse returns the provisioning document in an answer. Servers differ
// in the types they write beside it, so only the content counts.
func readResponse(collection *element) ([]byte, error) {
	responses := collection.all("RequestSecurityTokenResponse")
	if len(responses) != 1 {
		return nil, withCode(codeProvUnknown, "the answer has %d security token responses, not one", len(responses))
	}
	tokens := responses[0].at("RequestedSecurityToken").all("BinarySecurityToken")
	if len(tokens) != 1 {
		return nil, withCode(codeProvUnknown, "the answer has %d security tokens, not one", len(tokens))
	}
	document, err := decode64(tokens[0].text)
	if err != nil {
		return nil, withCode(codeProvUnknown, "the answer's security token: %w", err)
	}
	return document, nil
}

// accept checks a provisioning document as [Client.Enroll] says.
func (c *Client) accept(data []byte, key crypto.PublicKey) (*Enrollment, error) {
	document, err := parseDocument(data)
	if err != nil {
		return nil, withCode(codeProvUnknown, "%w", err)
	}
	certs, err := document.certificates()
	if err != nil {
		return nil, err
	}
	own, err := certificateOf(certs, key)
	if err != nil {
		return nil, err
	}
	chain, err := c.verify(own.Certificate, certs)
	if err != nil {
		return nil, err
	}
	account, err := document.account()
	if err != nil {
		return nil, err
	}
	e := &Enrollment{
		Certificate: own.Certificate.Raw, Scope: own.Scope,
		Server: account.Address, ProviderID: account.ProviderID, Document: data,
	}
	for _, issuer := range chain[1:] {
		e.Issuers = append(e.Issuers, issuer.Raw)
	}
	return e, nil
}

// certificateOf returns the one certificate of a key. Its place in the
// document says nothing.
func certificateOf(certs []StoredCertificate, key crypto.PublicKey) (*StoredCertificate, error) {
	var found *StoredCertificate
	for i, c := range certs {
		if c.Store != "My" || !samePublicKey(c.Certificate.PublicKey, key) {
			continue
		}
		if found != nil && !found.Certificate.Equal(c.Certificate) {
			return nil, withCode(codeProvCertNotFound, "the document has several certificates of the request's key")
		}
		found = &certs[i]
	}
	if found == nil {
		return nil, withCode(codeProvCertNotFound, "the document has no certificate of the request's key")
	}
	return found, nil
}

// verify returns the chain of a management certificate to a root of the
// document.
func (c *Client) verify(leaf *x509.Certificate, certs []StoredCertificate) ([]*x509.Certificate, error) {
	opts := x509.VerifyOptions{
		Roots:         x509.NewCertPool(),
		Intermediates: x509.NewCertPool(),
		CurrentTime:   c.checkTime(leaf),
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, s := range certs {
		switch s.Store {
		case "Root":
			opts.Roots.AddCert(s.Certificate)
		case "CA":
			opts.Intermediates.AddCert(s.Certificate)
		}
	}
	chains, err := leaf.Verify(opts)
	if err == nil && c.Roots != nil {
		opts.Roots = c.Roots
		chains, err = leaf.Verify(opts)
	}
	if err != nil {
		return nil, withCode(codeProvCertStore, "the certificate of %.80q: %w", strings.ToValidUTF8(leaf.Subject.CommonName, "?"), err)
	}
	if len(chains[0]) < 2 {
		return nil, withCode(codeProvCertStore, "the certificate of the request's key is its own root")
	}
	return chains[0], nil
}

// checkTime returns the time at which a certificate is checked: now, but not
// before the certificate begins if that is soon. The clocks of server and
// device differ a little, and the certificate is seconds old.
func (c *Client) checkTime(leaf *x509.Certificate) time.Time {
	t := now(c.Now)
	if wait := leaf.NotBefore.Sub(t); wait > 0 && wait <= clockSkew {
		return leaf.NotBefore
	}
	return t
}
