package main

import (
	"regexp"
	"strings"
)

var (
	// sentenceEnd is a mark, perhaps closed by a quote or bracket, before a new
	// sentence.
	sentenceEnd  = regexp.MustCompile(`[.!?]["')\]]*\s+(?:["'(\[]*[A-Z0-9"“]|\n)`)
	abbreviation = regexp.MustCompile(`\b(e\.g|i\.e|etc|vs|cf|no|sec|resp|approx)\.$`)
	space        = regexp.MustCompile(`\s+`)

	sentinel  = regexp.MustCompile(`\bErr[A-Z]\w*|\b(io\.EOF|io\.ErrUnexpectedEOF|context\.(Canceled|DeadlineExceeded)|fs\.Err\w+)\b`)
	errorType = regexp.MustCompile(`\*(\w+\.)?\w*Error\b|\[\*?(\w+\.)?\w*Error\]`)

	// aboutError is a sentence in which the error is something, comes of
	// something or is returned under a condition.
	aboutError = regexp.MustCompile(`(?i)\berrors?\b[^;]*?\b(is|are|was|wraps?|of|from|if|when|unless|that|says?|tells?|means|names|carries|matches|joins?)\b|` +
		`\b(if|unless|when|for|where)\b.*\b(returns?|gives?|reports?|is|are|it's)\b.*\berrors?\b`)
	noError = regexp.MustCompile(`(?i)\balways (returns )?nil\b|\bnever fails\b|\balways returns a nil error\b`)
)

// sentences splits the text of a doc comment. A heading, a code block and a list
// belong to the sentence before them.
func sentences(text string) []string {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil
	}
	var all []string
	start, from := 0, 0
	for {
		loc := sentenceEnd.FindStringIndex(text[from:])
		if loc == nil {
			return append(all, flat(text[start:]))
		}
		mark := from + loc[0] + 1
		if !abbreviation.MatchString(text[start:mark]) {
			all = append(all, flat(text[start:mark]))
			start = mark
		}
		from = mark
	}
}

// flat puts a text on one line.
func flat(s string) string { return strings.TrimSpace(space.ReplaceAllString(s, " ")) }

// namesErrors reports whether the doc comment of a function says which errors it
// returns; the comment of this command says what that takes.
func namesErrors(text string) bool {
	if sentinel.MatchString(text) || errorType.MatchString(text) || noError.MatchString(flat(text)) {
		return true
	}
	for _, s := range sentences(text) {
		if aboutError.MatchString(s) {
			return true
		}
	}
	return false
}
