package wire

import (
	"strings"
	"unicode"
)

// Printable returns the words of a server as an error may show them on a terminal: at
// most most bytes of valid UTF-8, with a space for each character that does not print,
// such as those that move the cursor or reverse the direction of writing.
func Printable(text string, most int) string {
	if len(text) > most {
		text = text[:most]
	}
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	return strings.TrimSpace(text)
}
