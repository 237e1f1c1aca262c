package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/internal/plain"
)

// RetryableStatus reports whether a request that was answered with an HTTP status
// may be answered otherwise later.
func RetryableStatus(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests,
		http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// finals are errors that do not pass by themselves.
var finals = []error{
	ErrInsecure, ErrRedirect, ErrTooLarge, errTLSPort, context.Canceled, context.DeadlineExceeded, fs.ErrNotExist, fs.ErrPermission, fs.ErrInvalid,
}

// Retryable reports whether err is a network failure that may pass by itself, such
// as most errors of [Do]. It is not if a certificate, a redirect, the size of the
// answer or a local file or socket was refused, if the URL or the address is
// invalid, if there is no such host, if a proxy refuses or is not there, or if the
// context of the request ended.
func Retryable(err error) bool {
	for _, final := range finals {
		if errors.Is(err, final) {
			return false
		}
	}
	var (
		file *fs.PathError
		said *proxyRefusal
		ue   *url.Error
		op   *net.OpError
		dns  *net.DNSError
	)
	inNetwork := errors.As(err, &op)
	switch {
	case errors.As(err, &said):
		return RetryableStatus(said.status)
	case isTLS(err), isAddress(err), errors.As(err, &file), inNetwork && strings.HasPrefix(op.Net, "unix"):
		return false
	case inNetwork && op.Op == "proxyconnect" && plain.IsRefused(err), errors.As(err, &dns) && dns.IsNotFound:
		return false
	case errors.As(err, &ue):
		u, err := url.Parse(ue.URL)
		return ue.Op != "parse" && err == nil && (u.Scheme == "http" || u.Scheme == "https")
	case inNetwork, errors.As(err, &dns):
		return true
	}
	return plain.IsCut(err) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, ErrSlow)
}

// isAddress reports whether the address of a connection is invalid.
func isAddress(err error) bool {
	var (
		address *net.AddrError
		parse   *net.ParseError
		invalid net.InvalidAddrError
		network net.UnknownNetworkError
	)
	return errors.As(err, &address) || errors.As(err, &parse) || errors.As(err, &invalid) || errors.As(err, &network)
}

// HRESULT returns the code that WinHTTP has for a network failure, or that of a mistake of
// the calling program, or 0 if err is nil or another error.
func HRESULT(err error) uint32 {
	var (
		dns *net.DNSError
		op  *net.OpError
		ne  net.Error

		said *proxyRefusal
	)
	switch {
	case err == nil:
		return 0
	case isMisuse(err):
		return misuse.InvalidParameter
	case errors.As(err, &said):
		return said.hresult()
	case errors.Is(err, errTLSPort):
		return hresult.InvalidResponse
	case errors.Is(err, ErrInsecure):
		return hresult.HTTPSToHTTP
	case errors.Is(err, ErrWebPage):
		return hresult.InvalidResponse
	case errors.Is(err, ErrRedirect):
		return hresult.RedirectFailed
	case isTLS(err):
		return hresult.SecureFailure
	case errors.As(err, &dns):
		return hresult.NameNotResolved
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &ne) && ne.Timeout():
		return hresult.InternetTimeout
	case errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect"):
		return hresult.CannotConnect
	case plain.IsCut(err):
		return hresult.ConnectionReset
	}
	return 0
}

// isMisuse reports whether err is a mistake of the calling program.
func isMisuse(err error) bool {
	_, ok := misuse.Is(err)
	return ok
}

// isTLS reports whether TLS failed, such as for the server's certificate.
func isTLS(err error) bool {
	var (
		verify *tls.CertificateVerificationError
		record tls.RecordHeaderError
		alert  tls.AlertError
		host   x509.HostnameError
		root   x509.UnknownAuthorityError
	)
	return errors.As(err, &verify) || errors.As(err, &record) || errors.As(err, &alert) ||
		errors.As(err, &host) || errors.As(err, &root) || errors.Is(err, http.ErrSchemeMismatch)
}
