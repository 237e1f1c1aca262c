package mdm

import (
	"context"
	"crypto"
	"crypto/x509"
	"net/http"
	"slices"
	"time"

	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// clockSkew is how far a server's clock may be ahead of the device's.
const clockSkew = 10 * time.Minute

// A Request asks a server to enroll the client's device. Credential and Key are
// required.
type Request struct {
	// Credential authenticates the request. A token of a device, which names no user,
	// needs an item in Context that tells why the device enrolls without one.
	Credential Credential

	// Key is the RSA key of the management certificate. It signs the
	// certificate request with PKCS #1 v1.5, and later the TLS handshakes of
	// sessions.
	Key crypto.Signer

	// Attestation proves that a TPM holds Key. If it is nil, nothing is proven.
	Attestation *Attestation

	// Context holds items besides those that the client makes of its Device and
	// of Attestation. If Credential is the token of a device, an enrollment (not a recovery)
	// must have one of ItemWhiteGlove, ItemHybrid, ItemSelfDeploy and ItemAzureVM,
	// true or false; [PreProvisioning] and [SelfDeploying] return what the first
	// and the third go with. An item with the name of one that is made of Device takes
	// its place, but none may be called DeviceID. A name may be repeated. All
	// items are sent in the order of Windows, and items that Windows does not
	// know follow in the order given here. Items that came with a version above
	// the EnrollVersion of the server are left out.
	Context []Item
}

// An Enrollment is the result of an enrollment, a renewal or a recovery.
type Enrollment struct {
	// Certificate is the management certificate, of the request's key.
	Certificate *x509.Certificate

	// Issuers are the certificates that lead from Certificate to a root: its
	// issuer's first, the root last.
	Issuers []*x509.Certificate

	// Scope is the store that Certificate is meant for: "System" or "User".
	Scope string

	// Server is the URL of the management sessions, ProviderID the name of the
	// management provider. A renewal may leave both empty.
	Server     string
	ProviderID string

	// Document is the provisioning document as the server sent it, see
	// [ParseDocument]. It holds the secrets of the account: store it encrypted
	// or not at all.
	Document []byte
}

// Enroll enrolls the client's device ([MS-MDE2] section 3.4): it sends a
// certificate request to d.EnrollURL and checks the provisioning document that
// comes back. The document must hold one certificate of the request's key,
// every certificate in it must have the thumbprint it is filed under, the chain
// must end in a root of the document, and in one of c.Roots if that is not nil. A
// document without roots is accepted if c.Roots is not nil. There must be one
// management account. The account's address must be of
// https, unless d.EnrollURL itself is of http. If p is nil, it is the default
// policy, see [Client.Policy].
//
// The error is an [*Error] with the operation "Enroll". It has a Fault if the
// server answered with one. It wraps the error of the key if that does not
// sign, and the error of ctx if that ended first. Its code is 0x80180027 if the
// policy does not allow the key, or asks for an attestation that req does not
// have. Nothing is sent if req.Credential is that of a device and req.Context does not
// tell why, see [Request].
func (c *Client) Enroll(ctx context.Context, d *Discovery, p *Policy, req *Request) (*Enrollment, error) {
	return c.issue(ctx, opEnroll, requestIssue, d, p, req)
}

// Recover is [Client.Enroll] for a device that is enrolled but has lost its
// certificate or its key ([MS-MDE2] section 3.6). Windows recovers only if the
// server has allowed or started it by the Recovery nodes of the DMClient
// configuration service provider. The error is as that of Enroll, with the
// operation "Recover".
func (c *Client) Recover(ctx context.Context, d *Discovery, p *Policy, req *Request) (*Enrollment, error) {
	return c.issue(ctx, opRecover, requestRecovery, d, p, req)
}

func (c *Client) issue(ctx context.Context, op, kind string, d *Discovery, p *Policy, req *Request) (*Enrollment, error) {
	m, err := c.enrollMessage(ctx, kind, d, p, req)
	if err == nil {
		err = c.authenticate(m, req.Credential)
	}
	if err == nil && kind == requestIssue {
		err = checkOccasion(req.Credential, req.Context)
	}
	if err != nil {
		return nil, &Error{Op: op, Err: err}
	}
	return c.request(ctx, op, d.EnrollURL, m, func(document []byte) (*Enrollment, error) {
		return c.accept(document, req.Key.Public(), isPlain(d.EnrollURL))
	})
}

// request posts a RequestSecurityToken and passes the provisioning document in
// the answer to accept. Its errors are *Error.
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

func (c *Client) enrollMessage(ctx context.Context, kind string, d *Discovery, p *Policy, req *Request) (*message, error) {
	switch {
	case d == nil || d.EnrollURL == "":
		return nil, misuse.Errorf("no URL of the enrollment service")
	case req == nil || req.Key == nil:
		return nil, misuse.Errorf("no management key")
	case p == nil:
		p = defaultPolicy()
	}
	if p.AttestationFailure == failOnError && req.Attestation == nil && !slices.ContainsFunc(req.Context, func(i Item) bool { return i.Name == ItemAzureBlob }) {
		return nil, hresult.Errorf(codeKeyCreation, "the policy requires a proof that a TPM holds the management key (AttestationFailureBehavior is FailOnError), "+
			"and the request has none: a key in software cannot have one; see Request.Attestation and Client.AttestAzure")
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
	csr, err := c.certificateRequest(ctx, req.Key, p)
	if err != nil {
		return nil, err
	}
	return &message{
		action: actionEnroll, body: tokenRequest(kind, typePKCS10, csr, items),
		preprovisioning: has(extra, ItemWhiteGlove) || has(extra, ItemHybrid) || has(extra, ItemSelfDeploy),
	}, nil
}

// items returns the context items of a request to the server of d.
func (c *Client) items(d *Discovery, extra []Item) ([]Item, error) {
	if err := c.Device.Check(); err != nil {
		return nil, err
	}
	return c.Device.WithDefaults().items(extra, d.EnrollVersion)
}

// tokenRequest returns a RequestSecurityToken element.
func tokenRequest(kind, valueType string, request []byte, items []Item) string {
	return `<wst:RequestSecurityToken><wst:TokenType>` + typeToken + `</wst:TokenType>` +
		`<wst:RequestType>` + kind + `</wst:RequestType>` +
		securityToken(valueType, request) + contextItems(items) + `</wst:RequestSecurityToken>`
}

// readResponse returns the provisioning document in an answer. It ignores the
// types beside it, in which servers differ.
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

// accept checks a provisioning document as [Client.Enroll] says. The account's
// address may be of http only if plain is set.
func (c *Client) accept(data []byte, key crypto.PublicKey, plain bool) (*Enrollment, error) {
	document, err := parseDocument(data)
	if err != nil {
		return nil, hresult.Errorf(codeProvUnknown, "%w", err)
	}
	e, err := c.acceptCertificates(document, key, nil)
	if err != nil {
		return nil, err
	}
	account, err := document.account(plain)
	if err != nil {
		return nil, err
	}
	e.Server, e.ProviderID, e.Document = account.Address, account.ProviderID, data
	return e, nil
}

// acceptCertificates returns the document's certificate of a key and the
// issuers of that, which may also be among the known certificates.
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
	return &Enrollment{Certificate: own.Certificate, Issuers: chain[1:], Scope: own.Scope}, nil
}

// certificateOf returns the one certificate of a key, wherever it is in the
// document.
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

// verify returns the chain from a management certificate to a root among certs.
func (c *Client) verify(leaf *x509.Certificate, certs []StoredCertificate) ([]*x509.Certificate, error) {
	opts := x509.VerifyOptions{
		Roots:         x509.NewCertPool(),
		Intermediates: x509.NewCertPool(),
		CurrentTime:   c.checkTime(leaf),
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	var issuers []*x509.Certificate
	rooted := false
	for _, s := range certs {
		issuers = append(issuers, s.Certificate)
		switch s.Store {
		case "Root":
			opts.Roots.AddCert(s.Certificate)
			rooted = true
		case "CA":
			opts.Intermediates.AddCert(s.Certificate)
		}
	}
	var chains [][]*x509.Certificate
	var err error
	if rooted || c.Roots == nil {
		chains, err = leaf.Verify(opts)
	}
	if err == nil && c.Roots != nil {
		opts.Roots = c.Roots
		chains, err = leaf.Verify(opts)
	}
	if err = wire.Dated(err, leaf, issuers, opts.CurrentTime, "the operator of the management server"); wire.DateOf(err) != nil {
		return nil, hresult.Errorf(codeProvCertStore, "%w", err)
	}
	if err != nil {
		return nil, hresult.Errorf(codeProvCertStore, "the device's certificate does not hold: %w", err)
	}
	if len(chains[0]) < 2 {
		return nil, hresult.Errorf(codeProvCertStore, "the certificate of the request's key is its own root")
	}
	return chains[0], nil
}

// checkTime returns the time at which a certificate is checked. That is now, or
// the start of its validity if that is at most clockSkew ahead: the certificate
// is seconds old, and the clocks of server and device differ a little.
func (c *Client) checkTime(leaf *x509.Certificate) time.Time {
	t := now(c.Now)
	if wait := leaf.NotBefore.Sub(t); wait > 0 && wait <= clockSkew {
		return leaf.NotBefore
	}
	return t
}
