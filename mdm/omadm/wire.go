package omadm

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"

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
	if got.Status == http.StatusOK && len(bytes.TrimSpace(got.Body)) == 0 {
		return nil, nil
	}
	m, err := syncml.Parse(got.Body)
	if got.Status == http.StatusOK && err == nil {
		return m, nil
	}
	return nil, e.refused(got, err)
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
	case got.Status != http.StatusOK:
	case wire.IsHTML(got.Body):
		failed.Err = errors.New("the answer is a web page (HTML), not a SyncML message")
	default:
		failed.Err = err
	}
	return failed
}
