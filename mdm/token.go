package mdm

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[token]"

// A Token is a bearer token or another secret of a server. However it is
// printed it reads "[token]"; convert it to a string to have its value.
type Token string

// String returns "[token]".
func (t Token) String() string { return redacted }

// Format implements [fmt.Formatter]: every verb prints "[token]".
func (t Token) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue implements [slog.LogValuer].
func (t Token) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText fails: tokens are not for storing.
func (t Token) MarshalText() ([]byte, error) {
	return nil, errors.New("mdm: a token must not be stored")
}
