package mdm

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[token]"

// A Token is a bearer token, a compact JWT (RFC 7519), or another secret such
// as a password. Package fmt prints it as "[token]" with every verb; convert it
// to a string to read it. As a [Credential] it is sent as a JWT; see
// [OpaqueToken] for tokens of other kinds.
type Token string

// String returns "[token]".
func (t Token) String() string { return redacted }

// Format implements [fmt.Formatter]: every verb prints "[token]".
func (t Token) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue implements [slog.LogValuer]: it returns "[token]".
func (t Token) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements [encoding.TextMarshaler]. Its error is never nil,
// because tokens must not be stored.
func (t Token) MarshalText() ([]byte, error) {
	return nil, errors.New("mdm: a token must not be stored")
}
