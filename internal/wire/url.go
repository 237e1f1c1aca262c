package wire

import (
	"fmt"
	"net"
	"net/url"
	"strings"
)

// CheckSecure returns an error unless raw is the URL of a service that may be
// sent a secret: one reached by https, or by http on the loopback interface.
// The error wraps [ErrInsecure] if raw is a URL with another scheme or host.
func CheckSecure(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		// A host without a scheme is no URL, or is one whose scheme is the host.
		if short := Redact("https://" + raw); short != "" && raw != "" && !strings.Contains(raw, "//") && raw[0] != '/' {
			return fmt.Errorf("%.100q is not an absolute URL: https:// is missing before it", strings.TrimPrefix(short, "https://"))
		}
		return fmt.Errorf("%.100q is not an absolute URL", Redact(raw))
	}
	switch u.Scheme {
	case "https":
		return nil
	case "http":
		if Loopback(raw) {
			return nil
		}
	}
	return Insecure(raw)
}

// Insecure returns the error for a URL that is not one of https. It wraps
// [ErrInsecure].
func Insecure(raw string) error { return insecure(Redact(raw)) }

// An insecure URL is an error. It is not said to be a redirect.
type insecure string

// Error returns that the URL is not https.
func (i insecure) Error() string { return string(i) + " is not https" }

// Unwrap returns ErrInsecure.
func (i insecure) Unwrap() error { return ErrInsecure }

// Loopback reports whether raw is the URL of a service on the loopback interface.
func Loopback(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}
