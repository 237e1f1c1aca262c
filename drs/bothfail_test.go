package drs

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/internal/wire"
)

// A transport that answers by a function.
type answering func(*http.Request) (*http.Response, error)

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) { return a(r) }

// The nonce is requested while the TPM opens the challenge. Of the two errors the one
// counts that is no consequence of the other.
func TestNonceAndActivation(t *testing.T) {
	broken := errors.New("the TPM is broken")
	const refusal = `{"error":"invalid_request","error_description":"no nonce today"}`
	for name, tt := range map[string]struct {
		hangs, refuses, fails, ends bool
		want                        error
		text                        string
	}{
		"the TPM fails, the request hangs":      {hangs: true, fails: true, want: broken},
		"the TPM fails, the request is refused": {refuses: true, fails: true, text: "no nonce today"},
		"the request is refused":                {refuses: true, text: "no nonce today"},
		"the TPM fails, the request succeeds":   {fails: true, want: broken},
		"the caller ends it":                    {hangs: true, fails: true, ends: true, want: context.Canceled},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		answered := make(chan struct{})
		c := &Client{HTTPClient: &http.Client{Transport: answering(func(r *http.Request) (*http.Response, error) {
			if tt.hangs {
				close(answered)
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			status, body := http.StatusOK, `{"Nonce":"x"}`
			if tt.refuses {
				status, body = http.StatusBadRequest, refusal
			}
			return &http.Response{
				StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: readEnd{strings.NewReader(body), answered}, Request: r,
			}, nil
		})}}
		p := &Proof{Activate: func(context.Context, []byte, []byte) ([]byte, error) {
			<-answered
			if tt.ends {
				cancel()
			}
			if tt.fails {
				return nil, broken
			}
			return []byte("secret"), nil
		}}
		_, err := c.answerWithNonce(ctx, p, nil, &challenge{token: "https://login.test/token"})
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) || tt.text != "" && errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
}

// A readEnd closes a channel when it is closed.
type readEnd struct {
	io.Reader
	done chan struct{}
}

func (r readEnd) Close() error { close(r.done); return nil }

// Only of a web page the beginning is in the error.
func TestFailedAnswer(t *testing.T) {
	answer := &wire.Answer{Status: 200, Header: http.Header{}, Body: []byte("<html><body>Guest Wi-Fi</body></html>")}
	for want, cause := range map[string]error{"Guest Wi-Fi": wire.ErrWebPage, "": ErrMalformed} {
		err := (&call{op: opJoin}).failed(answer, cause)
		if e := new(Error); !errors.As(err, &e) || e.Message != want || !errors.Is(err, cause) {
			t.Errorf("%v: %v", cause, err)
		}
	}
}

// There is no session in nil, nor in one that no sign-in has made.
func TestNoSession(t *testing.T) {
	for _, s := range []*Session{nil, new(Session)} {
		if err := new(Client).exchange(t.Context(), opSignIn, &Discovery{}, s, map[string]any{}, new(struct{})); !errors.Is(err, ErrSession) {
			t.Errorf("%v", err)
		}
	}
}
