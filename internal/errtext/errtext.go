// Package errtext judges the texts of errors, for tests: nothing is said twice, nothing in
// the words of Go's packages, and numbers in hexadecimal digits have one form.
package errtext

import (
	"fmt"
	"regexp"
	"strings"
)

var (
	number = regexp.MustCompile(`\b0[xX][0-9A-Za-z]+`)
	good   = regexp.MustCompile(`^0x(?:[0-9A-F]{2}){1,8}$|^0x[0-9A-F]{3}$`)
	url    = regexp.MustCompile(`https?://[^\s"():;,]+(?::\d+)?[^\s"():;,]*`)
	said   = regexp.MustCompile(`"[^"\\]* (?:[^"\\]|\\.)*"`)
	name   = regexp.MustCompile(`^[a-z]+$`)
	// What packages of Go say for programmers.
	words = regexp.MustCompile(`invalid character '|looking for beginning|unexpected end of JSON|cannot unmarshal|context deadline|context canceled|deadline exceeded|` +
		`stream ID|GOAWAY|IP SANs|possibly because of|unknown authority|x509: |asn1: |tls: |encoding/|strconv\.|struct field|proxyconnect|parse error|\bEOF\b|` +
		`dial tcp|lookup |read tcp|i/o timeout|illegal base64|invalid byte|invalid syntax|value out of range|constructed form|unmarshalling|DA implications|DA lockout|server gave HTTP response|0x801900C8|\(\(`)
)

// Faults returns what is wrong with the text of an error, one sentence each:
//
//   - two parts between colons that follow each other and are the same, as in "aik:
//     aik: enroll";
//   - a part of one word, such as the name of a package, that comes again;
//   - a URL that comes again, and a sentence that does;
//   - words of Go's packages, such as "unexpected end of JSON input", and brackets within
//     brackets;
//   - a number that is not 0x and an even number of upper-case digits, or three, as of
//     a response code of a TPM.
//
// What stands in quotation marks and has a space is another's words, and not judged.
func Faults(text string) []string {
	var faults []string
	text = said.ReplaceAllString(text, "")
	if w := words.FindString(text); w != "" {
		faults = append(faults, fmt.Sprintf("%q is said in the words of Go's packages", w))
	}
	last, seen := "", map[string]bool{}
	for part := range strings.SplitSeq(text, ": ") {
		if strings.EqualFold(part, last) {
			faults = append(faults, fmt.Sprintf("%q is said twice in a row", part))
		} else if seen[part] && name.MatchString(part) {
			faults = append(faults, fmt.Sprintf("%q comes again", part))
		}
		last, seen[part] = part, true
	}
	sentences := map[string]bool{}
	for s := range strings.SplitSeq(text, ". ") {
		if s = strings.TrimSuffix(s, "."); sentences[s] && strings.Contains(s, " ") {
			faults = append(faults, fmt.Sprintf("the sentence %q comes again", s))
		}
		sentences[s] = true
	}
	urls := map[string]bool{}
	for _, u := range url.FindAllString(text, -1) {
		if urls[u] {
			faults = append(faults, fmt.Sprintf("the URL %s comes again", u))
		}
		urls[u] = true
	}
	for _, n := range number.FindAllString(text, -1) {
		if !good.MatchString(n) {
			faults = append(faults, fmt.Sprintf("%s is not 0x and an even number of upper-case digits", n))
		}
	}
	return faults
}
