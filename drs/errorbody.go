package drs

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/wire"
)

// maxText is the largest size of a text that is kept of an answer, in bytes.
const maxText = 2048

// A text is a string of an answer, cut to maxText and printable. Values of another type than
// a string, which some servers send in JSON, become "".
type text string

// UnmarshalJSON implements [json.Unmarshaler]. The error is always nil.
func (t *text) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) != nil {
		return nil
	}
	return t.UnmarshalText([]byte(s))
}

// UnmarshalText implements [encoding.TextUnmarshaler], for XML. The error is always nil.
func (t *text) UnmarshalText(b []byte) error {
	s := string(b)
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "")
	}
	*t = text(wire.Visible(s))
	return nil
}

// An errorBody has the members of all forms of an error answer: legacy, [MS-DVRJ]
// (ErrorType, TraceId); modern (code, subcode, operation, requestId); key provisioning,
// [MS-KPP] (code, response, clientrequestid); and OAuth (error, error_description,
// suberror). The case of names is ignored.
type errorBody struct {
	ErrorType text `json:"ErrorType"`
	Message   text `json:"Message"`
	TraceID   text `json:"TraceId"`

	Code            text `json:"code"`
	Subcode         text `json:"subcode"`
	Operation       text `json:"operation"`
	RequestID       text `json:"requestId"`
	Response        text `json:"response"`
	ClientRequestID text `json:"clientrequestid"`

	// A string in OAuth; an object in one old form of key provisioning.
	Outer       json.RawMessage `json:"error"`
	Description text            `json:"error_description"`
	Suberror    text            `json:"suberror"`
	OAuthTrace  text            `json:"trace_id"`
}

// refusal returns the Error of an answer with an error status.
func refusal(op, url string, a *wire.Answer, now time.Time) *Error {
	e := &Error{Op: op, URL: wire.Redact(url), HTTPStatus: a.Status, RetryAfter: wire.RetryAfter(a.Header, now), clocks: wire.ClocksOf(a.Header, now)}
	e.read(a.Body)
	if e.RequestID == "" {
		e.RequestID = requestID(a.Header)
	}
	return e
}

// read sets the fields of e from an error body, as far as that can be read.
func (e *Error) read(b []byte) {
	var body errorBody
	if json.Unmarshal(withoutMark(b), &body) != nil {
		e.Message = wire.Page(b)
		if wire.IsHTML(b) && wire.Barred(e.HTTPStatus) {
			e.Err = wire.ErrWebPage
		}
		return
	}
	var outer errorBody
	var oauth text
	if json.Unmarshal(body.Outer, &outer) != nil {
		outer = errorBody{}
		// The error is ignored: a value of another type tells nothing.
		_ = json.Unmarshal(body.Outer, &oauth)
	}
	e.Code = first(body.Code, body.ErrorType, oauth, outer.Code)
	e.Subcode = first(body.Subcode, body.Suberror, body.Response, outer.Subcode)
	e.ServerOperation = first(body.Operation, outer.Operation)
	e.Message = first(body.Message, body.Description, outer.Message)
	e.RequestID = first(body.RequestID, body.TraceID, body.ClientRequestID, body.OAuthTrace, outer.RequestID)
}

// first returns the first text that is not empty, or "".
func first(list ...text) string {
	for _, t := range list {
		if t != "" {
			return string(t)
		}
	}
	return ""
}

// requestID returns the identifier of a request in the header of its answer, or "".
func requestID(h http.Header) string {
	for _, name := range []string{"request-id", "x-ms-request-id", "client-request-id"} {
		if v := h.Get(name); v != "" && len(v) <= maxText {
			return wire.Visible(v)
		}
	}
	return ""
}

// withoutMark removes the byte order mark with which some servers begin JSON.
func withoutMark(b []byte) []byte {
	return bytes.TrimPrefix(b, []byte("\xEF\xBB\xBF"))
}
