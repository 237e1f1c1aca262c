package graph

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/internal/plain"
	"github.com/whiteglove/whiteglove/internal/wire"
	"github.com/whiteglove/whiteglove/internal/ztd"
)

// Errors that an [Error] may wrap.
var (
	// ErrMalformed is returned by all methods if the answer is not the JSON it
	// should be, such as the page of a proxy, is too large, is about another
	// object, or links to a page on another host.
	ErrMalformed = errors.New("malformed answer")

	// ErrRefused is [autopilot.ErrRefused]. [Client.Import] returns it for a mock
	// hash if the service is not on the loopback interface, and for a row without
	// a usable hash; methods about one object return it for an empty identifier,
	// and [Client.PlanCleanUp] for an empty serial number. Nothing was sent then.
	ErrRefused = autopilot.ErrRefused

	// ErrGone is returned if the service does not know the object (HTTP status
	// 404). After an import that may pass: the device appears with a delay.
	ErrGone = errors.New("no such object")

	// ErrChanged is returned if the object was changed since it was read (HTTP
	// status 412). Read it again, then decide anew.
	ErrChanged = errors.New("the object was changed in the meantime")

	// ErrBusy is returned by [Client.SyncBeta] if a synchronization is in progress
	// already (HTTP status 409; documented).
	ErrBusy = errors.New("a synchronization is in progress")
)

// An Error is the error of all methods of this package that talk to the service.
// Its methods also serve programs that read errors without importing this package,
// such as package diagnose.
type Error struct {
	// Op is the method that failed, such as "Import".
	Op string

	// URL is the service's, without query.
	URL string

	// HTTPStatus is the HTTP status of the answer; 0 if there was none.
	HTTPStatus int

	// GraphCode is Graph's own word, such as "BadRequest"; empty if it gave none.
	GraphCode string

	// Code and Name are the deployment service's reason to refuse a device, such
	// as 808 and "ZtdDeviceAssignedToOtherTenant"; 0 and empty if there is none.
	Code int
	Name string

	// Message is the service's own description, empty if it gave none.
	Message string

	// RequestID is the identifier by which the service's operator finds the
	// request; empty if there is none.
	RequestID string

	// RetryAfter is the pause that the service asked for; 0 if it asked for none.
	RetryAfter time.Duration

	// Err is the cause. It is nil if the service's refusal is the cause.
	Err error
}

// Error returns "graph: ", the operation, the URL, and what is known of the cause.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("graph: " + e.Op)
	if e.URL != "" {
		b.WriteString(" " + e.URL)
	}
	if e.HTTPStatus >= 300 {
		fmt.Fprintf(&b, ": HTTP status %d", e.HTTPStatus)
	}
	for _, s := range []string{e.GraphCode, e.reason()} {
		if s != "" {
			b.WriteString(": " + s)
		}
	}
	if e.Message != "" {
		fmt.Fprintf(&b, ": %q", e.Message)
	}
	if e.Err != nil {
		b.WriteString(": " + wire.Cause(e.Err, e.URL))
	}
	return b.String()
}

// reason returns the deployment service's reason, or "".
func (e *Error) reason() string {
	if e.Code == 0 {
		return wire.Protocol("ZTD", e.Name)
	}
	return wire.Protocol("ZTD", strconv.Itoa(e.Code), e.Name)
}

// Unwrap returns e.Err, which may be nil.
func (e *Error) Unwrap() error { return e.Err }

// Operation returns e.Op.
func (e *Error) Operation() string { return e.Op }

// Service returns e.URL.
func (e *Error) Service() string { return e.URL }

// Status returns e.HTTPStatus.
func (e *Error) Status() int { return e.HTTPStatus }

// Protocol returns the deployment service's reason, such as "ZTD
// 808/ZtdDeviceAssignedToOtherTenant", else Graph's word, such as "Graph
// BadRequest", else "".
func (e *Error) Protocol() string {
	if s := e.reason(); s != "" {
		return s
	}
	return wire.Protocol("Graph", e.GraphCode)
}

// ServerMessage returns e.Message.
func (e *Error) ServerMessage() string { return e.Message }

// Reference returns e.RequestID.
func (e *Error) Reference() string { return e.RequestID }

// RetryDelay returns e.RetryAfter.
func (e *Error) RetryDelay() time.Duration { return e.RetryAfter }

// HRESULT returns the code that Windows has for the HTTP status or the network
// failure, or 0. Of the deployment service's reasons no HRESULT is public.
func (e *Error) HRESULT() uint32 {
	switch {
	case e.Code != 0 || e.Name != "":
		return 0
	case e.HTTPStatus >= 300:
		return hresult.HTTP(e.HTTPStatus)
	case errors.Is(e.Err, ErrMalformed):
		return hresult.InvalidData
	}
	return wire.HRESULT(e.Err)
}

