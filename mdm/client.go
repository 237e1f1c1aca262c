package mdm

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/internal/soap"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// Operations, as errors and log records name them.
const (
	agentEnroll = "ENROLLClient" // the User-Agent of Windows

	opNonce    = "Nonce"
	opExchange = "Exchange"
	opDiscover = "Discover"
	opPolicy   = "Policy"
	opAttest   = "Attest"
	opEnroll   = "Enroll"
	opRenew    = "Renew"
	opRecover  = "Recover"
	opSession  = "Session" // of package omadm
)

// A Client enrolls one device at a management server. The zero value is ready
// for [Client.Discover] and [Client.Policy]; the other methods need Device.ID.
// A Client is safe for concurrent use as long as its fields do not change.
type Client struct {
	// Device describes the device to the server.
	Device Device

	// RequestVersion is the version of the protocol that the client offers,
	// from "1.0" to "9.0". If it is empty, it is "5.0", the lowest version in
	// which servers ask for attestation.
	RequestVersion string

	// Roots, if not nil, holds roots to one of which the management certificate
	// must lead. It must also lead to a root that the server sent, if that sent
	// any; without Roots the server must send one.
	Roots *x509.CertPool

	// ShortKeys makes Enroll, Recover and Renew send a key of at least 2048 bits
	// that is shorter than the policy asks for, and log a warning. TPMs make RSA
	// keys of at most 3072 bits, and some servers ask for 4096 without insisting.
	ShortKeys bool

	// HTTPClient sends the requests. If it is nil, it is [http.DefaultClient].
	// The client works on a copy that follows no redirect by itself. If its
	// Timeout is 0, a request is limited to two minutes and a body to no less
	// than 512 bytes a second.
	HTTPClient *http.Client

	// Now returns the current time. If it is nil, it is [time.Now].
	Now func() time.Time

	// Logger receives debug records and, if a call fails, warnings about its
	// token. If it is nil, nothing is logged.
	Logger *slog.Logger
}

// call is ask without the header of the answer.
func (c *Client) call(ctx context.Context, op, target string, m *message, want string) (*element, error) {
	r, err := c.ask(ctx, op, target, m, want)
	if err != nil {
		return nil, err
	}
	return r.Content, nil
}

// ask posts a message to target and returns the answer, the element in whose body
// must have the name want. Its errors are *Error.
func (c *Client) ask(ctx context.Context, op, target string, m *message, want string) (*soap.Envelope, error) {
	got, err := c.post(ctx, op, target, m)
	if err != nil {
		return nil, err
	}
	failed := c.failure(op, target, got)
	failed.Warnings, failed.preprovisioning, failed.password = m.warnings, m.preprovisioning, m.password
	r, err := soap.Parse(got.Body)
	switch {
	case err == nil && r.Fault != nil:
		failed.Fault, failed.Message, failed.TraceID = (*Fault)(r.Fault), r.Fault.Reason, r.Fault.TraceID
		failed.Detail = r.Detail
	case got.Status != http.StatusOK: // the body is not a fault, so the status tells most
		failed.Message, failed.Err = wire.Said(got.Body), wire.Refusal(got)
	case len(bytes.TrimSpace(got.Body)) == 0:
		failed.Err = wire.ErrEmpty
	case wire.IsHTML(got.Body):
		failed.Message, failed.Err = wire.Page(got.Body), fmt.Errorf("%w, not a SOAP envelope", wire.ErrWebPage)
	case err != nil:
		failed.Message, failed.Err = wire.Said(got.Body), err
	case !r.Content.Is(want):
		failed.Err = fmt.Errorf("the answer is a <%.40s>, not a <%s>", r.Content.Name, want)
	default:
		return r, nil
	}
	if c.Logger != nil {
		for _, warning := range m.warnings {
			c.Logger.WarnContext(ctx, "mdm token", "warning", warning)
		}
	}
	return nil, failed
}

// authenticate puts a credential into m. Warnings about a token do not stop the
// call. If that fails they are logged, and its error carries them.
func (c *Client) authenticate(m *message, with Credential) error {
	if with == nil {
		return misuse.Errorf("no token: the credential is nil")
	}
	secret, err := with.security()
	if err != nil {
		return err
	}
	m.secret, m.warnings = secret, tokenWarnings(with, now(c.Now))
	_, m.password = with.(Password)
	return nil
}

// failure returns an error about an answer; the caller adds the reason.
func (c *Client) failure(op, target string, got *wire.Answer) *Error {
	return &Error{
		Op: op, URL: wire.Redact(target), HTTPStatus: got.Status,
		RetryAfter: wire.RetryAfter(got.Header, now(c.Now)),
		location:   location(got),
		clocks:     wire.ClocksOf(got.Header, now(c.Now)),
	}
}

// location returns the target of a redirect that repeats the POST, or "" if the
// answer is none.
func location(got *wire.Answer) string {
	switch got.Status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return got.Header.Get("Location")
	}
	return ""
}

// post sends a message and returns the answer, whatever its status. It does not
// follow redirects, because the message names its address and may carry a
// token. Its errors are *Error.
func (c *Client) post(ctx context.Context, op, target string, m *message) (*wire.Answer, error) {
	if err := wire.CheckSecure(target); err != nil {
		return nil, &Error{Op: op, URL: wire.Redact(target), Err: err}
	}
	id := messageID()
	body := m.envelope(id, wire.Redact(target))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return nil, &Error{Op: op, Err: err}
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("User-Agent", agentEnroll)
	got, err := wire.Do(wire.NoRedirects(c.HTTPClient), req, maxAnswer)
	if err != nil {
		return nil, &Error{Op: op, URL: wire.Redact(target), Err: err}
	}
	debug(ctx, c.Logger, op, target, got.Status, "message", id)
	return got, nil
}

// debug logs a call that was answered.
func debug(ctx context.Context, logger *slog.Logger, op, target string, status int, more ...any) {
	if logger != nil {
		logger.DebugContext(ctx, "mdm call", append([]any{"op", op, "url", wire.Redact(target), "status", status}, more...)...)
	}
}

func now(f func() time.Time) time.Time {
	if f == nil {
		return time.Now()
	}
	return f()
}

// samePublicKey reports whether a and b are the same key.
func samePublicKey(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

// or returns s, or other if s is empty.
func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
