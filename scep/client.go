package scep

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// maxAnswer is the largest answer accepted, in bytes. All messages of an
// enrollment together have about 40 kB.
const maxAnswer = 256 << 10

// A Client talks to one SCEP server. Only URL is required. A Client keeps
// nothing between calls; several goroutines may use it at the same time.
type Client struct {
	// URL is the absolute http or https URL of the server, such as
	// "https://ca.example/scep". The client adds parameters to its query.
	URL string

	// Roots are the root certificates to which the CA's certificates must
	// lead. If Roots and Fingerprint are both nil, the CA is trusted because
	// TLS authenticates its server, and a URL with plain http is refused. With an
	// empty pool, which trusts nothing, CA sends nothing.
	Roots *x509.CertPool

	// Fingerprint is the SHA-256 digest (32 bytes) of the certificate, in DER,
	// of the CA or of a CA above it. The server must send that certificate. If
	// Roots is nil, that certificate is the only root; otherwise it must lead to
	// Roots. If Fingerprint is nil, no particular certificate is required.
	Fingerprint []byte

	// RAFingerprints are the SHA-256 digests (32 bytes each) of certificates, in
	// DER, of registration authorities that the caller knows to be the CA's. They
	// are needed for a server over plain http whose RA certificates do not name
	// their purpose; see [Client.CA]. nil stands for none.
	RAFingerprints [][]byte

	// RenewAs is the message that Renew sends. The zero value follows the
	// server's capabilities.
	RenewAs RenewAs

	// Challenge is a capability, such as "IdentityKeyAttestation". A server that
	// advertises it may send challenges (pkiStatus 11), which are answered with
	// messageType 41. If Challenge is empty, challenges are refused.
	Challenge string

	// AllowLegacy permits SHA-1 and triple DES: in requests to a server that
	// advertises nothing better, and in all replies. It also permits single DES
	// in replies with certificates or revocation lists, which are public and
	// signed; several servers use it unless they are configured otherwise. Single
	// DES is never sent, and MD5 is never permitted.
	AllowLegacy bool

	// Header is sent with every HTTP request. It may be nil.
	Header http.Header

	// HTTPClient sends the requests. If nil, it is http.DefaultClient. Redirects
	// are followed up to five times, but neither from https to http nor to another
	// host, which would get Header. If its Timeout is 0, a request may take two
	// minutes, and after 15 seconds the average rate of an answer's body must be
	// 512 bytes a second or more.
	HTTPClient *http.Client

	Now    func() time.Time // current time; if nil, time.Now
	Logger *slog.Logger     // if nil, nothing is logged
}

func (c *Client) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

func (c *Client) log(ctx context.Context, text string, args ...any) {
	if c.Logger != nil {
		c.Logger.InfoContext(ctx, text, args...)
	}
}

