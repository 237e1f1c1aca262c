package plain

import (
	"errors"
	"io"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxErrors bounds how many errors of a chain Text looks at.
const maxErrors = 100

// Text returns the text of err in which errors of Go's packages, wherever they are in
// its chain, speak in plain words. It returns "" if err is nil.
func Text(err error) string {
	if err == nil {
		return ""
	}
	t := translation{text: err.Error(), left: maxErrors}
	t.walk(err)
	return t.text
}

// A translation replaces what errors of a chain say in a text.
type translation struct {
	text    string
	network bool // an error above is that of a request
	left    int
}

// walk replaces what err and the errors below it say, the outermost first. Below an
// error that has been replaced nothing is left to replace.
func (t *translation) walk(err error) {
	if err == nil || t.left <= 0 {
		return
	}
	t.left--
	if _, ok := err.(*url.Error); ok {
		t.network = true
	}
	if said, ok := t.words(err); ok {
		t.text = replaceLast(t.text, err.Error(), said)
		return
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		t.walk(e.Unwrap())
	case interface{ Unwrap() []error }:
		network := t.network
		for _, inner := range e.Unwrap() {
			t.network = network
			t.walk(inner)
		}
	}
}

// words returns what one error of Go's packages says in plain words, and whether it is
// one.
func (t *translation) words(err error) (said string, ok bool) {
	switch err {
	case io.EOF, io.ErrUnexpectedEOF:
		if t.network {
			return cutOff, true
		}
		return "it ends too early", true
	}
	for _, in := range []func(error) (string, bool){certificateWords, networkWords, dataWords} {
		if said, ok := in(err); ok {
			return clean(said), true
		}
	}
	if errors.Unwrap(err) == nil {
		said, ok := withoutPackage(err.Error())
		return clean(said), ok
	}
	return "", false
}

// packages are names before a colon with which texts of Go's packages begin.
var packages = []string{"x509", "asn1", "tls", "net/http", "http", "http2", "json", "hex", "encoding/hex", "pem", "crypto/rsa", "crypto/ecdsa", "bufio", "multipart", "mime", "jwt"}

// withoutPackage returns a text without the name of a package at its start, and whether
// there was one.
func withoutPackage(text string) (string, bool) {
	name, rest, ok := strings.Cut(text, ": ")
	if !ok {
		return "", false
	}
	for _, p := range packages {
		if name == p {
			return rest, true
		}
	}
	return "", false
}

// replaceLast replaces the last place in text where old stands as whole words.
func replaceLast(text, old, said string) string {
	if old == "" {
		return text
	}
	for end := len(text); ; {
		at := strings.LastIndex(text[:end], old)
		if at < 0 {
			return text
		}
		before, _ := utf8.DecodeLastRuneInString(text[:at])
		after, _ := utf8.DecodeRuneInString(text[at+len(old):])
		if !within(before) && !within(after) {
			return text[:at] + said + text[at+len(old):]
		}
		end = at + len(old) - 1
	}
}

// within reports whether a character next to a word makes it part of a longer one.
func within(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
