package aik

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/internal/challenge"
	"github.com/whiteglove/whiteglove/scep"
)

// capability is what a CA must name to be sent an attestation key.
const capability = "IdentityKeyAttestation"

// A Client has keys certified. Its zero value talks to the CA that Windows uses
// for the TPM at hand. It keeps nothing between calls and may be used by
// several goroutines.
type Client struct {
	// URL is the CA's, without a query. "{authority}" in it stands for the
	// name of the authority, such as "INTC-KeyId-" and 40 hexadecimal digits;
	// the candidates, see [URLs], are tried in turn until one is not answered
	// by 404. If empty, it is that of Windows's CA.
	URL string

	Roots       *x509.CertPool   // see [scep.Client]
	AllowLegacy bool             // see [scep.Client]
	Header      http.Header      // replaces headers that are sent by default; may be nil
	HTTPClient  *http.Client     // if nil, http.DefaultClient
	Now         func() time.Time // if nil, time.Now
	Logger      *slog.Logger     // if nil, nothing is logged
}

// A Request is an attestation key to be certified. EK, EKChain, and either
// AIKCreation or MakeAIK are required; for [Client.Enroll] Activate is, too.
type Request struct {
	// Vendor is the TCG vendor ID of the TPM, such as "INTC". If empty, it is
	// taken from the endorsement certificate.
	Vendor string

	EK      crypto.PublicKey    // endorsement key, an *[rsa.PublicKey] or *[ecdsa.PublicKey]
	EKChain []*x509.Certificate // its certificate, which names the TPM, if in part, then the issuers as far as known

	// AIKCreation is the attestation key's statement on its own creation, as
	// [attest.Key.Creation] returns it.
	AIKCreation *attest.Statement

	// MakeAIK makes the attestation key and returns its creation. It is called
	// once, while the CA is looked up, so that neither waits for the other; if
	// the CA is not found, its context is canceled. What it made remains the
	// caller's, to be used when he tries again.
	MakeAIK func(context.Context) (*attest.Statement, error)

	// Activate opens the CA's challenge (TPM2_ActivateCredential) with the
	// endorsement key for the attestation key, and returns the secret. blob is
	// the contents of a TPM2B_ID_OBJECT and encryptedSecret those of a
	// TPM2B_ENCRYPTED_SECRET, without their size prefixes.
	// [attest.TPM.Activator] returns such a function. Begin does not use it.
	Activate func(ctx context.Context, blob, encryptedSecret []byte) ([]byte, error)

	// Signer signs the SCEP messages and opens the replies. It is an RSA key
	// that has nothing to do with the TPM. If nil, one is made.
	Signer SignerDecrypter
}

// Enroll has the attestation key certified. The certificate is returned with its
// issuers, root last. The error is an [*Error].
func (c *Client) Enroll(ctx context.Context, req *Request) ([]*x509.Certificate, error) {
	if req != nil && req.Activate == nil {
		return nil, new(Challenge).fail("request", fmt.Errorf("%w: no function to open the challenge is given", ErrRequest))
	}
	ch, err := c.Begin(ctx, req)
	if err != nil {
		return nil, err
	}
	secret, err := req.Activate(ctx, ch.Credential.Blob, ch.Credential.EncryptedSecret)
	if err != nil {
		return nil, ch.fail("activate", err)
	}
	return c.Complete(ctx, ch, secret)
}

// Begin does the first half of Enroll: it asks, and returns the challenge.
func (c *Client) Begin(ctx context.Context, req *Request) (*Challenge, error) {
	ch := &Challenge{x: challenge.Exchange{RequestID: requestID()}}
	p, err := prepare(req)
	if err != nil {
		return nil, ch.fail("request", fmt.Errorf("%w: %w", ErrRequest, err))
	}
	urls := expand(c.url(), p.vendor, req.EKChain)
	if len(urls) == 0 {
		return nil, ch.fail("authority", fmt.Errorf("%w: the endorsement certificate has no authority key identifier", ErrNoAuthority))
	}
	find := func(ctx context.Context) *Error { return failed("authority", c.findAuthority(ctx, ch, urls)) }
	if e := inParallel(ctx, find, p.makeKey); e != nil {
		return nil, ch.fail(e.Op, e.Err)
	}
	if err := c.ask(ctx, ch, p); err != nil {
		return nil, ch.fail("enroll", err)
	}
	return ch, nil
}

// ask sends the request and reads the challenge.
func (c *Client) ask(ctx context.Context, ch *Challenge, p *prepared) error {
	req, err := p.message(&ch.x, c.now())
	if err != nil {
		return err
	}
	reply, err := c.scepClient(ch.x.URL, ch.x.RequestID).Enroll(ctx, ch.x.CA, req)
	if err != nil {
		return err
	}
	if reply.Status != scep.StatusChallenge {
		return fmt.Errorf("%w: %v", ErrChallenge, reply.Status)
	}
	if err := ch.x.Read(reply); err != nil {
		return fmt.Errorf("%w: %w", ErrChallenge, err)
	}
	ch.Signer = ch.x.Signer
	ch.show()
	return nil
}

func (c *Client) url() string {
	if c.URL == "" {
		return windowsURL
	}
	return c.URL
}

func (c *Client) now() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}

func (c *Client) debug(msg string, args ...any) {
	if c.Logger != nil {
		c.Logger.Debug("aik: "+msg, args...)
	}
}

// userAgent is a form that the service has been seen to accept.
const userAgent = "Mozilla/4.0 (compatible; Win32; NDES client 10.0.19041.1/vb_release)"

func (c *Client) scepClient(url, id string) *scep.Client {
	header := http.Header{
		"Cache-Control":          {"no-cache"},
		"Pragma":                 {"no-cache"},
		"User-Agent":             {userAgent},
		"X-Ms-Client-Request-Id": {id},
	}
	for name, values := range c.Header {
		header[http.CanonicalHeaderKey(name)] = values
	}
	return &scep.Client{
		URL: url, Roots: c.Roots, Challenge: capability, AllowLegacy: c.AllowLegacy,
		Header: header, HTTPClient: c.HTTPClient, Now: c.Now, Logger: c.Logger,
	}
}

// requestID returns a random UUID (RFC 9562, version 4).
func requestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
