package wire

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
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
		host := u.Hostname()
		if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
			return nil
		}
	}
	return fmt.Errorf("%w: %s is not https", ErrInsecure, Redact(raw))
}

// NoRedirects returns a copy of c (nil: [http.DefaultClient]) that follows no
// redirect: [Do] then returns the redirect as the answer.
func NoRedirects(c *http.Client) *http.Client {
	if c == nil {
		c = http.DefaultClient
	}
	own := *c
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

// maxWords bounds what Words keeps, in bytes.
const maxWords = 1000

// Words returns a server's own words as an error keeps them: without space
// around them, and cut after 1000 bytes.
func Words(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > maxWords {
		s = strings.ToValidUTF8(s[:maxWords], "") + "…"
	}
	return s
}
