package drstest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/refusal"
)

// maxBody is the largest body of a request, in bytes.
const maxBody = 256 << 10

// A refused is the error of a request that the server refuses.
type refused struct {
	status        int    // HTTP status
	oauth         bool   // the form is that of OAuth, not that of the registration service
	code, subcode string // with oauth, error and suberror
	aadsts        int    // number in an OAuth error
	retry         bool   // send a Retry-After of 300 s
	reason        error  // for the message and Refusals
}

// An ErrorForm is the JSON form of the registration service's errors. Errors of the token
// endpoint have the form of OAuth.
type ErrorForm int

// The forms of errors, with their members.
const (
	ErrorModern ErrorForm = iota // of Entra: code, subcode, operation, requestId
	ErrorLegacy                  // of [MS-DVRJ]: ErrorType, Message, TraceId, Time; no subcode
	ErrorKPP                     // of [MS-KPP]: code, message, response, clientrequestid; no subcode
)

// Error implements error.
func (e *refused) Error() string { return refusal.Text(e.reason) }

// Unwrap returns the reason.
func (e *refused) Unwrap() error { return e.reason }

// write sends the error in a form.
func (e *refused) write(w http.ResponseWriter, now time.Time, form ErrorForm) {
	id := newGUID()
	if e.retry {
		w.Header().Set("Retry-After", "300")
	}
	w.Header().Set("request-id", id)
	if e.oauth {
		text := fmt.Sprintf("AADSTS%d: %v. Trace ID: %s Timestamp: %s", e.aadsts, e, id, now.UTC().Format("2006-01-02 15:04:05Z"))
		reply(w, e.status, map[string]any{
			"error": e.code, "error_description": text, "error_codes": []int{e.aadsts}, "suberror": e.subcode,
			"timestamp": now.UTC().Format("2006-01-02 15:04:05Z"), "trace_id": id, "correlation_id": newGUID(),
		})
		return
	}
	at := now.UTC().Format("2006-01-02T15:04:05.0000000Z")
	switch form {
	case ErrorLegacy:
		reply(w, e.status, map[string]string{
			"ErrorType": e.code, "Message": e.Error(), "TraceId": id, "Time": now.UTC().Format("01-02-2006 15:04:05Z"),
		})
	case ErrorKPP:
		reply(w, e.status, map[string]any{
			"code": e.code, "message": e.Error(), "response": "ERROR_FAIL", "target": operation(e), "clientrequestid": id, "time": at,
			"innererror": map[string]string{"trace": newGUID(), "context": ""},
		})
	default:
		reply(w, e.status, map[string]string{
			"code": e.code, "subcode": e.subcode, "operation": operation(e), "message": e.Error(), "requestId": id, "time": at,
		})
	}
}

// operation returns the name that the service gives the operation.
func operation(e *refused) string {
	if e.code == "AuthorizationError" {
		return "DeviceJoin"
	}
	return "POST"
}

// tenantNotFound returns the error for a tenant that is not the server's.
func tenantNotFound(oauth bool, name string) error {
	reason := fmt.Errorf("tenant %q not found", name)
	if oauth {
		return &refused{status: http.StatusBadRequest, oauth: true, code: "invalid_request", aadsts: 90002, reason: reason}
	}
	return &refused{status: http.StatusBadRequest, code: "invalid_request", subcode: "error_tenant_not_found", reason: reason}
}

// badRequest returns the error for a request to the registration service that is not well
// formed.
func badRequest(format string, args ...any) error {
	return &refused{status: http.StatusBadRequest, code: "invalid_request", subcode: "error_fail", reason: fmt.Errorf(format, args...)}
}

// reply sends v as JSON.
func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// The error is ignored: the client has disconnected.
	_ = json.NewEncoder(w).Encode(v)
}

// readJSON reads the body of a request into v.
func readJSON(w http.ResponseWriter, r *http.Request, v any) error {
	if t := r.Header.Get("Content-Type"); !strings.HasPrefix(strings.ToLower(t), "application/json") {
		return badRequest("content type %q", t)
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	if err := d.Decode(v); err != nil {
		return badRequest("body: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return badRequest("body: more than one JSON value")
	}
	return nil
}
