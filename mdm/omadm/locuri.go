package omadm

import (
	"net/url"
	"strings"
)

// The first names of the paths in the two scopes.
const (
	rootDevice = "Device"
	rootUser   = "User"
)

// splitPath returns the names in a LocURI, unescaped, and reports whether uri
// is one. "./Vendor/MSFT/A%20B" and "./Device/Vendor/MSFT/A B" both have the
// names Device, Vendor, MSFT and "A B". "." and "" name the root and have none.
func splitPath(uri string) ([]string, bool) {
	uri = strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(uri), "."), "/")
	uri = strings.TrimSuffix(uri, "/")
	if uri == "" {
		return nil, true
	}
	names := strings.SplitN(uri, "/", maxNodeDepth+1)
	for i, n := range names {
		if plain, err := url.PathUnescape(n); err == nil {
			n = plain // otherwise the name has a percent sign in it
		}
		if n == "" || n == "." || n == ".." || len(n) > maxNodeName {
			return nil, false
		}
		names[i] = n
	}
	if names[0] == "Vendor" {
		names = append([]string{rootDevice}, names...)
	}
	return names, len(names) <= maxNodeDepth
}

// joinPath returns the LocURI of names, escaped.
func joinPath(names []string) string {
	var b strings.Builder
	b.WriteString(".")
	for _, n := range names {
		b.WriteString("/" + url.PathEscape(n))
	}
	return b.String()
}

// matches reports whether pattern, in which "*" stands for any name, matches
// names or the beginning of it.
func matches(pattern, names []string) bool {
	if len(pattern) > len(names) {
		return false
	}
	for i, p := range pattern {
		if p != "*" && p != names[i] {
			return false
		}
	}
	return true
}
