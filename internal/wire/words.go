package wire

import (
	"slices"
	"strings"
)

// Protocol returns the name of a protocol followed by its codes, as in "DRS
// AuthorizationError/tpm_ek_unknown". It leaves out empty codes, and returns "" if
// all are empty.
func Protocol(name string, codes ...string) string {
	codes = slices.DeleteFunc(codes, func(s string) bool { return s == "" })
	if len(codes) == 0 {
		return ""
	}
	return name + " " + strings.Join(codes, "/")
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
