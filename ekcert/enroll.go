package ekcert

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/whiteglove/whiteglove/internal/challenge"
	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/internal/wire"
	"github.com/whiteglove/whiteglove/scep"
)

// capability is the capability that a CA must advertise to enroll endorsement keys
// and to send challenges.
const capability = "EndorsementKeyEnrollment"

// Enroll requests a certificate for an endorsement key from the maker's CA at
// SCEPURL. The CA must advertise the capability EndorsementKeyEnrollment and lead to
// a root in Roots for the maker; nothing about the TPM is sent before both are
// checked. The certificate is verified as by [Client.Verify] and must name the maker.
// Its Issuers are the rest of its chain, root last.
//
// The error is an [*Error]. It wraps
//   - [ErrWeakKey], if the key is weak; nothing is sent then
//   - [ErrNoEnrollment] or [ErrUntrustedCA], if the CA does not offer the enrollment
//     or cannot be trusted
//   - [ErrAtRisk], [ErrRevoked], [ErrUnknownManufacturer] or [ErrUnsupportedEK], if
//     the CA refuses the TPM
//   - an error of Verify, if the certificate does not pass
//   - the [*scep.Error] of another failure of the exchange; that the certificate is
//     for another key or by another CA shows as [scep.ErrMismatch] or
//     [scep.ErrUntrusted]
//   - the error of req.Activate
//   - the error of ctx, if that ended first
//
// Otherwise it says which field of req is missing or wrong.
func (c *Client) Enroll(ctx context.Context, req *Request) (*Certificate, error) {
	if req == nil {
		req = new(Request)
	}
	if req.Activate == nil {
		return nil, enrollError("", req.Vendor, misuse.Errorf("no function to decrypt the challenge is given"))
	}
	ch, err := c.Begin(ctx, req)
	if err != nil {
		return nil, err
	}
	secret, err := req.Activate(ctx, ch.Blob, ch.EncryptedSecret)
	if err == nil && len(secret) == 0 {
		err = misuse.Neither("Request.Activate", "a secret")
	}
	if err != nil {
		return nil, enrollError(c.SCEPURL, req.Vendor, fmt.Errorf("decrypting the challenge: %w", misuse.Of("Request.Activate", err)))
	}
	return c.Complete(ctx, ch, secret)
}

// Begin does the first half of Enroll, for a TPM in another machine: it sends the
// request and returns the challenge for that TPM to decrypt. req needs no Activate.
// The error is an [*Error] as that of [Client.Enroll].
func (c *Client) Begin(ctx context.Context, req *Request) (*Challenge, error) {
	if req == nil {
		req = new(Request)
	}
	if err := req.check(); err != nil {
		return nil, enrollError("", req.Vendor, err)
	}
	if vendor := VendorName(req.Vendor); len(c.Roots.of(vendor)) == 0 {
		return nil, enrollError("", req.Vendor, noRoot(vendor))
	}
	ch, err := c.begin(ctx, req)
	if err != nil {
		return nil, enrollError(c.SCEPURL, req.Vendor, err)
	}
	return ch, nil
}

func (c *Client) begin(ctx context.Context, req *Request) (*Challenge, error) {
	signer := challenge.StartSigner(nil) // while the CA is asked
	client, ca, err := c.findCA(ctx, VendorName(req.Vendor))
	if err != nil {
		return nil, err
	}
	x := challenge.Exchange{URL: c.SCEPURL, CA: ca}
	key, err := signer()
	if err != nil {
		return nil, err
	}
	if err := x.SignAs(key, c.now()); err != nil {
		return nil, err
	}
	if x.CSR, err = req.csr(ca.Recipient); err != nil {
		return nil, err
	}
	reply, err := client.Enroll(ctx, ca, x.Request())
	if err != nil {
		return nil, err
	}
	if reply.Status != scep.StatusChallenge {
		return nil, fmt.Errorf("%w: it replies with %v instead of a challenge", ErrNoEnrollment, reply.Status)
	}
	if err := x.Read(reply); err != nil {
		return nil, err
	}
	return newChallenge(&x), nil
}

// Complete does the second half of Enroll: it sends the secret that the TPM decrypted,
// and verifies and returns the certificate. Nothing is sent unless the CA of the
// challenge leads to a root in c.Roots for the maker. It uses the URL in the challenge,
// not SCEPURL.
//
// The error is an [*Error]. It wraps [ErrUntrustedCA] or [ErrNoEnrollment] if the CA in
// the challenge cannot be used, and otherwise what that of [Client.Enroll] does. It
// wraps none of these if Begin did not make ch.
func (c *Client) Complete(ctx context.Context, ch *Challenge, secret []byte) (*Certificate, error) {
	if ch == nil || ch.x.CA == nil {
		return nil, enrollError("", "", errNotBegun)
	}
	want, err := challenge.Requested(ch.x.CSR)
	if err != nil {
		return nil, enrollError(ch.x.URL, "", err)
	}
	cert, err := c.complete(ctx, ch, want, secret)
	if err != nil {
		return nil, enrollError(ch.x.URL, want.Device.Manufacturer, err)
	}
	return cert, nil
}

