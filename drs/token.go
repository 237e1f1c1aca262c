package drs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// A Token is a bearer token. It prints as "[token]"; convert it to a string to
// have its value.
type Token string

const redacted = "[token]"

// String returns "[token]".
func (Token) String() string { return redacted }

// Format implements [fmt.Formatter]: every verb prints "[token]".
func (Token) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue implements [slog.LogValuer].
func (Token) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText fails: tokens are not for storing.
func (Token) MarshalText() ([]byte, error) {
	return nil, errors.New("drs: a token is not to be stored")
}

// A DeviceToken stands for a device in a join. One that was had elsewhere may
// be written by hand.
type DeviceToken struct {
	Token   Token
	Nonce   []byte    // the server's, 32 bytes, for Attestation.Nonce; may be empty
	ZTDID   string    // of the pre-registration, as the token says it; not verified; may be empty
	Expires time.Time // when the token ceases to be valid; zero if that is not known

	// Bearer says that Token authorizes the join but is no device ticket: it
	// is not sent as one. That is so for the token of a bulk enrollment or of
	// a managed identity.
	Bearer bool

	// Attributes are those that a join with this token must have, such as
	// "AzureResourceId". May be nil.
	Attributes map[string]string
}

// A TokenSource gets what authorizes the join of a device without a user.
type TokenSource interface {
	// JoinToken returns a token for the join at a tenant's services.
	JoinToken(ctx context.Context, d *Discovery) (*DeviceToken, error)
}

// JoinToken returns t: a token that is there already is its own source.
func (t *DeviceToken) JoinToken(context.Context, *Discovery) (*DeviceToken, error) { return t, nil }

// A Prover is the source of tokens that are had by [Client.Authenticate].
type Prover struct {
	Client *Client
	Proof  *Proof
}

// JoinToken implements [TokenSource].
func (p *Prover) JoinToken(ctx context.Context, d *Discovery) (*DeviceToken, error) {
	return p.Client.Authenticate(ctx, d, p.Proof)
}

// SetToken puts t where a join wants it: into Ticket, or into Token if it is no
// ticket; its attributes; and its nonce into Attestation, if there is one.
func (r *Request) SetToken(t *DeviceToken) {
	if t.Bearer {
		r.Token = t.Token
	} else {
		r.Ticket = t.Token
	}
	if len(t.Attributes) > 0 {
		all := maps.Clone(t.Attributes)
		maps.Copy(all, r.Attributes)
		r.Attributes = all
	}
	if r.Attestation != nil {
		own := *r.Attestation
		own.Nonce = t.Nonce
		r.Attestation = &own
	}
}

// ztdID returns the ZTDID among the claims of a JWT, unverified: who wants to
// rely on it asks the directory.
func ztdID(text string) string {
	var claims struct {
		jwt.RegisteredClaims
		ZTDID string `json:"ztdid"`
	}
	if _, _, err := jwt.NewParser().ParseUnverified(text, &claims); err != nil || !isGUID(claims.ZTDID) {
		return ""
	}
	return strings.ToLower(claims.ZTDID)
}