// Retryable reports whether the same call may succeed later: after a network
// failure, after an HTTP status such as 429 or 503, while a synchronization is in
// progress, and after a StorageError of the deployment service. If [Client.Token]
// failed with an error that has this method, that decides.
func (e *Error) Retryable() bool {
	switch {
	case e.Code != 0 || e.Name != "":
		return ztd.Retryable(e.Name)
	case errors.Is(e.Err, ErrBusy):
		return true
	case e.HTTPStatus >= 300:
		return wire.RetryableStatus(e.HTTPStatus)
	}
	var token *tokenError
	var cause interface {
		error
		Retryable() bool
	}
	if errors.As(e.Err, &token) && errors.As(token.err, &cause) {
		return cause.Retryable()
	}
	return wire.Retryable(e.Err)
}

// A tokenError is the error of Client.Token.
type tokenError struct{ err error }

// Error returns what failed.
func (e *tokenError) Error() string { return "access token: " + plain.Text(e.err) }

// Unwrap returns the error of Client.Token.
func (e *tokenError) Unwrap() error { return e.err }

// Remedy returns what an administrator can do, in whole sentences, or "" if nothing
// is known to help.
func (e *Error) Remedy() string {
	if r := ztd.Remedy(e.Code, e.Name); r != "" {
		return r
	}
	switch {
	case errors.Is(e.Err, wire.ErrWebPage):
		return wire.RemedyPage
	case errors.Is(e.Err, ErrChanged):
		return "Read the object again, then decide anew."
	case errors.Is(e.Err, ErrBusy):
		return "Wait until the synchronization has ended."
	case errors.Is(e.Err, ErrRefused) && (e.Op == opImport || e.Op == opRegister):
		return "Take the hash from a real device."
	case errors.Is(e.Err, ErrMalformed), e.HTTPStatus >= 300 && e.HTTPStatus < 400:
		return "Check for a proxy that answers in the service's place. If there is none, tell the service's operator."
	case e.HTTPStatus == http.StatusTooManyRequests && e.RetryAfter == 0:
		return "The service limits how often it may be asked, a synchronization to once in ten minutes: try again later."
	case e.HTTPStatus == http.StatusUnauthorized:
		return "Obtain a fresh access token."
	case e.HTTPStatus == http.StatusForbidden:
		return "Grant the application the permission that the method names, and check that the tenant has a license for Intune."
	case e.HTTPStatus == http.StatusBadRequest && strings.Contains(e.Message, "Edm.Binary"):
		return "The hardware hash is not padded base64. Take it from the device again."
	case e.HTTPStatus == http.StatusNotFound && (e.GraphCode == "" || e.Op == opImport || e.Op == opRegister):
		return "There is no Microsoft Graph at this address: check it, its path included."
	case e.HTTPStatus == http.StatusNotFound:
		return "The object was deleted, or has not appeared yet: look again later."
	case e.HTTPStatus >= 300:
		return wire.StatusRemedy(e.HTTPStatus, e.RetryAfter)
	}
	return wire.Remedy(e.Err)
}

// refusal returns the error of an answer.
func refusal(op, url string, a *wire.Answer, now time.Time) *Error {
	e := &Error{Op: op, URL: url, HTTPStatus: a.Status, RetryAfter: wire.RetryAfter(a.Header, now), RequestID: a.Header.Get("request-id")}
	switch {
	case a.Status == http.StatusNotFound:
		e.Err = ErrGone
	case a.Status == http.StatusPreconditionFailed:
		e.Err = ErrChanged
	case a.Status == http.StatusConflict && op == opSync:
		e.Err = ErrBusy
	}
	var body struct {
		Error struct {
			Code, Message string
			InnerError    map[string]any `json:"innerError"`
		}
	}
	if json.Unmarshal(a.Body, &body) != nil {
		e.Message = wire.Page(a.Body)
		if wire.IsHTML(a.Body) && wire.Barred(a.Status) && e.Err == nil {
			e.Err = wire.ErrWebPage
		}
		return e
	}
	e.GraphCode, e.Message = wire.Words(body.Error.Code), body.Error.Message
	if e.RequestID == "" {
		id, _ := body.Error.InnerError["request-id"].(string)
		e.RequestID = wire.Words(id)
	}
	// Intune puts JSON into the text.
	var inner struct{ Message string }
	if json.Unmarshal([]byte(e.Message), &inner) == nil && inner.Message != "" {
		e.Message = inner.Message
	}
	// What follows is for the operator: "… - Operation ID (for customer support): …".
	e.Message, _, _ = strings.Cut(e.Message, " - Operation ID")
	e.Message = wire.Words(e.Message)
	return e
}
