package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/verify"
)

// A client sends messages to a verifier.
type client struct {
	url, token string
	http       *http.Client
}

func (o *options) client() (*client, error) {
	roots, err := command.ReadRoots("-roots", o.roots)
	if err != nil {
		return nil, err
	}
	token, err := command.Secret("-token", o.token)
	return &client{strings.TrimSuffix(o.url, "/"), token, command.HTTPClient(roots)}, err
}

// send sends a message and reads the answer.
func (c *client) send(ctx context.Context, path string, m, answer verify.Message) error {
	var body bytes.Buffer
	if err := verify.Encode(&body, m); err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+path, &body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusOK {
		return verify.Decode(res.Body, answer)
	}
	var verdict verify.Verdict
	if err := verify.Decode(res.Body, &verdict); err != nil {
		return fmt.Errorf("%s answers %s, which is not a verifier's answer", c.url+path, res.Status)
	}
	return refused(res.StatusCode, &verdict)
}

// A refusal is an error of the verifier's verdict.
type refusal struct {
	status  int
	verdict *verify.Verdict
}

// refused returns the error for a verdict, with the exit code. Where the verifier did not
// get to the device, since the bearer token is wrong, a message was too old or it is busy,
// it has not judged it.
func refused(status int, v *verify.Verdict) error {
	code := 3
	switch status {
	case http.StatusUnauthorized, http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable:
		code = 1
	}
	return &command.ExitError{Code: code, Err: &refusal{status, v}}
}

func (r *refusal) Error() string {
	text := "refused: " + command.OneLine(r.verdict.Reason)
	if r.verdict.Retryable {
		text += ". Trying again later may help."
	}
	return text
}