func (c *Client) complete(ctx context.Context, ch *Challenge, want *challenge.Subject, secret []byte) (*Certificate, error) {
	roots, err := c.rootsOf(&ch.x, VendorName(want.Device.Manufacturer))
	if err != nil {
		return nil, err
	}
	reply, err := ch.x.Answer(ctx, c.scepClient(ch.x.URL, roots), secret)
	if err != nil {
		return nil, err
	}
	return c.accept(ctx, &ch.x, reply, want)
}

// rootsOf returns the pool of Roots for a maker to which the CA of an exchange leads.
func (c *Client) rootsOf(x *challenge.Exchange, vendor string) (*x509.CertPool, error) {
	err := noRoot(vendor)
	for _, roots := range c.Roots.of(vendor) {
		if err = x.CheckTrust(roots, c.now()); err == nil {
			return roots, checkCA(x.CA)
		}
		err = fmt.Errorf("%w: %w", ErrUntrustedCA, err)
	}
	return nil, err
}

func noRoot(vendor string) error {
	return fmt.Errorf("%w: %w for %q", ErrUntrustedCA, errNoRoot, vendor)
}

// scepClient returns a client of the SCEP server at url.
func (c *Client) scepClient(url string, roots *x509.CertPool) *scep.Client {
	return &scep.Client{
		URL: url, Roots: roots, Challenge: capability,
		HTTPClient: c.HTTPClient, Now: c.Now, Logger: c.Logger,
	}
}

// findCA gets the CA and checks it against each pool of Roots for a maker. It sends
// nothing about the TPM.
func (c *Client) findCA(ctx context.Context, vendor string) (*scep.Client, *scep.CA, error) {
	err := noRoot(vendor)
	for _, roots := range c.Roots.of(vendor) {
		client := c.scepClient(c.SCEPURL, roots)
		var ca *scep.CA
		ca, err = client.CA(ctx, "")
		switch {
		case err == nil:
			return client, ca, checkCA(ca)
		case isNotFound(err):
			return nil, nil, fmt.Errorf("%w: %w", ErrNoEnrollment, err)
		case !errors.Is(err, scep.ErrUntrusted):
			return nil, nil, err
		}
		err = fmt.Errorf("%w: %w", ErrUntrustedCA, err)
	}
	return nil, nil, err
}

func isNotFound(err error) bool {
	var se *scep.Error
	return errors.As(err, &se) && se.HTTPStatus == http.StatusNotFound
}

// checkCA checks what [scep.Client.CA] does not.
func checkCA(ca *scep.CA) error {
	if err := challenge.CheckRoles(ca); err != nil {
		return fmt.Errorf("%w: %w", ErrUntrustedCA, err)
	}
	return checkCaps(ca.Caps)
}

// checkCaps checks that a server advertises all that the profile needs.
func checkCaps(caps scep.Caps) error {
	standard := caps.Has("SCEPStandard") // implies the others: RFC 8894, section 3.5.2
	switch {
	case !caps.Has(capability):
		return fmt.Errorf("%w: it does not advertise %s", ErrNoEnrollment, capability)
	case !standard && !caps.Has("POSTPKIOperation"):
		return fmt.Errorf("%w: it does not advertise POSTPKIOperation", ErrNoEnrollment)
	case !standard && !caps.Has("AES") && !caps.Has("AES128"):
		return fmt.Errorf("%w: it advertises neither AES nor AES128", ErrNoEnrollment)
	case !standard && !caps.Has("SHA-256"):
		return fmt.Errorf("%w: it does not advertise SHA-256", ErrNoEnrollment)
	}
	return nil
}

// accept verifies the certificate in the CA's last reply.
func (c *Client) accept(ctx context.Context, x *challenge.Exchange, reply *scep.Reply, want *challenge.Subject) (*Certificate, error) {
	if reply.Status != scep.StatusSuccess {
		return nil, fmt.Errorf("%w: it replies to the answer with %v", ErrNoEnrollment, reply.Status)
	}
	cert := newCertificate(reply.Certificates[0])
	cert.Issuers = slices.Concat(reply.Certificates[1:], x.CA.Chain)
	cert.Origin = wire.Redact(x.URL)
	if got, want := cert.Vendor(), VendorName(want.Device.Manufacturer); got != want {
		return nil, fmt.Errorf("%w: it names %q instead of %q", ErrUntrusted, got, want)
	}
	report, err := c.verify(ctx, cert, want.Key)
	if err != nil {
		return nil, err
	}
	cert.Issuers = report.Chain[1:]
	return cert, nil
}

// refusals are the words with which the profile begins a failInfoText.
var refusals = []struct {
	text string
	err  error
}{
	{"tpm-at-risk", ErrAtRisk},
	{"tpm-revoked", ErrRevoked},
	{"manufacturer-unknown", ErrUnknownManufacturer},
	{"ek-unsupported", ErrUnsupportedEK},
}

// enrollError returns the Error of an enrollment with the cause err.
func enrollError(url, vendor string, err error) *Error {
	out := &Error{Op: "enroll", Origin: wire.Redact(url), Vendor: VendorName(vendor), Err: err}
	var se *scep.Error
	if !errors.As(err, &se) {
		return out
	}
	out.HTTPStatus, out.Message = se.HTTPStatus, se.Message
	for _, r := range refusals {
		if word, _, _ := strings.Cut(se.Message, ":"); se.FailInfo == scep.BadRequest && word == r.text {
			out.Err = fmt.Errorf("%w: %w", r.err, err)
		}
	}
	return out
}
