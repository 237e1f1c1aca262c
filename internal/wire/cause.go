package wire

import (
	"errors"
	"net/url"
	"strings"
)

// Cause returns the text of err for a message that names the server's URL already:
// without the method and the URL of a [*url.Error] in err if that has the same URL, but
// for its query.
func Cause(err error, server string) string {
	text := err.Error()
	var ue *url.Error
	if errors.As(err, &ue) && (ue.URL == server || Redact(ue.URL) == server) && ue.Err != nil {
		return strings.Replace(text, ue.Error(), ue.Err.Error(), 1)
	}
	return text
}
