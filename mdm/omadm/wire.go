package omadm

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/whiteglove/whiteglove/internal/soap"
	"github.com/whiteglove/whiteglove/internal/syncml"
	"github.com/whiteglove/whiteglove/internal/wire"
	"github.com/whiteglove/whiteglove/mdm"
)

const (
	contentSyncML = "application/vnd.syncml.dm+xml"
	agentSyncML   = "MSFT OMA DM Client/1.2.0.1" // servers tell clients apart by it
)

// sessionURL returns the URL that messages are posted to: an account's address
// with the mode that Windows adds.
func sessionURL(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	if u.Query().Has("mode") {
		return address, nil
	}
	mode := "mode=Maintenance&Platform=WoA"
	if u.RawQuery != "" {
		mode = u.RawQuery + "&" + mode
	}
	u.RawQuery = mode
	return u.String(), nil
}

// sameOrigin returns the URL that a server names by RespURI in answer to a message
// to target. It must have the scheme, the host and the port of target, because the
// messages that follow hold what the device has.
func sameOrigin(target, raw string) (string, error) {
	base, err := url.Parse(target)
	if err != nil {
		return "", err
	}
	next, err := base.Parse(raw)
	if err != nil {
		return "", fmt.Errorf("the server's RespURI %.100q is not a URL", wire.Redact(raw))
	}
	port := func(u *url.URL) string {
		return cmp.Or(u.Port(), map[string]string{"https": "443", "http": "80"}[u.Scheme])
	}
	if next.Scheme != base.Scheme || !strings.EqualFold(next.Hostname(), base.Hostname()) || port(next) != port(base) || next.User != nil {
		return "", fmt.Errorf("the server's RespURI %.200q leads to another server than %s", wire.Redact(next.String()), wire.Redact(target))
	}
	return next.String(), nil
}

// send posts a message and returns the server's, or nil if the answer is empty.
func (e *exchange) send(ctx context.Context, data []byte) (*syncml.Message, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", contentSyncML)
	req.Header.Set("Accept", contentSyncML+", application/octet-stream")
	req.Header.Set("Accept-Charset", "UTF-8")
	req.Header.Set("User-Agent", agentSyncML)
	req.Header.Set("Client-Request-Id", "0")
	got, err := wire.Do(e.client, req, syncml.MaxSize)
	if err != nil {
		return nil, err
	}
	if e.Logger != nil {
		e.Logger.DebugContext(ctx, "mdm call", "op", operation, "url", wire.Redact(e.Server), "status", got.Status,
			"session", e.result.ID, "message", e.result.Messages)
	}
	if (got.Status == http.StatusOK || got.Status == http.StatusNoContent) && len(bytes.TrimSpace(got.Body)) == 0 {
		return nil, nil
	}
	m, err := syncml.Parse(got.Body)
	if got.Status == http.StatusOK && err == nil {
		return m, nil
	}
	failed := e.refused(got, err)
	return nil, wire.ClocksOf(got.Header, e.now()).Advised(failed, failed.ServerMessage())
}

// refused returns the error for an answer that is not a message. Some servers
// answer with a SOAP fault and HTTP status 200.
func (e *exchange) refused(got *wire.Answer, err error) *mdm.Error {
	failed := &mdm.Error{
		Op: operation, URL: wire.Redact(e.Server), HTTPStatus: got.Status,
		RetryAfter: wire.RetryAfter(got.Header, e.now()),
	}
	if r, bad := soap.Parse(got.Body); bad == nil && r.Fault != nil {
		failed.Fault, failed.Message, failed.TraceID = (*mdm.Fault)(r.Fault), r.Fault.Reason, r.Fault.TraceID
		failed.Detail = r.Detail
		return failed
	}
	failed.Message, failed.Err = wire.Said(got.Body), wire.Refusal(got)
	switch {
	case got.Status != http.StatusOK && failed.Err == nil:
		failed.Err = checkUnmanaged(got.Status, failed.Message)
	case got.Status != http.StatusOK:
	case wire.IsHTML(got.Body):
		failed.Message, failed.Err = wire.Page(got.Body), fmt.Errorf("%w, not a SyncML message", wire.ErrWebPage)
	default:
		failed.Err = err
	}
	return failed
}
