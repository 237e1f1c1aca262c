package drs

import (
	"bytes"
	"encoding/json"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/whiteglove/whiteglove/internal/wire"
)

// maxText limits each text that is kept of an error answer, in bytes.
const maxText = 2048

// text is a JSON string. A value of another type, as odd servers send, is "".
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) != nil {
		return nil
	}
	if len(s) > maxText {
		s = s[:maxText]
		for !utf8.ValidString(s) {
			s = s[:len(s)-1]
		}
	}
	*t = text(s)
	return nil
}

// An errorBody has the members of all forms of an error answer: legacy
// (ErrorType, TraceId), modern (code, subcode, operation, requestId), key
// provisioning (code, response, clientrequestid) and OAuth (error,
// error_description, suberror). Names are matched in any case.
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

// refusal makes an error of an answer with an error status.
func refusal(op, url string, a *wire.Answer, now time.Time) *Error {
	e := &Error{Op: op, URL: wire.Redact(url), HTTPStatus: a.Status, RetryAfter: wire.RetryAfter(a.Header, now)}
	e.read(a.Body)
	if e.RequestID == "" {
		e.RequestID = requestID(a.Header)
	}
	return e
}

// read fills in what an error body says. What cannot be read is left out.
func (e *Error) read(b []byte) {
	var body errorBody
	if json.Unmarshal(withoutMark(b), &body) != nil {
		return
	}
	var outer errorBody
	var oauth text
	if json.Unmarshal(body.Outer, &outer) != nil {
		outer = errorBody{}
		// Neither an object nor a string: nothing is known.
		_ = json.Unmarshal(body.Outer, &oauth)
	}
	e.Code = first(body.Code, body.ErrorType, oauth, outer.Code)
	e.Subcode = first(body.Subcode, body.Suberror, body.Response, outer.Subcode)
	e.ServerOperation = first(body.Operation, outer.Operation)
	e.Message = first(body.Message, body.Description, outer.Message)
	e.RequestID = first(body.RequestID, body.TraceID, body.ClientRequestID, body.OAuthTrace, outer.RequestID)
}

func first(list ...text) string {
	for _, t := range list {
		if t != "" {
			return string(t)
		}
	}
	return ""
}

func requestID(h http.Header) string {
	for _, name := range []string{"request-id", "x-ms-request-id", "client-request-id"} {
		if v := h.Get(name); v != "" && len(v) <= maxText {
			return v
		}
	}
	return ""
}

// withoutMark removes the byte order mark that some servers begin JSON with.
func withoutMark(b []byte) []byte {
	return bytes.TrimPrefix(b, []byte("\xEF\xBB\xBF"))
}
