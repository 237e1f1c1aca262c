package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// PublicURL is the base of Microsoft Graph for the public cloud.
const PublicURL = "https://graph.microsoft.com"

// Versions of Graph.
const (
	stable = "/v1.0"
	beta   = "/beta"
)

// Limits on what a service may answer.
const (
	maxAnswer = 16 << 20 // bytes; a page of 1000 devices has under 1 MB
	maxPages  = 10_000
)

// A Client calls Microsoft Graph to register devices. Its zero value calls the
// public one, with what authorization its HTTPClient adds. It keeps nothing between
// calls; several goroutines may use it at the same time. Its methods neither retry
// nor wait; [Registration] does.
type Client struct {
	// BaseURL is the service's address without a version, such as that of a
	// national cloud. If empty, it is PublicURL. It is https, or http on the
	// loopback interface.
	BaseURL string

	// Token returns an access token with the permission
	// DeviceManagementServiceConfig.ReadWrite.All; methods name others that they
	// need. It is asked before each request. If nil, HTTPClient adds an
	// Authorization header. The token is neither logged nor kept.
	Token func(ctx context.Context) (string, error)

	// HTTPClient sends the requests. If nil, it is http.DefaultClient. A redirect
	// is a refusal: it is not followed, because it would carry the token along.
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

func (c *Client) base() string {
	if c.BaseURL == "" {
		return PublicURL
	}
	return strings.TrimSuffix(c.BaseURL, "/")
}

// A call is one request.
type call struct {
	op      string
	method  string
	version string // stable or beta
	path    string // below the version
	query   url.Values
	url     string // instead of version, path and query: the link to a page
	body    any    // nil: none
	etag    string // for If-Match; "": none

	valid func() bool // whether what was read into out is an answer to this call; nil: anything is
}

// address returns the URL of a call.
func (c *Client) address(k *call) string {
	if k.url != "" {
		return k.url
	}
	address := c.base() + k.version + k.path
	if len(k.query) > 0 {
		// Graph wants spaces as %20.
		address += "?" + strings.ReplaceAll(k.query.Encode(), "+", "%20")
	}
	return address
}

// do makes a call and reads its JSON answer into out, unless that is nil. Its
// errors are *Error.
func (c *Client) do(ctx context.Context, k *call, out any) error {
	address := c.address(k)
	fail := func(err error) error { return &Error{Op: k.op, URL: wire.Redact(address), Err: err} }
	if strings.HasPrefix(k.path, noItem) {
		return &Error{Op: k.op, Err: fmt.Errorf("%w: the object has no identifier", ErrRefused)}
	}
	if err := wire.CheckSecure(address); err != nil {
		return fail(err)
	}
	req, err := c.request(ctx, k, address)
	if errors.As(err, new(*tokenError)) {
		return &Error{Op: k.op, Err: err} // the service was not asked
	}
	if err != nil {
		return fail(err)
	}
	answer, err := wire.Do(wire.NoRedirects(c.HTTPClient), req, maxAnswer)
	if err != nil {
		if errors.Is(err, wire.ErrTooLarge) {
			err = fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		return fail(err)
	}
	if c.Logger != nil {
		c.Logger.DebugContext(ctx, "graph", "op", k.op, "url", wire.Redact(address), "status", answer.Status)
	}
	if answer.Status < 200 || answer.Status > 299 {
		return refusal(k.op, wire.Redact(address), answer, c.now())
	}
	if err := k.read(answer.Body, out); err != nil {
		e := &Error{Op: k.op, URL: wire.Redact(address), HTTPStatus: answer.Status, RequestID: answer.Header.Get("request-id"), Err: err}
		if errors.Is(err, wire.ErrWebPage) {
			e.Message = wire.Page(answer.Body)
		}
		return e
	}
	return nil
}

// read reads the body of an answer into out. Without an out there may be a body,
// which has to be JSON all the same: a page of a proxy is no success.
func (k *call) read(body []byte, out any) error {
	if out == nil && len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	if out == nil {
		out = new(any)
	}
	if wire.IsHTML(body) {
		return fmt.Errorf("%w: %w", ErrMalformed, wire.ErrWebPage)
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if k.valid != nil && !k.valid() {
		return fmt.Errorf("%w: it is JSON of another kind, or about another object", ErrMalformed)
	}
	return nil
}

// request makes the request of a call.
func (c *Client) request(ctx context.Context, k *call, address string) (*http.Request, error) {
	var body []byte
	if k.body != nil {
		var err error
		if body, err = json.Marshal(k.body); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, k.method, address, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("cannot make a request of this URL")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "whiteglove")
	if k.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if k.etag != "" {
		req.Header.Set("If-Match", k.etag)
	}
	if strings.HasPrefix(k.path, "/devices") {
		req.Header.Set("ConsistencyLevel", "eventual") // for filters on physicalIds
	}
	if c.Token == nil {
		return req, nil
	}
	token, err := c.Token(ctx)
	if err == nil && token == "" {
		err = misuse.Neither("Client.Token", "a token")
	}
	if err != nil {
		return nil, &tokenError{misuse.Of("Client.Token", err)}
	}
	req.Header.Set("Authorization", "Bearer "+token)
	return req, nil
}

// pages yields what is on all pages of a collection. A failure is yielded as the
// last pair.
func pages[T any](ctx context.Context, c *Client, k *call) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		seen := map[string]bool{}
		for k := *k; ; {
			var page struct {
				Value []*T   `json:"value"`
				Next  string `json:"@odata.nextLink"`
			}
			k.valid = func() bool { return page.Value != nil }
			if err := c.do(ctx, &k, &page); err != nil {
				yield(nil, err)
				return
			}
			for _, v := range page.Value {
				if v != nil && !yield(v, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			if err := c.checkLink(page.Next, seen); err != nil {
				yield(nil, &Error{Op: k.op, URL: wire.Redact(c.address(&k)), Err: err})
				return
			}
			k.url = page.Next
		}
	}
}

// checkLink checks the link to a next page: it must be on the service's host,
// because the token goes there, and not have been followed before.
func (c *Client) checkLink(link string, seen map[string]bool) error {
	next, err := url.Parse(link)
	base, baseErr := url.Parse(c.base())
	switch {
	case err != nil || baseErr != nil || next.Scheme != base.Scheme || next.Host != base.Host:
		return fmt.Errorf("%w: the next page is on another host", ErrMalformed)
	case seen[link] || len(seen) >= maxPages:
		return fmt.Errorf("%w: the pages do not end", ErrMalformed)
	}
	seen[link] = true
	return nil
}

// first returns what a collection yields, at most n of it.
func first[T any](seq iter.Seq2[*T, error], n int, want func(*T) bool) ([]T, error) {
	var out []T
	for v, err := range seq {
		if err != nil {
			return nil, err
		}
		if want(v) {
			out = append(out, *v)
		}
		if len(out) >= n {
			break
		}
	}
	return out, nil
}

// quote returns a text as OData has it in a filter.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// noItem is the path of an object whose identifier is missing. No call is made for
// it: the path without the identifier is that of the collection.
const noItem = "/{}"

// item returns the path of a member of a collection, or one that starts with noItem.
func item(collection, id string) string {
	if id == "" || id == "." || id == ".." {
		return noItem
	}
	return collection + "/" + url.PathEscape(id)
}

// same returns a check that an answer has the identifier that was asked for.
func same(got *string, id string) func() bool {
	return func() bool { return strings.EqualFold(*got, id) }
}
