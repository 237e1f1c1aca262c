package aik

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/wcce"
	"github.com/whiteglove/whiteglove/internal/wire"
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

// A Request is an attestation key to be certified. EK, Chain and AIK are
// required.
type Request struct {
	// Vendor is the TCG vendor ID of the TPM, such as "INTC". If empty, it is
	// taken from the endorsement certificate.
	Vendor string

	EK    *attest.EK          // endorsement key; only its Public is used
	Chain []*x509.Certificate // its certificate, then the issuers as far as known
	AIK   *attest.Statement   // the attestation key's creation

	// Signer signs the SCEP messages and opens the replies. It is an RSA key
	// that has nothing to do with the TPM. If nil, one is made.
	Signer SignerDecrypter
}

// A SignerDecrypter is a key of both kinds, such as *rsa.PrivateKey.
type SignerDecrypter interface {
	crypto.Signer
	crypto.Decrypter
}

// A Challenge is what a CA wants opened. It is of use to Complete only once.
type Challenge struct {
	// Credential is to be opened by the TPM that holds both keys.
	Credential *attest.Credential

	// URL is the CA's, without query.
	URL string

	id      string
	client  *scep.Client
	ca      *scep.CA
	request *scep.Request
	reply   *scep.Reply
	context []byte
	key     crypto.PublicKey
	device  wcce.Device
}

// Enroll has req.AIK certified. activate opens the CA's challenge; it is
// [attest.TPM.ActivateCredential] with the keys of req. The certificate is
// returned with its issuers, root last. The error is an [*Error].
func (c *Client) Enroll(ctx context.Context, req *Request, activate func(context.Context, *attest.Credential) ([]byte, error)) ([]*x509.Certificate, error) {
	ch, err := c.Begin(ctx, req)
	if err != nil {
		return nil, err
	}
	secret, err := activate(ctx, ch.Credential)
	if err != nil {
		return nil, ch.fail("activate", err)
	}
	return c.Complete(ctx, ch, secret)
}

// Begin does the first half of Enroll: it asks, and returns the challenge.
func (c *Client) Begin(ctx context.Context, req *Request) (*Challenge, error) {
	ch := &Challenge{id: requestID()}
	p, err := prepare(req)
	if err != nil {
		return nil, ch.fail("request", fmt.Errorf("%w: %w", ErrRequest, err))
	}
	ch.key, ch.device = p.key, p.device
	if err := c.findAuthority(ctx, ch, expand(c.url(), p.vendor, req.Chain)); err != nil {
		return nil, ch.fail("authority", err)
	}
	if err := c.ask(ctx, ch, p); err != nil {
		return nil, ch.fail("enroll", err)
	}
	return ch, nil
}

// findAuthority asks the CAs at urls for their capabilities and certificates
// until one exists.
func (c *Client) findAuthority(ctx context.Context, ch *Challenge, urls []string) error {
	err := fmt.Errorf("%w: the endorsement certificate has no authority key identifier", ErrNoAuthority)
	for _, u := range urls {
		ch.client, ch.URL = c.scepClient(u, ch.id), wire.Redact(u)
		var e error
		if ch.ca, e = ch.client.CA(ctx, ""); e == nil {
			c.debug("attestation CA found", "url", ch.URL)
			return checkCaps(ch.ca.Caps)
		}
		var se *scep.Error
		if !errors.As(e, &se) || se.HTTPStatus != http.StatusNotFound {
			return e
		}
		c.debug("no attestation CA", "url", ch.URL)
		err = fmt.Errorf("%w: %w", ErrNoAuthority, e)
	}
	return err
}

func checkCaps(caps scep.Caps) error {
	if !caps.Has(capability) {
		return fmt.Errorf("%w: %s", scep.ErrCapability, capability)
	}
	return nil
}

// ask sends the request and reads the challenge.
func (c *Client) ask(ctx context.Context, ch *Challenge, p *prepared) error {
	var err error
	if ch.request, err = p.message(ch.ca, c.now()); err != nil {
		return err
	}
	if ch.reply, err = ch.client.Enroll(ctx, ch.ca, ch.request); err != nil {
		return err
	}
	if ch.reply.Status != scep.StatusChallenge {
		return fmt.Errorf("%w: %v", ErrChallenge, ch.reply.Status)
	}
	content, err := wcce.ParseChallenge(ch.reply.Content)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrChallenge, err)
	}
	tach, err := wcce.ParseTACH(content.TACH)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrChallenge, err)
	}
	ch.context = content.Context
	ch.Credential = &attest.Credential{Blob: tach.Blob, Secret: tach.Secret}
	return nil
}

// Complete does the second half of Enroll: it sends the opened secret. c should
// be as it was for Begin.
func (c *Client) Complete(ctx context.Context, ch *Challenge, secret []byte) ([]*x509.Certificate, error) {
	reply, err := answer(ctx, ch, secret)
	if err != nil {
		return nil, ch.fail("answer", err)
	}
	chain, err := c.check(ch, reply.Certificates)
	if err != nil {
		return nil, ch.fail("certificate", fmt.Errorf("%w: %w", ErrCertificate, err))
	}
	c.debug("attestation key certified", "url", ch.URL, "trust", Trust(chain[0]).String())
	return chain, nil
}

func answer(ctx context.Context, ch *Challenge, secret []byte) (*scep.Reply, error) {
	if len(secret) == 0 {
		return nil, fmt.Errorf("%w: no secret", ErrRequest)
	}
	sealed, err := cms.Encrypt(secret, ch.ca.Recipient, cms.AES128CBC)
	if err != nil {
		return nil, err
	}
	content, err := (&wcce.Answer{Secret: sealed, Context: ch.context}).Marshal()
	if err != nil {
		return nil, err
	}
	reply, err := ch.client.Answer(ctx, ch.ca, ch.request, ch.reply, content)
	if err != nil {
		return nil, err
	}
	if reply.Status != scep.StatusSuccess {
		return nil, fmt.Errorf("%w: %v to an answer", ErrChallenge, reply.Status)
	}
	return reply, nil
}

func (ch *Challenge) fail(op string, err error) error {
	e := &Error{Op: op, URL: ch.URL, Err: err}
	if ch.URL != "" {
		e.RequestID = ch.id
	}
	return e
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

// signerBits is the size of the SCEP messages' key.
const signerBits = 2048

func newSigner() (SignerDecrypter, error) { return rsa.GenerateKey(rand.Reader, signerBits) }
