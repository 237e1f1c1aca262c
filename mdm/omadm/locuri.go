package omadm

import (
	"net/url"
	"strings"
)

// rootDevice and rootUser begin the paths of the two scopes.
const (
	rootDevice = "Device"
	rootUser   = "User"
)

// splitPath returns the names of a LocURI's nodes, unescaped, and whether it is
// one: "./Vendor/MSFT/A%20B" and "./Device/Vendor/MSFT/A B" both are Device,
// Vendor, MSFT, "A B". "." and "" are the root, of no names.
func splitPath(uri string) ([]string, bool) {
	uri = strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(uri), "."), "/")
	uri = strings.TrimSuffix(uri, "/")
	if uri == "" {
		return nil, true
	}
	names := strings.Split(uri, "/")
	if len(names) > maxNodeDepth {
		return nil, false
	}
	for i, n := range names {
		if plain, err := url.PathUnescape(n); err == nil {
			n = plain // otherwise it is a name with a percent sign
		}
		if n == "" || n == "." || n == ".." || len(n) > maxNodeName {
			return nil, false
		}
		names[i] = n
	}
	if names[0] == "Vendor" {
		names = append([]string{rootDevice}, names...)
	}
	return names, true
}

// joinPath is the LocURI of names.
func joinPath(names []string) string {
	var b strings.Builder
	b.WriteString(".")
	for _, n := range names {
		b.WriteString("/" + url.PathEscape(n))
	}
	return b.String()
}

// matches reports whether pattern, in which "*" stands for any one name, leads
// to names or a node above it.
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
