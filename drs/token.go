package drs

import (
	"errors"
	"log/slog"
)

// A Token is a bearer token. It prints as "[token]"; convert it to a string to
// have its value.
type Token string

const redacted = "[token]"

// String returns "[token]".
func (Token) String() string { return redacted }

// GoString returns "[token]".
func (Token) GoString() string { return redacted }

// LogValue implements [slog.LogValuer].
func (Token) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText fails: tokens are not for storing.
func (Token) MarshalText() ([]byte, error) {
	return nil, errors.New("drs: a token is not to be stored")
}
