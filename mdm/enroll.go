package mdm

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// clockSkew is how much later than the device's a server's clock may be.
const clockSkew = 10 * time.Minute

// A Request asks for the client's device to be enrolled. Token and Key are
// required.
type Request struct {
	Token Credential
	Key   crypto.Signer // RSA, of the management certificate to be

	// Attestation proves that Key is of a TPM; may be nil.
	Attestation *Attestation

	// Context has items besides those that the client's Device and Attestation
	// fill. All are sent in the order of Windows, unknown ones last; a name may
	// be repeated. One with the name of a filled item (but DeviceID) takes its
	// place. Items that the discovered EnrollVersion is too low for are left
	// out.
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
	return c.issue(ctx, opEnroll, requestIssue, d, p, req)
}

// Recover is [Client.Enroll] for a device that is enrolled but has lost its
// certificate or key ([MS-MDE2] section 3.6). Windows does so only if the
// server allowed or started it (DMClient, Recovery).
func (c *Client) Recover(ctx context.Context, d *Discovery, p *Policy, req *Request) (*Enrollment, error) {
	return c.issue(ctx, opRecover, requestRecovery, d, p, req)
}

func (c *Client) issue(ctx context.Context, op, kind string, d *Discovery, p *Policy, req *Request) (*Enrollment, error) {
	m, err := c.enrollMessage(kind, d, p, req)
	if err == nil {
		err = c.authenticate(ctx, m, req.Token)
	}
	if err != nil {
		return nil, &Error{Op: op, Err: err}
	}
	return c.request(ctx, op, d.EnrollURL, m, func(document []byte) (*Enrollment, error) {
		return c.accept(document, req.Key.Public())
	})
}

// request posts a RequestSecurityToken and has the provisioning document in
// the answer judged.
func (c *Client) request(ctx context.Context, op, target string, m *message, accept func([]byte) (*Enrollment, error)) (*Enrollment, error) {
	answer, err := c.call(ctx, op, target, m, "RequestSecurityTokenResponseCollection")
	if err != nil {
		return nil, err
	}
	document, err := readResponse(answer)
	if err == nil {
		var e *Enrollment
		if e, err = accept(document); err == nil {
			return e, nil
		}
	}
	return nil, &Error{Op: op, URL: wire.Redact(target), HTTPStatus: http.StatusOK, Err: err}
}

func (c *Client) enrollMessage(kind string, d *Discovery, p *Policy, req *Request) (*message, error) {
	switch {
	case d == nil || d.EnrollURL == "":
		return nil, errors.New("no address of the enrollment service")
	case req == nil || req.Key == nil:
		return nil, errors.New("no key")
	case p == nil:
		p = defaultPolicy()
	}
	if p.AttestationFailure == failOnError && req.Attestation == nil && !slices.ContainsFunc(req.Context, func(i Item) bool { return i.Name == ItemAzureBlob }) {
		return nil, hresult.Errorf(codeKeyCreation, "the policy wants the key attested, and the request has no attestation")
	}
	extra, err := req.Attestation.items()
	if err != nil {
		return nil, err
	}
	extra = append(extra, req.Context...)
	items, err := c.items(d, extra)
	if err != nil {
		return nil, err
	}
	csr, err := certificateRequest(req.Key, p, c.Device.ID)
	if err != nil {
		return nil, err
	}
	return &message{
		action: actionEnroll, body: tokenRequest(kind, typePKCS10, csr, items),
		preprovisioning: has(extra, ItemWhiteGlove) || has(extra, itemHybrid) || has(extra, ItemSelfDeploy),
	}, nil
}

// items returns the context items of a request to d.
func (c *Client) items(d *Discovery, extra []Item) ([]Item, error) {
	if err := c.Device.Check(); err != nil {
		return nil, err
	}
	return c.Device.WithDefaults().items(extra, d.EnrollVersion)
}

// tokenRequest writes a RequestSecurityToken.
func tokenRequest(kind, valueType string, request []byte, items []Item) string {
	return `<wst:RequestSecurityToken><wst:TokenType>` + typeToken + `</wst:TokenType>` +
		`<wst:RequestType>` + kind + `</wst:RequestType>` +
		securityToken(valueType, request) + contextItems(items) + `</wst:RequestSecurityToken>`
}

// readResponse returns the provisioning document in an answer. Servers differ
// in the types they write beside it, so only the content counts.
func readResponse(collection *element) ([]byte, error) {
	responses := collection.All("RequestSecurityTokenResponse")
	if len(responses) != 1 {
		return nil, hresult.Errorf(codeProvUnknown, "the answer has %d security token responses, not one", len(responses))
	}
	if err := responses[0].Unique(); err != nil {
		return nil, hresult.Errorf(codeProvUnknown, "%w", err)
	}
	tokens := responses[0].At("RequestedSecurityToken").All("BinarySecurityToken")
	if len(tokens) != 1 {
		return nil, hresult.Errorf(codeProvUnknown, "the answer has %d security tokens, not one", len(tokens))
	}
	document, err := decode64(tokens[0].Value())
	if err != nil {
		return nil, hresult.Errorf(codeProvUnknown, "the answer's security token: %w", err)
	}
	return document, nil
}

// accept checks a provisioning document as [Client.Enroll] says.
func (c *Client) accept(data []byte, key crypto.PublicKey) (*Enrollment, error) {
	document, err := parseDocument(data)
	if err != nil {
		return nil, hresult.Errorf(codeProvUnknown, "%w", err)
	}
	e, err := c.acceptCertificates(document, key, nil)
	if err != nil {
		return nil, err
	}
	account, err := document.account()
	if err != nil {
		return nil, err
	}
	e.Server, e.ProviderID, e.Document = account.Address, account.ProviderID, data
	return e, nil
}

// acceptCertificates returns the certificate of a key and its issuers, which
// may be among those that are known already.
func (c *Client) acceptCertificates(document *Document, key crypto.PublicKey, known []StoredCertificate) (*Enrollment, error) {
	certs, err := document.certificates()
	if err != nil {
		return nil, err
	}
	own, err := certificateOf(certs, key)
	if err != nil {
		return nil, err
	}
	chain, err := c.verify(own.Certificate, append(certs, known...))
	if err != nil {
		return nil, err
	}
	e := &Enrollment{Certificate: own.Certificate.Raw, Scope: own.Scope}
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
			return nil, hresult.Errorf(codeProvCertNotFound, "the document has several certificates of the request's key")
		}
		found = &certs[i]
	}
	if found == nil {
		return nil, hresult.Errorf(codeProvCertNotFound, "the document has no certificate of the request's key")
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
		return nil, hresult.Errorf(codeProvCertStore, "the certificate of %.80q: %w", strings.ToValidUTF8(leaf.Subject.CommonName, "?"), err)
	}
	if len(chains[0]) < 2 {
		return nil, hresult.Errorf(codeProvCertStore, "the certificate of the request's key is its own root")
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
