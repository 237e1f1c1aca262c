package trace

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// An answer that refuses may repeat what was sent, with a token or a password in
// it. hidden stands for such a part.
const hidden = "[hidden]"

// leastSecret is the length in bytes from which a value is looked for. Hiding
// shorter ones everywhere would make the text unreadable.
const leastSecret = 4

// maxSecrets is how many secrets of a request are looked for.
const maxSecrets = 100

// openFields are the fields of forms whose values are no secrets.
var openFields = []string{"grant_type", "client_id", "resource", "scope", "redirect_uri", "response_type", "windows_api_version", "client_info"}

// patterns find what may be secret in a message. They are compiled at their first
// use.
var patterns = sync.OnceValue(func() (p struct{ jwt, word, named *regexp.Regexp }) {
	p.jwt = regexp.MustCompile(`eyJ[\w-]{8,}(\.[\w-]*)+`)
	p.word = regexp.MustCompile(`[A-Za-z0-9_+/=-]{24,}`)
	p.named = regexp.MustCompile(`(?i)(?:<[^<>]*password[^<>]*>|"[^"]*(?:password|token|secret|ticket|nonce)[^"]*"\s*:\s*")([^<"]*)`)
	return p
})

// withoutEcho returns the text of an answer without what may be a secret of its
// request: values of a form, credentials in headers, values whose name says that
// they are secret, and long words such as keys in base64. Tokens in JWT form are
// hidden wherever they come from.
func withoutEcho(text string, req *http.Request, body []byte) string {
	text = patterns().jwt.ReplaceAllString(text, hidden)
	for _, secret := range secretsOf(req, string(body)) {
		for _, form := range []string{secret, url.QueryEscape(secret), html.EscapeString(secret)} {
			text = strings.ReplaceAll(text, form, hidden)
		}
	}
	return text
}

// secretsOf returns the parts of a request that may be secrets, the longest
// first.
func secretsOf(req *http.Request, body string) []string {
	var secrets []string
	for _, name := range []string{"Authorization", "Cookie", "X-Device-Token"} {
		for _, value := range req.Header[name] {
			secrets = append(secrets, strings.FieldsFunc(value, func(r rune) bool { return r == ' ' || r == ';' || r == ',' })...)
		}
	}
	if strings.HasPrefix(req.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		secrets = append(secrets, formSecrets(body)...)
	} else {
		secrets = append(secrets, slices.DeleteFunc(patterns().word.FindAllString(body, -1), isPlain)...)
		for _, m := range patterns().named.FindAllStringSubmatch(body, -1) {
			secrets = append(secrets, m[1])
		}
	}
	secrets = slices.DeleteFunc(secrets, func(s string) bool { return len(s) < leastSecret || s == "Bearer" || s == "Basic" })
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	secrets = slices.Compact(secrets)
	return secrets[:min(len(secrets), maxSecrets)]
}

// formSecrets returns the values of a form but those of openFields.
func formSecrets(body string) []string {
	form, err := url.ParseQuery(body)
	if err != nil {
		return nil
	}
	var secrets []string
	for name, values := range form {
		if !slices.Contains(openFields, name) {
			secrets = append(secrets, values...)
		}
	}
	return secrets
}

// isPlain reports whether a long word lacks one of the kinds of characters that a
// key or token in base64 has, as a path or an identifier does.
func isPlain(word string) bool {
	return !strings.ContainsAny(word, "0123456789") || strings.ToLower(word) == word || strings.ToUpper(word) == word
}
