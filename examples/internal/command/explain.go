package command

import (
	"errors"
	"fmt"
	"strings"
)

// Explain returns err on one line: its text; the code that Windows has for it,
// as in "(0x80180014)", unless the text already has it; the notes; and the
// remedy, if the error or one that it wraps has one.
func Explain(err error, notes ...string) string {
	line := err.Error()
	var known interface {
		error
		HRESULT() uint32
		Remedy() string
	}
	remedy := ""
	if errors.As(err, &known) {
		remedy = known.Remedy()
		if code := known.HRESULT(); code != 0 && !strings.Contains(strings.ToLower(line), fmt.Sprintf("%#08x", code)) {
			line += fmt.Sprintf(" (0x%08X)", code)
		}
	}
	for _, sentence := range append(notes, remedy) {
		if sentence != "" {
			line = strings.TrimSuffix(line, ".") + ". " + sentence
		}
	}
	return OneLine(line)
}

// OneLine returns text with each run of white space, line ends too, replaced by
// one space.
func OneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
