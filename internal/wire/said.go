package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"strings"
	"unicode/utf8"
)

// maxSaid bounds what Said looks at, in bytes.
const maxSaid = 64 << 10

// Said returns what a body says to people that is not in the form that the
// protocol has for refusals: the message in a JSON object, the text of a web page
// or of other XML, or plain text. The result is on one line and as [Words]
// returns it. It is "" if the body is empty or binary.
func Said(body []byte) string {
	cut := len(body) > maxSaid
	if cut {
		body = body[:maxSaid]
	}
	text := strings.TrimPrefix(strings.TrimSpace(strings.ToValidUTF8(string(body), "\ufffd")), "\ufeff")
	var object any
	switch {
	case strings.Contains(text, "\x00") || !cut && !utf8.Valid(body) && strings.Count(text, "\ufffd") > len(text)/20:
		return ""
	case strings.HasPrefix(text, "<"):
		text = html.UnescapeString(withoutTags(withoutHidden(text)))
	case json.Unmarshal([]byte(text), &object) == nil:
		if said := messageIn(object, 4); said != "" {
			text = said
		}
	}
	return Words(strings.Join(strings.Fields(text), " "))
}

// messageKeys are the names under which services put what they say, the ones
// that tell most first. They are in lower case.
var messageKeys = []string{"error_description", "message", "errormessage", "detail", "details", "description", "reason", "title", "msg", "error", "errors", "value"}

// messageIn returns the message in a JSON value, at most some levels deep, or "".
func messageIn(v any, levels int) string {
	switch v := v.(type) {
	case string:
		return v
	case []any:
		if len(v) > 0 && levels > 0 {
			return messageIn(v[0], levels-1)
		}
	case map[string]any:
		for _, key := range messageKeys {
			for name, inner := range v {
				if !strings.EqualFold(name, key) || levels == 0 {
					continue
				}
				if said := messageIn(inner, levels-1); said != "" {
					return said
				}
			}
		}
	}
	return ""
}

// IsHTML reports whether a body is a web page.
func IsHTML(body []byte) bool {
	start := strings.ToLower(string(bytes.TrimSpace(bytes.TrimPrefix(body[:min(len(body), 200)], []byte("\ufeff")))))
	return strings.HasPrefix(start, "<!doctype html") || strings.HasPrefix(start, "<html") || strings.HasPrefix(start, "<head")
}

// ErrEmpty means that a service answered with nothing.
var ErrEmpty = errors.New("the answer is empty")

// Refusal returns an error for an answer whose status is 401 or 407 and whose
// header asks for an authentication of HTTP, which the clients do not do, or nil.
func Refusal(got *Answer) error {
	field := map[int]string{http.StatusUnauthorized: "WWW-Authenticate", http.StatusProxyAuthRequired: "Proxy-Authenticate"}[got.Status]
	scheme, _, _ := strings.Cut(strings.TrimSpace(got.Header.Get(field)), " ")
	if scheme == "" {
		return nil
	}
	return fmt.Errorf("%w: HTTP status %d asks for %.40q", ErrHTTPAuth, got.Status, Visible(scheme))
}

// ErrHTTPAuth means that a server or a proxy asks for an authentication of HTTP,
// such as Basic.
var ErrHTTPAuth = errors.New("authentication by HTTP is not supported")
