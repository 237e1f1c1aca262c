package hresult

import (
	"strconv"
	"strings"
)

// gap stands for other words in the text of a row.
const gap = " ... "

// Text returns the row of that text, such as a subcode, or nil.
func Text(text string) *Row {
	for _, r := range loaded().texts {
		if strings.EqualFold(r.Text, text) {
			return r
		}
	}
	return nil
}

// Texts returns the rows whose text is in s, in the order of the table. Case does not
// matter, and a text that begins or ends in a letter, digit or underscore does not
// match within a word.
func Texts(s string) []*Row {
	var found []*Row
	s = strings.ToLower(s)
	for _, r := range loaded().texts {
		if isIn(s, r.lower) {
			found = append(found, r)
		}
	}
	return found
}

// isIn reports whether a text, in parts around gaps, is in s.
func isIn(s, text string) bool {
	for part := range strings.SplitSeq(text, gap) {
		at := index(s, part)
		if at < 0 {
			return false
		}
		s = s[at+len(part):]
	}
	return true
}

// index is strings.Index for whole words.
func index(s, part string) int {
	for from := 0; ; {
		at := strings.Index(s[from:], part)
		if at < 0 {
			return -1
		}
		at += from
		end := at + len(part)
		if (at == 0 || !isWord(s[at-1]) || !isWord(part[0])) && (end == len(s) || !isWord(s[end]) || !isWord(part[len(part)-1])) {
			return at
		}
		from = at + 1
	}
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z'
}

// AADSTS returns the row of the number with which a message of the token service
// begins, as in "AADSTS50155: Device authentication failed.", or nil.
func AADSTS(message string) *Row {
	const name = "AADSTS"
	text, ok := strings.CutPrefix(message, name)
	if !ok {
		return nil
	}
	if end := strings.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' }); end >= 0 {
		text = text[:end]
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return nil
	}
	return Numbered(name, uint32(n))
}
