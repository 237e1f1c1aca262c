package plain

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
)

// cutOff is said where a connection ended before the answer did.
const cutOff = "the connection was cut before the answer"

// noTLS is said where a server answers without TLS.
const noTLS = "the server does not speak TLS at this port"

// Codes of Windows, which are not those of package syscall: WSAENETUNREACH,
// WSAECONNABORTED, WSAECONNRESET, WSAECONNREFUSED and WSAEHOSTUNREACH.
const (
	wsaNoNet   syscall.Errno = 10051
	wsaAborted syscall.Errno = 10053
	wsaReset   syscall.Errno = 10054
	wsaRefused syscall.Errno = 10061
	wsaNoHost  syscall.Errno = 10065
)

// IsRefused reports whether nothing listens at an address.
func IsRefused(err error) bool { return isAny(err, syscall.ECONNREFUSED, wsaRefused) }

// IsUnreachable reports whether this device has no way to an address.
func IsUnreachable(err error) bool {
	return isAny(err, syscall.ENETUNREACH, syscall.EHOSTUNREACH, wsaNoNet, wsaNoHost)
}

// IsCut reports whether a connection ended before the answer did.
func IsCut(err error) bool {
	return isAny(err, io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, wsaReset, wsaAborted, syscall.EPIPE, io.ErrClosedPipe) || IsStream(err)
}

// isAny reports whether err is one of some errors.
func isAny(err error, among ...error) bool {
	for _, e := range among {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// streamed returns the code of HTTP/2 in what net/http says of a stream or a connection
// that ended, such as "INTERNAL_ERROR", and whether it says that. The types of these errors
// are not exported.
func streamed(text string) (code string, ok bool) {
	rest, isStream := strings.CutPrefix(text, "stream error: stream ID ")
	if isStream {
		_, rest, _ = strings.Cut(rest, "; ")
	} else if rest, isStream = strings.CutPrefix(text, "connection error: "); !isStream {
		if strings.HasPrefix(text, "http2: server sent GOAWAY") {
			_, rest, _ = strings.Cut(text, "ErrCode=")
		} else if !strings.HasPrefix(text, "http2: client connection ") && text != "http: server closed idle connection" {
			return "", false
		}
	}
	end := strings.IndexFunc(rest, func(r rune) bool { return r != '_' && (r < 'A' || r > 'Z') && (r < '0' || r > '9') })
	if end >= 0 {
		rest = rest[:end]
	}
	return rest, true
}

// IsStream reports whether an error in the chain of err says that HTTP/2 ended a stream
// or a connection.
func IsStream(err error) bool {
	for range maxErrors {
		if err == nil {
			return false
		}
		inner := errors.Unwrap(err)
		if _, ok := err.(interface{ Unwrap() []error }); inner == nil && !ok {
			_, ok := streamed(err.Error())
			return ok
		}
		err = inner
	}
	return false
}

// networkWords returns what an error of the network says, and whether err is one.
func networkWords(err error) (string, bool) {
	switch err {
	case context.DeadlineExceeded:
		return "the time limit ended", true
	case context.Canceled:
		return "canceled", true
	case os.ErrDeadlineExceeded:
		return "no answer in time", true
	}
	switch e := err.(type) {
	case *net.DNSError:
		return dnsWords(e), true
	case *net.OpError:
		return opWords(e)
	case *url.Error:
		if e.Op == "parse" {
			return "it is not a URL: " + Text(e.Err), true
		}
		return "", false
	case interface{ Unwrap() error }, interface{ Unwrap() []error }:
		return "", false
	}
	if err.Error() == "http: server gave HTTP response to HTTPS client" { // http.ErrSchemeMismatch
		return noTLS, true
	}
	if code, ok := streamed(err.Error()); ok {
		if code != "" {
			return cutOff + " (HTTP/2 " + code + ")", true
		}
		return cutOff, true
	}
	return "", false
}

// dnsWords says why a name has no address.
func dnsWords(e *net.DNSError) string {
	name := clean(e.Name)
	switch {
	case e.IsNotFound:
		return fmt.Sprintf("no such host: %.100q", name)
	case e.IsTimeout:
		return fmt.Sprintf("no DNS server answers when asked for %.100q", name)
	}
	return fmt.Sprintf("DNS fails for %.100q", name)
}

// opWords says which operation of the network failed, and why.
func opWords(e *net.OpError) (string, bool) {
	at := ""
	if e.Addr != nil {
		at = e.Addr.String()
	}
	var dns *net.DNSError
	var inner *net.OpError
	switch {
	case e.Op == "proxyconnect":
		return "the proxy is not reached: " + Text(e.Err), true
	case strings.HasPrefix(e.Net, "unix") && !IsRefused(e):
		return "", false
	case e.Op == "remote error":
		return "the server ends TLS: " + strings.TrimPrefix(e.Err.Error(), "tls: "), true
	case errors.As(e.Err, &dns):
		return dnsWords(dns), true
	case e.Op == "dial" && errors.As(e.Err, &inner):
		return Text(e.Err), true
	case e.Op == "dial" && IsRefused(e):
		return strings.TrimSuffix("nothing listens at "+at, " at ") + ": connection refused", true
	case e.Op == "dial" && IsUnreachable(e):
		return "this device has no way to " + cmp.Or(at, "the address"), true
	case e.Op == "dial" && e.Timeout() && !errors.Is(e, context.DeadlineExceeded):
		return "nothing answers at " + cmp.Or(at, "the address"), true
	case e.Op == "dial":
		return "no connection to " + cmp.Or(at, "the address") + ": " + Text(e.Err), true
	case IsRefused(e) && !strings.HasPrefix(e.Net, "unix"): // a packet of UDP
		return strings.TrimSuffix("nothing listens at "+at, " at "), true
	case IsCut(e):
		return cutOff, true
	case e.Timeout():
		return "no answer in time", true
	}
	return "", false
}
