package main

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// An oauthError is why there is no access token: a refusal (RFC 6749, section 5.2), another
// answer than that of a token endpoint, or a failure of the network.
type oauthError struct {
	Code        string `json:"error"`
	Description string `json:"error_description"`

	op     string // what was asked for
	url    string
	status int           // the HTTP status; 0 without an answer
	wait   time.Duration // that the server asks for
	err    error         // the cause, nil if it is a refusal
}

// errNoToken is the cause of an answer that is not what it should be.
var errNoToken = errors.New("the answer is not that of a token endpoint")

// Error returns what is known.
func (e *oauthError) Error() string {
	parts := []string{"token endpoint " + e.url}
	if e.status >= 300 && e.Code == "" {
		parts = append(parts, fmt.Sprintf("HTTP status %d", e.status))
	}
	for _, s := range []string{wire.Words(e.Code), wire.Words(e.Description)} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	if e.err != nil {
		parts = append(parts, wire.Cause(e.err, e.url))
	}
	return strings.Join(parts, ": ")
}

// Unwrap returns the cause.
func (e *oauthError) Unwrap() error { return e.err }

// Operation returns what was asked for.
func (e *oauthError) Operation() string { return e.op }

// Service returns the URL of the endpoint.
func (e *oauthError) Service() string { return e.url }

// Status returns the HTTP status of a refusal.
func (e *oauthError) Status() int {
	if e.status < 300 {
		return 0
	}
	return e.status
}

// Protocol returns the code of the refusal.
func (e *oauthError) Protocol() string {
	if e.Code == "" {
		return ""
	}
	return wire.Protocol("OAuth", e.Code)
}

// ServerMessage returns what the endpoint says.
func (e *oauthError) ServerMessage() string { return e.Description }

// RetryDelay returns the pause that the endpoint asks for.
func (e *oauthError) RetryDelay() time.Duration { return e.wait }

// HRESULT returns the code that Windows has for the failure.
func (e *oauthError) HRESULT() uint32 {
	switch {
	case e.status >= 300:
		return hresult.HTTP(e.status)
	case e.status != 0:
		return hresult.InvalidData
	}
	return wire.HRESULT(e.err)
}

// Retryable reports whether the endpoint was only busy, or the network failed.
func (e *oauthError) Retryable() bool {
	if e.status != 0 {
		return wire.RetryableStatus(e.status)
	}
	return wire.Retryable(e.err)
}

// Remedy returns what to do, with the flags that may be wrong.
func (e *oauthError) Remedy() string {
	switch e.Code {
	case "":
	case "invalid_client":
		return "Check -client-id, and -client-secret or -client-cert with -client-key."
	case "access_denied", "authorization_declined", "expired_token":
		return "Nobody signed in, or whoever did declined: run again."
	default:
		return "Check -client-id and -tenant, and what the application may do in that tenant."
	}
	switch {
	case errors.Is(e.err, wire.ErrWebPage):
		return strings.Replace(wire.RemedyPage, "check the address", "check -authority", 1)
	case e.status == http.StatusNotFound, e.status == http.StatusMethodNotAllowed:
		return "There is no token endpoint at this address: check -authority and -tenant."
	case e.status >= 300:
		return wire.StatusRemedy(e.status, e.wait)
	case e.status != 0:
		return "Check -authority, and whether a proxy answers in its place."
	}
	return wire.Remedy(e.err)
}
