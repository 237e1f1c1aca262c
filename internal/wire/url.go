package wire

import (
	"fmt"
	"net"
	"net/url"
)

// CheckSecure returns an error unless raw is the URL of a service that may be
// sent a secret: one reached by https, or by http on the loopback interface.
// The error wraps [ErrInsecure] if raw is a URL with another scheme or host.
func CheckSecure(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
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
	return fmt.Errorf("%w: %s is not https", ErrInsecure, Redact(raw))
}

// Loopback reports whether raw is the URL of a service on the loopback interface.
func Loopback(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}
