package drstest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// maxBody limits the body of every request.
const maxBody = 256 << 10

// A refused is a request that is not granted: by the registration service in
// its modern JSON form, or by the token endpoint as OAuth has it.
type refused struct {
	status        int
	oauth         bool
	code, subcode string
	aadsts        int  // number in an OAuth error
	retry         bool // it may be tried again after 300 s
	reason        error
}

// An ErrorForm is how the registration service words an error.
type ErrorForm int

// The forms of errors, each of another generation of the service.
const (
	ErrorModern ErrorForm = iota // code, subcode, operation, requestId: Entra's
	ErrorLegacy                  // ErrorType, Message, TraceId, Time: [MS-DVRJ]
	ErrorKPP                     // code, message, response, clientrequestid: [MS-KPP]
)

// Error implements error.
func (e *refused) Error() string { return e.reason.Error() }

// Unwrap returns the reason.
func (e *refused) Unwrap() error { return e.reason }

func (e *refused) write(w http.ResponseWriter, now time.Time, form ErrorForm) {
	id := newGUID()
	if e.retry {
		w.Header().Set("Retry-After", "300")
	}
	w.Header().Set("request-id", id)
	if e.oauth {
		text := fmt.Sprintf("AADSTS%d: %v. Trace ID: %s Timestamp: %s", e.aadsts, e.reason, id, now.UTC().Format("2006-01-02 15:04:05Z"))
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
			"ErrorType": e.code, "Message": e.reason.Error(), "TraceId": id, "Time": now.UTC().Format("01-02-2006 15:04:05Z"),
		})
	case ErrorKPP:
		reply(w, e.status, map[string]any{
			"code": e.code, "message": e.reason.Error(), "response": "ERROR_FAIL", "target": operation(e), "clientrequestid": id, "time": at,
			"innererror": map[string]string{"trace": newGUID(), "context": ""},
		})
	default:
		reply(w, e.status, map[string]string{
			"code": e.code, "subcode": e.subcode, "operation": operation(e), "message": e.reason.Error(), "requestId": id, "time": at,
		})
	}
}

func operation(e *refused) string {
	if e.code == "AuthorizationError" {
		return "DeviceJoin"
	}
	return "POST"
}

// tenantNotFound refuses a request for a tenant that is not the server's.
func tenantNotFound(oauth bool, name string) error {
	reason := fmt.Errorf("tenant %q not found", name)
	if oauth {
		return &refused{status: http.StatusBadRequest, oauth: true, code: "invalid_request", aadsts: 90002, reason: reason}
	}
	return &refused{status: http.StatusBadRequest, code: "invalid_request", subcode: "error_tenant_not_found", reason: reason}
}

// badRequest refuses a request to the registration service that is not well
// formed.
func badRequest(format string, args ...any) error {
	return &refused{status: http.StatusBadRequest, code: "invalid_request", subcode: "error_fail", reason: fmt.Errorf(format, args...)}
}

// reply sends v as JSON.
func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// The peer may be gone: nobody is left to be told.
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
