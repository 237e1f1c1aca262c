package mdm

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/whiteglove/whiteglove/internal/syncml"
	"github.com/whiteglove/whiteglove/internal/wire"
)

const (
	contentSyncML = "application/vnd.syncml.dm+xml"
	agentSyncML   = "MSFT OMA DM Client/1.2.0.1" // servers tell clients apart by it
)

// sessionURL returns where messages are posted: an account's address with the
// mode that Windows adds to it.
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
	debug(ctx, e.Logger, opSession, e.Server, got.Status, "session", e.result.ID, "message", e.result.Messages)
	if got.Status == http.StatusOK && len(bytes.TrimSpace(got.Body)) == 0 {
		return nil, nil
	}
	m, err := syncml.Parse(got.Body)
	if got.Status == http.StatusOK && err == nil {
		return m, nil
	}
	return nil, e.refused(got, err)
}

// refused is the error for an answer that is no message. Some servers answer
// with a SOAP fault and HTTP status 200.
func (e *exchange) refused(got *wire.Answer, err error) *Error {
	failed := &Error{
		Op: opSession, URL: wire.Redact(e.Server), HTTPStatus: got.Status,
		RetryAfter: wire.RetryAfter(got.Header, now(e.Now)), location: location(got),
	}
	if r, bad := parseReply(got.Body); bad == nil && r.fault != nil {
		failed.Fault, failed.Message, failed.TraceID = r.fault, r.fault.Reason, r.fault.TraceID
	} else if got.Status == http.StatusOK {
		failed.Err = err
	}
	return failed
}

// maxDigests is how often one session answers a challenge.
const maxDigests = 2

// A digestState is what a session knows of its authentication by digest.
type digestState struct {
	nonce   []byte
	active  bool // credentials go with each message
	answers int
}

// credentials are those of the next message, and whose they are.
func (d *digestState) credentials(a *Auth) (*syncml.Cred, string) {
	if a == nil || !d.active {
		return nil, ""
	}
	meta := syncml.Meta{Format: "b64", Type: syncml.TypeMD5}
	return &syncml.Cred{Meta: meta, Data: syncml.Digest(a.Name, string(a.Secret), d.nonce)}, a.Name
}

// answer reads the status of a message's header, and the challenge in it. It
// reports whether the message is to be sent again.
func (d *digestState) answer(a *Auth, code int, chal *syncml.Meta) (bool, error) {
	wanted := code == statusUnauthorized || code == statusNoCredential
	if chal != nil && a != nil {
		if !strings.EqualFold(chal.Type, syncml.TypeMD5) {
			return false, errors.New("the server wants another authentication than a digest")
		}
		nonce, err := base64.StdEncoding.DecodeString(chal.NextNonce)
		if err != nil {
			return false, errors.New("the server's nonce is not base64")
		}
		d.nonce, d.active = nonce, true
	}
	if code == statusAuthAccepted {
		d.active = false // for the rest of the session
	}
	if !wanted || chal == nil || a == nil || d.answers == maxDigests {
		return false, nil
	}
	d.answers++
	return true, nil
}
