package ekcert

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/wcce"
	"github.com/whiteglove/whiteglove/internal/wire"
	"github.com/whiteglove/whiteglove/scep"
)

// capability is what a CA has to name to enroll endorsement keys, and what
// makes its challenges legal.
const capability = "EndorsementKeyEnrollment"

// Enroll has the maker's CA at SCEPURL certify an endorsement key. The CA must
// name the capability EndorsementKeyEnrollment and lead to one of Roots for the
// maker; until both are known, nothing about the TPM is sent. The certificate is
// checked as Verify does, against the same roots as the CA, and has to name the
// maker; its Issuers are its chain, root last.
//
// Errors are of type [*Error]. They wrap ErrNoEnrollment or ErrUntrustedCA if
// the CA will not do; ErrAtRisk, ErrRevoked, ErrUnknownManufacturer or
// ErrUnsupportedEK if it refuses the TPM; the errors of Verify if its
// certificate does not hold; else the error of [scep.Client], which checks
// first that the certificate is of the key and comes from this CA, or that of
// Activate.
func (c *Client) Enroll(ctx context.Context, e *Enrollment) (*Certificate, error) {
	if e.Activate == nil {
		return nil, c.enrollError(e, errors.New("no function to open the challenge is given"))
	}
	ch, err := c.Begin(ctx, e)
	if err != nil {
		return nil, err
	}
	secret, err := e.Activate(ctx, ch.Blob, ch.Secret)
	if err != nil {
		return nil, c.enrollError(e, fmt.Errorf("opening the challenge: %w", err))
	}
	return c.Complete(ctx, ch, secret)
}

// A Challenge is what a CA wants opened before it certifies an endorsement key.
// It is good for Complete once, and for as long as the CA waits.
type Challenge struct {
	Blob   []byte // TPM2B_ID_OBJECT without its size
	Secret []byte // TPM2B_ENCRYPTED_SECRET without its size

	e       *Enrollment
	client  *scep.Client
	ca      *scep.CA
	req     *scep.Request
	reply   *scep.Reply
	context []byte
}

// Begin does the first half of Enroll, for a TPM in another machine: it asks,
// and returns the challenge for that TPM to open. e needs no Activate.
func (c *Client) Begin(ctx context.Context, e *Enrollment) (*Challenge, error) {
	ch, err := c.begin(ctx, e)
	if err != nil {
		return nil, c.enrollError(e, err)
	}
	return ch, nil
}

func (c *Client) begin(ctx context.Context, e *Enrollment) (*Challenge, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	client, ca, err := c.findCA(ctx, VendorName(e.Vendor))
	if err != nil {
		return nil, err
	}
	csr, err := e.csr(ca.Recipient)
	if err != nil {
		return nil, err
	}
	signer, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	own := *e
	ch := &Challenge{e: &own, client: client, ca: ca, req: &scep.Request{CSR: csr, Signer: signer}}
	ch.reply, err = client.Enroll(ctx, ca, ch.req)
	if err != nil {
		return nil, err
	}
	if ch.reply.Status != scep.StatusChallenge {
		return nil, fmt.Errorf("%w: it asks for no proof of the key, but answers with %v", ErrNoEnrollment, ch.reply.Status)
	}
	return ch, ch.read(ch.reply.Content)
}

// read takes the parts of the challenge out of a reply's content.
func (ch *Challenge) read(content []byte) error {
	parts, err := wcce.ParseChallenge(content)
	if err != nil {
		return err
	}
	tach, err := wcce.ParseTACH(parts.TACH)
	if err != nil {
		return err
	}
	ch.Blob, ch.Secret, ch.context = tach.Blob, tach.Secret, parts.Context
	return nil
}

// Complete does the second half of Enroll: it sends the secret that was in the
// challenge, and checks and returns the certificate.
func (c *Client) Complete(ctx context.Context, ch *Challenge, secret []byte) (*Certificate, error) {
	cert, err := c.complete(ctx, ch, secret)
	if err != nil {
		return nil, c.enrollError(ch.e, err)
	}
	return cert, nil
}

func (c *Client) complete(ctx context.Context, ch *Challenge, secret []byte) (*Certificate, error) {
	if ch.client == nil {
		return nil, errors.New("the challenge is not one of Begin")
	}
	sealed, err := cms.Encrypt(secret, ch.ca.Recipient, cms.AES128CBC)
	if err != nil {
		return nil, err
	}
	content, err := (&wcce.Answer{Secret: sealed, Context: ch.context}).Marshal()
	if err != nil {
		return nil, err
	}
	reply, err := ch.client.Answer(ctx, ch.ca, ch.req, ch.reply, content)
	if err != nil {
		return nil, err
	}
	return c.accept(ch.client.Roots, ch.ca, reply, ch.e)
}

// findCA asks for the CA and checks it against each pool of roots that may
// vouch for the maker. It tells the CA nothing.
func (c *Client) findCA(ctx context.Context, vendor string) (*scep.Client, *scep.CA, error) {
	err := fmt.Errorf("%w: no root is configured for %q", ErrUntrustedCA, vendor)
	for _, roots := range c.Roots.of(vendor) {
		client := &scep.Client{
			URL: c.SCEPURL, Roots: roots, Challenge: capability,
			HTTPClient: c.HTTPClient, Now: c.Now, Logger: c.Logger,
		}
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

// checkCA checks what client.CA does not: the capabilities, and that those who
// will read and sign messages are not mere endorsement keys under the same root.
func checkCA(ca *scep.CA) error {
	for _, cert := range []*x509.Certificate{ca.Recipient, ca.Signer} {
		if !cert.IsCA && slices.ContainsFunc(cert.UnknownExtKeyUsage, wcce.OIDKeyPurposeEK.Equal) {
			return fmt.Errorf("%w: certificate %v is an endorsement key's", ErrUntrustedCA, cert.SerialNumber)
		}
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
func (c *Client) accept(roots *x509.CertPool, ca *scep.CA, reply *scep.Reply, e *Enrollment) (*Certificate, error) {
	if reply.Status != scep.StatusSuccess || len(reply.Certificates) == 0 {
		return nil, fmt.Errorf("%w: the challenge is answered, and it says %v", ErrNoEnrollment, reply.Status)
	}
	cert := newCertificate(reply.Certificates[0])
	cert.Issuers = append(cert.Issuers, reply.Certificates[1:]...)
	cert.Origin = wire.Redact(c.SCEPURL)
	if err := checkKey(cert.Certificate, e.EK); err != nil {
		return nil, err
	}
	if got, want := cert.Vendor(), VendorName(e.Vendor); got != want {
		return nil, fmt.Errorf("%w: it names %q instead of %q", ErrUntrusted, got, want)
	}
	whole := *cert
	whole.Issuers = append(append([]*x509.Certificate(nil), cert.Issuers...), ca.Chain...)
	chain, err := c.chain(&whole, []*x509.CertPool{roots})
	if err != nil {
		return nil, err
	}
	cert.Issuers = chain[1:]
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
func (c *Client) enrollError(e *Enrollment, err error) *Error {
	out := &Error{Op: "enroll", Origin: wire.Redact(c.SCEPURL), Err: err}
	if e != nil {
		out.Vendor = VendorName(e.Vendor)
	}
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
