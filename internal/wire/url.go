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
		return NotAbsolute(raw)
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

// NotAbsolute returns the error for a text that is no absolute URL.
func NotAbsolute(raw string) error {
	u, _ := url.Parse(raw) // nil if it is none at all
	if without := unhosted(u); without != "" {
		return fmt.Errorf("%s is not an absolute URL%s", quoted(raw), without)
	}
	// A host without a scheme is no URL, or is one whose scheme is the host.
	if short := Redact("https://" + raw); short != "" && raw != "" && !strings.Contains(raw, "//") && raw[0] != '/' {
		return fmt.Errorf("%.100q is not an absolute URL: https:// is missing before it", strings.TrimPrefix(short, "https://"))
	}
	return fmt.Errorf("%s is not an absolute URL", quoted(raw))
}

// quoted returns a URL that is none as it was written, without what may be secret.
func quoted(raw string) string {
	short := Redact(raw)
	switch scheme, path, ok := strings.Cut(short, ":"); {
	case raw == "":
		return `""`
	case short == "":
		return "the text" // of which nothing is known
	case ok && strings.HasPrefix(raw[len(scheme):], "://") && !strings.HasPrefix(path, "//"):
		short = scheme + "://" + path
	}
	return fmt.Sprintf("%.100q", short)
}

// unhosted says that a URL has no host, if it is one otherwise.
func unhosted(u *url.URL) string {
	if u != nil && u.Host == "" && u.Opaque == "" && (u.Scheme == "https" || u.Scheme == "http") {
		return ": the host is missing after " + u.Scheme + "://"
	}
	return ""
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
