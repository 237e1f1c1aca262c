package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"

	"github.com/whiteglove/whiteglove/internal/hresult"
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

// Retryable reports whether err, from [Do], is a network failure that may pass by
// itself. It is not if a certificate, a redirect or the size of the answer was
// refused, if the URL is invalid, or if the context of the request ended.
func Retryable(err error) bool {
	for _, final := range []error{ErrInsecure, ErrRedirect, ErrTooLarge, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, final) {
			return false
		}
	}
	if isTLS(err) {
		return false
	}
	if ue := (*url.Error)(nil); errors.As(err, &ue) {
		return ue.Op != "parse"
	}
	var ne net.Error
	return errors.As(err, &ne) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// HRESULT returns the code that WinHTTP has for a network failure, or 0 if err is
// nil or another error.
func HRESULT(err error) uint32 {
	var (
		dns *net.DNSError
		op  *net.OpError
		ne  net.Error
	)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, ErrInsecure):
		return hresult.HTTPSToHTTP
	case isTLS(err):
		return hresult.SecureFailure
	case errors.As(err, &dns):
		return hresult.NameNotResolved
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &ne) && ne.Timeout():
		return hresult.InternetTimeout
	case errors.As(err, &op) && op.Op == "dial":
		return hresult.CannotConnect
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return hresult.ConnectionReset
	}
	return 0
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
		errors.As(err, &host) || errors.As(err, &root)
}
