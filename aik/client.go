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
	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/scep"
)

// capability is the SCEP capability that a CA must offer.
const capability = "IdentityKeyAttestation"

// A Client requests certificates from an attestation CA. Its zero value uses the CA
// that Windows uses for the TPM in question. A Client keeps nothing between calls and
// may be used by several goroutines at once.
type Client struct {
	// URL is the URL of the CA, without a query. If it contains "{authority}",
	// that is replaced by the name of the authority, such as "INTC-KeyId-" and
	// 40 hexadecimal digits. The candidates (see [URLs]) are tried in turn
	// until one does not answer with HTTP status 404. If URL is empty, it is that
	// of the CA of Windows.
	URL string

	// Roots are the trusted root certificates, for the CA and for the
	// certificate that it issues. If nil, the CA must use https, and what it
	// sends is trusted as far as its TLS certificate is; see [scep.Client].
	Roots *x509.CertPool

	// RAFingerprints are the SHA-256 digests of certificates, in DER, of the CA's
	// registration authorities. They are needed if URL has plain http and those
	// certificates do not name their purpose; see [scep.Client.CA].
	RAFingerprints [][]byte

	AllowLegacy bool             // allows outdated algorithms, see [scep.Client]
	Header      http.Header      // replaces headers that are sent by default; may be nil
	HTTPClient  *http.Client     // if nil, http.DefaultClient
	Now         func() time.Time // if nil, time.Now
	Logger      *slog.Logger     // if nil, nothing is logged
}

// A Request asks for a certificate for an attestation key. EK, EKChain and either
// AIKCreation or MakeAIK are required, and so is Activate for [Client.Enroll].
type Request struct {
	// Vendor is the TCG vendor ID of the TPM, such as "INTC". If it is empty,
	// it is that of the endorsement certificate.
	Vendor string

	// EK is the endorsement key, an *rsa.PublicKey or *ecdsa.PublicKey.
	EK crypto.PublicKey

	// EKChain is the certificate of EK, followed by its issuers as far as they
	// are known. The certificate must name the TPM in a subject alternative
	// name, though it need not name all of vendor, model and version.
	EKChain []*x509.Certificate

	// AIKCreation is the attestation key's statement on its own creation, as
	// [attest.Key.Creation] returns it.
	AIKCreation *attest.Statement

	// MakeAIK makes the attestation key and returns the statement on its
	// creation. It is called once, while the CA is looked up, so that neither
	// waits for the other. Its context is canceled if the CA is not found. The
	// caller should keep the key, to use it if the request is tried again.
	MakeAIK func(context.Context) (*attest.Statement, error)

	// Activate opens the CA's challenge (TPM2_ActivateCredential) with the
	// endorsement key for the attestation key, and returns the secret. blob is
	// the contents of a TPM2B_ID_OBJECT and encryptedSecret those of a
	// TPM2B_ENCRYPTED_SECRET, without their size prefixes.
	// [attest.TPM.Activator] returns such a function. Begin does not use it.
	Activate func(ctx context.Context, blob, encryptedSecret []byte) ([]byte, error)

	// Signer is the key that signs the SCEP messages and decrypts the replies,
	// an RSA key that has nothing to do with the TPM. If nil, a key of 2048
	// bits is made, while the CA is looked up and the attestation key is made.
	Signer SignerDecrypter
}

// Enroll obtains a certificate for the attestation key. It returns the certificate
// followed by its issuers, with the root last.
//
// The error is an [*Error]. It wraps
//   - [ErrRequest] if req cannot be sent,
//   - [ErrNoAuthority] if no attestation CA knows the issuer of the endorsement
//     certificate,
//   - [scep.ErrCapability] if the CA does not offer attestation,
//     [scep.ErrUntrusted] if it does not lead to c.Roots, and other errors of
//     [scep.Client], such as a [*scep.Error] with a refusal by the CA,
//   - [ErrChallenge] if the CA does not send a challenge as it must,
//   - the errors of req.MakeAIK and req.Activate,
//   - [ErrCertificate] if what the CA issues cannot be accepted,
//   - the error of ctx if that ended first.
func (c *Client) Enroll(ctx context.Context, req *Request) ([]*x509.Certificate, error) {
	if req != nil && req.Activate == nil {
		return nil, new(Challenge).fail("request", fmt.Errorf("%w: it has no Activate", ErrRequest))
	}
	ch, err := c.Begin(ctx, req)
	if err != nil {
		return nil, err
	}
	secret, err := req.Activate(ctx, ch.Credential.Blob, ch.Credential.EncryptedSecret)
	if err == nil && len(secret) == 0 {
		err = misuse.Neither("Request.Activate", "a secret")
	}
	if err != nil {
		return nil, ch.fail("activate", misuse.Of("Request.Activate", err))
	}
	return c.Complete(ctx, ch, secret)
}

// Begin does the first half of [Client.Enroll]: it sends the request and returns the
// challenge. It does not use req.Activate. The error is an [*Error], as that of Enroll
// up to this point.
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
	signer := challenge.StartSigner(p.Signer)
	find := func(ctx context.Context) *Error { return failed("authority", c.findAuthority(ctx, ch, urls)) }
	if e := inParallel(ctx, find, p.makeKey); e != nil {
		return nil, ch.fail(e.Op, e.Err)
	}
	if p.signer, err = signer(); err != nil {
		return nil, ch.fail("enroll", err)
	}
	if err := c.ask(ctx, ch, p); err != nil {
		return nil, ch.fail("enroll", err)
	}
	return ch, nil
}

// ask sends the request and reads the challenge into ch.
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

// userAgent has a form that the service of Windows is known to accept.
const userAgent = "Mozilla/4.0 (compatible; Win32; NDES client 10.0.19041.1/vb_release)"

// scepClient returns a SCEP client for the CA at url that sends the request ID.
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
		URL: url, Roots: c.Roots, RAFingerprints: c.RAFingerprints, Challenge: capability, AllowLegacy: c.AllowLegacy,
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
