package plain

import "fmt"

// A because is an error whose text does not have that of the error it wraps.
type because struct {
	text string
	err  error
}

// Because returns an error with a text of its own that wraps err, whose text it does
// not repeat.
func Because(err error, format string, args ...any) error {
	return &because{fmt.Sprintf(format, args...), err}
}

// Error returns the text.
func (b *because) Error() string { return b.text }

// Unwrap returns the cause.
func (b *because) Unwrap() error { return b.err }
