package wire

import (
	"errors"
	"net/url"
	"strconv"
	"strings"

	"github.com/whiteglove/whiteglove/internal/plain"
)

// Cause returns the text of err for a message that names the server's URL already: in
// plain words ([plain.Text]), and without the method and the URL of a [*url.Error] in
// err if that has the same URL, but for its query. If a redirect led to another URL, the
// text says so.
func Cause(err error, server string) string {
	text := plain.Text(err)
	var ue *url.Error
	if !errors.As(err, &ue) || ue.Op == "parse" || server == "" {
		return text
	}
	said := ue.Op + " " + strconv.Quote(ue.URL) + ": "
	if ue.URL == server || Redact(ue.URL) == server {
		return strings.Replace(text, said, "", 1)
	}
	if errors.As(err, new(*redirected)) {
		return strings.Replace(text, said, "redirected to "+Redact(ue.URL)+": ", 1)
	}
	return text
}

// A redirected error is that of a request after a redirect. It says nothing of itself.
type redirected struct{ error }

// Unwrap returns the error of the request.
func (r *redirected) Unwrap() error { return r.error }
