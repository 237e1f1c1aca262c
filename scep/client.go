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
	"unicode"

	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// maxAnswer bounds an answer. A whole enrollment takes some 40 kB.
const maxAnswer = 256 << 10

// A Client talks to one SCEP server. Only URL is required. It keeps nothing
// between calls and may be used by several goroutines.
type Client struct {
	// URL is the server's. Operations are added to its query.
	URL string

	// Roots are what the CA's certificates must lead to. If nil, and without
	// Fingerprint, they are trusted as far as TLS is, and plain http is refused.
	Roots *x509.CertPool

	// Fingerprint is the SHA-256 of the CA's certificate, or of one above it,
	// in DER. The server must send that certificate. If Roots is nil, it is
	// the root. If Fingerprint is nil, no certificate is singled out.
	Fingerprint []byte

	// RenewAs is what Renew sends.
	RenewAs RenewAs

	// Challenge is the capability, such as "IdentityKeyAttestation", that
	// makes challenges (pkiStatus 11) and their answers (messageType 41) legal
	// with a server that names it. If "", they never are.
	Challenge string

	// AllowLegacy permits triple DES and SHA-1 with a server that names
	// nothing better, and in replies. Single DES and MD5 are never used.
	AllowLegacy bool

	Header     http.Header      // sent along with every request; may be nil
	HTTPClient *http.Client     // if nil, http.DefaultClient
	Now        func() time.Time // if nil, time.Now
	Logger     *slog.Logger     // if nil, nothing is logged
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

// fail returns the error of an operation that got no good answer.
func (c *Client) fail(op string, err error) *Error {
	if errors.Is(err, wire.ErrTooLarge) {
		err = fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return &Error{Op: op, URL: wire.Redact(c.URL), FailInfo: NoFailInfo, Err: err}
}

// GetCACaps asks for the server's capabilities. id names a CA behind the
// server and may be empty.
func (c *Client) GetCACaps(ctx context.Context, id string) (Caps, error) {
	const op = "GetCACaps"
	body, err := c.do(ctx, op, http.MethodGet, op, id, nil)
	if err != nil {
		return nil, err
	}
	return parseCaps(body), nil
}

// GetCACert asks for the CA's certificates, and the RA's if it has one. They
// are not checked. Those that cannot be read are logged and left out.
func (c *Client) GetCACert(ctx context.Context, id string) ([]*x509.Certificate, error) {
	return c.certificates(ctx, "GetCACert", id)
}

// GetCACertChain asks for the same in the older way that Windows's attestation
// CA wants. If id is empty, "default" is sent.
func (c *Client) GetCACertChain(ctx context.Context, id string) ([]*x509.Certificate, error) {
	if id == "" {
		id = "default"
	}
	return c.certificates(ctx, "GetCACertChain", id)
}

// certificates reads one certificate or a bag of them. The content type of
// the answer is often wrong and not looked at.
func (c *Client) certificates(ctx context.Context, op, id string) ([]*x509.Certificate, error) {
	body, err := c.do(ctx, op, http.MethodGet, op, id, nil)
	if err != nil {
		return nil, err
	}
	if cert, err := cms.ParseCertificate(body); err == nil {
		return []*x509.Certificate{cert}, nil
	}
	certs, bad, err := cms.ParseBag(body)
	if err != nil {
		return nil, c.fail(op, unreadable(err))
	}
	for _, err := range bad {
		c.log(ctx, "certificate left out", "op", op, "reason", err)
	}
	return certs, nil
}

// pkiOperation is the operation of all messages. Their safety does not depend
// on the connection's.
const pkiOperation = "PKIOperation"

// exchange sends a pkiMessage.
func (c *Client) exchange(ctx context.Context, op string, caps Caps, der []byte) ([]byte, error) {
	if caps.post() {
		return c.do(ctx, op, http.MethodPost, pkiOperation, "", der)
	}
	return c.do(ctx, op, http.MethodGet, pkiOperation, base64.StdEncoding.EncodeToString(der), nil)
}

// do sends a request and returns the body of an answer with status 200.
func (c *Client) do(ctx context.Context, op, method, operation, message string, body []byte) ([]byte, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" {
		return nil, c.fail(op, fmt.Errorf("%q is not an absolute URL", wire.Redact(c.URL)))
	}
	if c.Roots == nil && c.Fingerprint == nil && u.Scheme != "https" && operation != pkiOperation {
		return nil, c.fail(op, fmt.Errorf("%w: neither roots nor TLS to trust it by", ErrUntrusted))
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
	answer, err := wire.Do(c.HTTPClient, req, maxAnswer)
	if err != nil {
		return nil, c.fail(op, err)
	}
	if answer.Status != http.StatusOK {
		e := c.fail(op, nil)
		e.HTTPStatus, e.Message = answer.Status, words(answer)
		e.RetryAfter = wire.RetryAfter(answer.Header, c.now())
		return nil, e
	}
	c.log(ctx, "answer", "op", op, "size", len(answer.Body))
	return answer.Body, nil
}

// words returns what a server says of an error: the Message of a JSON body as
// Windows's attestation CA sends it, or a short text.
func words(a *wire.Answer) string {
	const most = 500
	var body struct{ Message string }
	text := ""
	if json.Unmarshal(a.Body, &body) == nil {
		text = body.Message
	} else if strings.HasPrefix(a.Header.Get("Content-Type"), "text/plain") && len(a.Body) <= most {
		text = string(a.Body)
	}
	if len(text) > most {
		text = text[:most]
	}
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	return strings.TrimSpace(text)
}
