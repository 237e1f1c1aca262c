package traffic

import (
	"net/http"
	"strings"

	"github.com/whiteglove/whiteglove/internal/hresult"
)

// A Failure is why a host was not reached. The zero value means that it was.
type Failure string

// Failures.
const (
	NoName    Failure = "its name is not resolved"
	NoAnswer  Failure = "it does not answer"
	NoConnect Failure = "the connection is refused"
	Reset     Failure = "the connection is cut"
	BadTLS    Failure = "TLS fails"
	Denied    Failure = "the proxy or firewall refuses it"
	NoUser    Failure = "the proxy asks for authentication"
	Unreached Failure = "the proxy does not reach it"
)

// Code returns the code that Windows has for a failed connection, 0 for none.
func (f Failure) Code() uint32 {
	switch f {
	case NoName:
		return hresult.NameNotResolved
	case NoAnswer:
		return hresult.InternetTimeout
	case NoConnect, Unreached:
		return hresult.CannotConnect
	case Reset:
		return hresult.ConnectionReset
	case BadTLS:
		return hresult.SecureFailure
	case Denied:
		return hresult.HTTP(http.StatusForbidden)
	case NoUser:
		return hresult.HTTP(http.StatusProxyAuthRequired)
	}
	return 0
}

// words tell failures by what browsers and proxies call them, in lower case.
var words = []struct {
	words []string
	means Failure
}{
	{[]string{"407", "auth_required", "proxy_auth"}, NoUser},
	{[]string{"dns", "name_not_resolved", "name not resolved", "no such host", "nxdomain", "unresolved"}, NoName},
	{[]string{"cert", "ssl", "tls", "handshake"}, BadTLS},
	{[]string{"denied", "blocked", "forbidden", "deny", "403", "tunnel_connection_failed"}, Denied},
	{[]string{"refused"}, NoConnect},
	{[]string{"timed", "timeout", "no answer", "unreachable"}, NoAnswer},
	{[]string{"reset", "closed", "aborted", "empty_response", "eof", "disconnect"}, Reset},
	{[]string{"502", "503", "504"}, Unreached},
}

// failureOf returns the failure that a text names, or "".
func failureOf(text string) Failure {
	text = strings.ToLower(text)
	for _, w := range words {
		for _, word := range w.words {
			if strings.Contains(text, word) {
				return w.means
			}
		}
	}
	return ""
}
