package wire

import (
	"slices"
	"strings"
	"unicode"
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

// Words returns a server's own words as an error keeps them: printable, without
// space around them, and cut after 1000 bytes.
func Words(s string) string {
	s = strings.TrimSpace(Visible(s))
	if len(s) > maxWords {
		s = strings.ToValidUTF8(s[:maxWords], "") + "…"
	}
	return s
}

// Visible returns s with a space for each white space, and with U+FFFD for
// each other character that does not print: control characters, with which a
// server could write over what a terminal shows, characters that change the
// direction of text, and bytes that are not UTF-8.
func Visible(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsPrint(r):
			return r
		case unicode.IsSpace(r):
			return ' '
		}
		return unicode.ReplacementChar
	}, s)
}
