package wire

import "strings"

// hidden are the elements of a web page whose content nobody sees.
var hidden = [...]string{"script", "style", "svg"}

// withoutHidden returns markup with a space in place of each comment and of each
// hidden element. One that does not end takes the rest of the text.
func withoutHidden(text string) string {
	var out strings.Builder
	for {
		start := strings.IndexByte(text, '<')
		if start < 0 {
			break
		}
		out.WriteString(text[:start])
		text = text[start:]
		length := 0
		if inner, ok := strings.CutPrefix(text, "<!--"); ok {
			length = len(text)
			if end := strings.Index(inner, "-->"); end >= 0 {
				length = len("<!--") + end + len("-->")
			}
		} else if name := hiddenName(text[1:]); name > 0 && !isWord(text[1+name:]) {
			length = hiddenEnd(text)
		}
		if length == 0 {
			out.WriteByte('<')
			text = text[1:]
			continue
		}
		out.WriteByte(' ')
		text = text[length:]
	}
	out.WriteString(text)
	return out.String()
}

// hiddenName returns the length of the hidden element's name with which text begins, or
// 0.
func hiddenName(text string) int {
	for _, name := range hidden {
		if len(text) >= len(name) && strings.EqualFold(text[:len(name)], name) {
			return len(name)
		}
	}
	return 0
}

// isWord reports whether text begins with a letter, a digit or an underscore, all of
// ASCII.
func isWord(text string) bool {
	if text == "" {
		return false
	}
	c := text[0]
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

// hiddenEnd returns the index behind the first end tag of a hidden element in text, or
// the length of text if there is none.
func hiddenEnd(text string) int {
	for at := 0; ; {
		next := strings.Index(text[at:], "</")
		if next < 0 {
			return len(text)
		}
		at += next + len("</")
		if name := hiddenName(text[at:]); name > 0 {
			rest := strings.TrimLeft(text[at+name:], "\t\n\f\r ")
			if strings.HasPrefix(rest, ">") {
				return len(text) - len(rest) + 1
			}
		}
	}
}

// withoutTags returns markup with a space in place of each tag. One that does not end
// takes the rest of the text.
func withoutTags(text string) string {
	var out strings.Builder
	for {
		before, tag, ok := strings.Cut(text, "<")
		out.WriteString(before)
		if !ok {
			return out.String()
		}
		out.WriteByte(' ')
		_, text, _ = strings.Cut(tag, ">")
	}
}
