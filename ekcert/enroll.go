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
	"github.com/whiteglove/whiteglove/internal/wire"
	"github.com/whiteglove/whiteglove/scep"
)

// capability is what a CA has to name to enroll endorsement keys, and what
// makes its challenges legal.
const capability = "EndorsementKeyEnrollment"

// Enroll has the maker's CA at SCEPURL certify an endorsement key. The CA must
// name the capability EndorsementKeyEnrollment and lead to one of Roots for the
// maker; until both are known, nothing about the TPM is sent. The certificate is
// checked as Verify does, which tells more of it, and has to name the maker; its
// Issuers are its chain, root last.
//
// Errors are of type [*Error]. They wrap ErrNoEnrollment or ErrUntrustedCA if
// the CA will not do; ErrWeakKey before it is asked; ErrAtRisk, ErrRevoked, ErrUnknownManufacturer or
// ErrUnsupportedEK if it refuses the TPM; the errors of Verify if its
// certificate does not hold; else the error of [scep.Client], which checks
// first that the certificate is of the key and comes from this CA, or that of
// Activate.
func (c *Client) Enroll(ctx context.Context, req *Request) (*Certificate, error) {
	if req == nil {
		req = new(Request)
	}
	if req.Activate == nil {
		return nil, enrollError(c.SCEPURL, req.Vendor, errors.New("no function to open the challenge is given"))
	}
	ch, err := c.Begin(ctx, req)
	if err != nil {
		return nil, err
	}
	secret, err := req.Activate(ctx, ch.Blob, ch.EncryptedSecret)
	if err != nil {
		return nil, enrollError(c.SCEPURL, req.Vendor, fmt.Errorf("opening the challenge: %w", err))
	}
	return c.Complete(ctx, ch, secret)
}

// Begin does the first half of Enroll, for a TPM in another machine: it asks,
// and returns the challenge for that TPM to open. req needs no Activate.
func (c *Client) Begin(ctx context.Context, req *Request) (*Challenge, error) {
	if req == nil {
		req = new(Request)
	}
	ch, err := c.begin(ctx, req)
	if err != nil {
		return nil, enrollError(c.SCEPURL, req.Vendor, err)
	}
	return ch, nil
}

func (c *Client) begin(ctx context.Context, req *Request) (*Challenge, error) {
	if err := req.check(); err != nil {
		return nil, err
	}
	client, ca, err := c.findCA(ctx, VendorName(req.Vendor))
	if err != nil {
		return nil, err
	}
	x := challenge.Exchange{URL: c.SCEPURL, CA: ca}
	if err := x.SignAs(nil, c.now()); err != nil {
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
		return nil, fmt.Errorf("%w: it asks for no proof of the key, but answers with %v", ErrNoEnrollment, reply.Status)
	}
	if err := x.Read(reply); err != nil {
		return nil, err
	}
	return newChallenge(&x), nil
}

// Complete does the second half of Enroll: it sends the secret that was in the
// challenge, and checks and returns the certificate. Nothing is sent unless the
// CA of the challenge leads to one of c.Roots for the maker.
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

// rootsOf returns the pool that vouches for the CA of an exchange.
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
	return fmt.Errorf("%w: no root is configured for %q", ErrUntrustedCA, vendor)
}

func (c *Client) scepClient(url string, roots *x509.CertPool) *scep.Client {
	return &scep.Client{
		URL: url, Roots: roots, Challenge: capability,
		HTTPClient: c.HTTPClient, Now: c.Now, Logger: c.Logger,
	}
}

// findCA asks for the CA and checks it against each pool of roots that may
// vouch for the maker. It tells the CA nothing.
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

// checkCA checks what client.CA does not.
func checkCA(ca *scep.CA) error {
	if err := challenge.CheckRoles(ca); err != nil {
		return fmt.Errorf("%w: %w", ErrUntrustedCA, err)
	}
	return checkCaps(ca.Caps)
}

// checkCaps checks that a server names all that the profile needs.
func checkCaps(caps scep.Caps) error {
	standard := caps.Has("SCEPStandard") // RFC 8894, 3.5.2: implies the others
	switch {
	case !caps.Has(capability):
		return fmt.Errorf("%w: it does not name %s", ErrNoEnrollment, capability)
	case !standard && !caps.Has("POSTPKIOperation"):
		return fmt.Errorf("%w: it does not name POSTPKIOperation", ErrNoEnrollment)
	case !standard && !caps.Has("AES") && !caps.Has("AES128"):
		return fmt.Errorf("%w: it names neither AES nor AES128", ErrNoEnrollment)
	case !standard && !caps.Has("SHA-256"):
		return fmt.Errorf("%w: it does not name SHA-256", ErrNoEnrollment)
	}
	return nil
}

// accept checks the certificate that a CA gave.
func (c *Client) accept(ctx context.Context, x *challenge.Exchange, reply *scep.Reply, want *challenge.Subject) (*Certificate, error) {
	if reply.Status != scep.StatusSuccess || len(reply.Certificates) == 0 {
		return nil, fmt.Errorf("%w: the challenge is answered, and it says %v", ErrNoEnrollment, reply.Status)
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

// refusals are the words of the profile in failInfoText.
var refusals = []struct {
	text string
	err  error
}{
	{"tpm-at-risk", ErrAtRisk},
	{"tpm-revoked", ErrRevoked},
	{"manufacturer-unknown", ErrUnknownManufacturer},
	{"ek-unsupported", ErrUnsupportedEK},
}

// enrollError dresses err as the package's own.
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