// fail returns an Error of operation op with the cause err, which may be nil.
func (c *Client) fail(op string, err error) *Error {
	if errors.Is(err, wire.ErrTooLarge) {
		err = fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	e := &Error{Op: op, URL: wire.Redact(c.URL), Err: err}
	if errors.Is(err, errRequest) || errors.Is(err, errUnvouched) {
		e.URL = "" // nothing was sent
	}
	return e
}

// failed is fail for a cause in an answer.
func (c *Client) failed(op string, answer *wire.Answer, err error) *Error {
	e := c.fail(op, err)
	e.clocks = wire.ClocksOf(answer.Header, c.now())
	return e
}

// GetCACaps asks for the server's capabilities (RFC 8894, section 3.5). id names
// a CA on a server that has several; it may be empty. The answer is not signed.
//
// The error is an [*Error]. It has the HTTP status if that is not 200, wraps
// [ErrUntrusted] if there are no Roots, no Fingerprint and no TLS,
// [ErrMalformed] if the answer is too large, and the error of ctx if that ended
// first. [Client.CA] shows how to go on after an error.
func (c *Client) GetCACaps(ctx context.Context, id string) (Caps, error) {
	const op = opCaps
	answer, err := c.do(ctx, op, http.MethodGet, op, id, nil)
	if err != nil {
		return nil, err
	}
	return parseCaps(answer.Body), nil
}

// GetCACert asks for the certificates of the CA and of its registration
// authorities (RFC 8894, section 4.2). They are not verified; [Client.CA]
// returns verified ones. Certificates that cannot be parsed are logged and left
// out; at least one is returned. id names a CA on a server that has several; it
// may be empty.
//
// The error is an [*Error]. It has the HTTP status if that is not 200, wraps
// [ErrMalformed] if the answer is neither a certificate nor a bag of them or is
// too large, [ErrUntrusted] if there are no Roots, no Fingerprint and no TLS,
// and the error of ctx if that ended first.
func (c *Client) GetCACert(ctx context.Context, id string) ([]*x509.Certificate, error) {
	certs, _, err := c.certificates(ctx, "GetCACert", id)
	return certs, err
}

// GetCACertChain is like [Client.GetCACert], but sends the operation
// GetCACertChain of older drafts, which Windows's attestation CA expects. If id
// is empty, "default" is sent. The errors are those of GetCACert.
func (c *Client) GetCACertChain(ctx context.Context, id string) ([]*x509.Certificate, error) {
	certs, _, err := c.certificates(ctx, "GetCACertChain", id)
	return certs, err
}

// certificates sends op and reads one certificate or a bag of them. It ignores
// the content type of the answer, which is often wrong, and a signature of the bag,
// which proves nothing before its signer is trusted.
func (c *Client) certificates(ctx context.Context, op, id string) (certs []*x509.Certificate, from *wire.Answer, err error) {
	if op == "GetCACertChain" && id == "" {
		id = "default"
	}
	answer, err := c.do(ctx, op, http.MethodGet, op, id, nil)
	if err != nil {
		return nil, nil, err
	}
	if cert, err := cms.ParseCertificate(answer.Body); err == nil {
		return []*x509.Certificate{cert}, answer, nil
	}
	certs, bad, err := cms.ParseCertificates(answer.Body)
	if err != nil {
		return nil, nil, c.fail(op, unreadable(err))
	}
	for _, err := range bad {
		c.log(ctx, "certificate left out", "op", op, "reason", err)
	}
	return certs, answer, nil
}

// opCaps is the operation that asks for capabilities.
const opCaps = "GetCACaps"

// pkiOperation is the operation that carries messages. They are signed and
// encrypted, so it may run over plain http.
const pkiOperation = "PKIOperation"

// exchange sends a pkiMessage in DER and returns the answer.
func (c *Client) exchange(ctx context.Context, op string, caps Caps, der []byte) (*wire.Answer, error) {
	method, message := http.MethodPost, ""
	if !caps.post() {
		method, message, der = http.MethodGet, base64.StdEncoding.EncodeToString(der), nil
	}
	return c.do(ctx, op, method, pkiOperation, message, der)
}

// do sends a request and returns the answer if its status is 200. message and
// body may be empty.
func (c *Client) do(ctx context.Context, op, method, operation, message string, body []byte) (*wire.Answer, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" {
		return nil, c.fail(op, misuse.Errorf("%w", wire.NotAbsolute(c.URL)))
	}
	if c.Roots == nil && c.Fingerprint == nil && u.Scheme != "https" && operation != pkiOperation {
		return nil, c.fail(op, fmt.Errorf("%w: %w", ErrUntrusted, errUnvouched))
	}
	query := u.Query()
	query.Set("operation", operation)
	if message != "" {
		query.Set("message", message)
	}
	u.RawQuery = query.Encode()
	var r io.Reader
	if body != nil {
		r = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), r)
	if err != nil {
		return nil, c.fail(op, err)
	}
	for k, v := range c.Header {
		req.Header[http.CanonicalHeaderKey(k)] = v
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/x-pki-message")
	}
	answer, err := wire.Do(staying(c.HTTPClient), req, maxAnswer)
	if err != nil {
		return nil, c.fail(op, err)
	}
	if answer.Status != http.StatusOK {
		e := c.failed(op, answer, nil)
		e.HTTPStatus, e.Message = answer.Status, words(answer)
		e.RetryAfter = wire.RetryAfter(answer.Header, c.now())
		return nil, e
	}
	if op != opCaps && wire.IsHTML(answer.Body) { // some servers answer an unknown GetCACaps so
		e := c.fail(op, fmt.Errorf("%w: %w", ErrMalformed, wire.ErrWebPage))
		e.HTTPStatus, e.Message = answer.Status, wire.Page(answer.Body)
		return nil, e
	}
	if op != opCaps && len(answer.Body) == 0 {
		e := c.fail(op, fmt.Errorf("%w: %w", ErrMalformed, wire.ErrEmpty))
		e.HTTPStatus = answer.Status
		return nil, e
	}
	c.log(ctx, "answer", "op", op, "size", len(answer.Body))
	return answer, nil
}

// staying returns a copy of client, or of [http.DefaultClient] if that is nil, that
// follows redirects only to the host of the first request.
func staying(client *http.Client) *http.Client {
	if client == nil {
		client = http.DefaultClient
	}
	own := *client
	own.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if to := req.URL.Hostname(); !strings.EqualFold(to, via[0].URL.Hostname()) {
			return fmt.Errorf("it leads to another host, %q", to)
		}
		if client.CheckRedirect != nil {
			return client.CheckRedirect(req, via)
		}
		return nil
	}
	return &own
}

// maxWords is the largest size of a plain text that is kept whole, in bytes.
const maxWords = 500

// words returns the server's own description of an error: the Message in a JSON
// body, as Windows's attestation CA sends it, a short plain text, or the first words of
// another text or a web page.
func words(a *wire.Answer) string {
	var body struct{ Message string }
	if json.Unmarshal(a.Body, &body) == nil && body.Message != "" {
		return wire.Words(body.Message)
	}
	if strings.HasPrefix(a.Header.Get("Content-Type"), "text/plain") && len(a.Body) <= maxWords {
		return wire.Words(string(a.Body))
	}
	return wire.Page(a.Body)
}
