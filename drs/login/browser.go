package login

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/whiteglove/whiteglove/drs"
)

// Browser gets a token by a sign-in in a browser on this machine. It listens at a free port of
// the loopback interface, calls open with the URL of the sign-in page, and waits until the
// browser returns with an authorization code or ctx ends. open must return soon; it opens the
// URL in a browser or shows it. The client must have the redirect URI http://localhost, at
// any port; that of the zero Client has not, see Client.ClientID.
//
// The error is a [*drs.Error]. It wraps [drs.ErrEndpoint] as that of Password; [drs.ErrMalformed];
// that of the listener or of open; or the error of ctx. If the service refuses, it has the
// service's Code, such as "access_denied".
func (c *Client) Browser(ctx context.Context, d *drs.Discovery, open func(ctx context.Context, url string) error) (*Token, error) {
	at, err := endpoint(d, "authorize")
	if err == nil && open == nil {
		err = errors.New("there is no function to open the page")
	}
	if err != nil {
		return nil, fail(opBrowser, err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fail(opBrowser, err)
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		listener.Close()
		return nil, fail(opBrowser, err)
	}
	verifier, state := random(), random()
	challenge := sha256.Sum256([]byte(verifier))
	redirect := "http://localhost:" + port
	back := &callback{host: "localhost:" + port, state: state, got: make(chan url.Values, 1)}
	server := &http.Server{Handler: back, ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(listener)
	defer server.Close()
	q := url.Values{
		"response_type": {"code"}, "client_id": {c.client()}, "redirect_uri": {redirect}, "resource": {c.resource(d)}, "state": {state},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}
	if c.Hint != "" {
		q.Set("login_hint", c.Hint)
	}
	if err := open(ctx, at+"?"+q.Encode()); err != nil {
		return nil, fail(opBrowser, err)
	}
	select {
	case <-ctx.Done():
		return nil, fail(opBrowser, fmt.Errorf("nobody signed in: %w", ctx.Err()))
	case answer := <-back.got:
		if code := answer.Get("error"); code != "" {
			return nil, &drs.Error{Op: opBrowser, Code: visible(code), Message: visible(answer.Get("error_description"))}
		}
		form := url.Values{
			"grant_type": {"authorization_code"}, "code": {answer.Get("code")}, "redirect_uri": {redirect}, "code_verifier": {verifier},
		}
		return c.token(ctx, opBrowser, d, form)
	}
}

// random returns 43 random characters, as RFC 7636, section 4.1 recommends.
func random() string {
	b := make([]byte, 32)
	// crypto/rand.Read does not fail: it ends the program first.
	_, _ = rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// A callback is the page to which the browser returns.
type callback struct {
	host  string
	state string
	got   chan url.Values // gets the first answer
}

// ServeHTTP takes the answer of the sign-in, which has the state of the request. Other requests,
// such as those of another page, change nothing.
func (b *callback) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if r.Method != http.MethodGet || r.URL.Path != "/" || r.Host != b.host || subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(b.state)) != 1 ||
		(q.Get("code") == "") == (q.Get("error") == "") || len(r.URL.RawQuery) > maxAnswer {
		http.Error(w, "This is not the answer of the sign-in.", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	text := "The sign-in is done. You can close this page."
	if q.Get("error") != "" {
		text = "The sign-in has failed. You can close this page."
	}
	io.WriteString(w, fmt.Sprintln(text))
	select {
	case b.got <- q:
	default: // there was an answer already
	}
}
