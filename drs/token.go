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

// A Token is a secret text, such as a bearer token or a password. It prints as "[token]"
// and cannot be encoded. Its value is string(t).
type Token string

const redacted = "[token]"

// String returns "[token]".
func (Token) String() string { return redacted }

// Format implements [fmt.Formatter]: every verb prints "[token]".
func (Token) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue implements [slog.LogValuer].
func (Token) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText always fails, so that encoders cannot write a token. The error wraps no error
// of this package.
func (Token) MarshalText() ([]byte, error) {
	return nil, errors.New("drs: a token cannot be encoded")
}

// A DeviceToken authorizes the join of a device without a user. [Client.Authenticate]
// returns one; a program can also make one of a token from elsewhere.
type DeviceToken struct {
	Token   Token
	Nonce   []byte    // nonce of the server for Attestation.Nonce, 32 bytes; may be empty
	ZTDID   string    // GUID of the pre-registration, read from the token and not verified; may be empty
	Expires time.Time // end of the token's validity; zero if it is not known

	// Bearer says that Token is the bearer token of the join and not a device ticket.
	// It is true for the token of a bulk enrollment or a managed identity.
	Bearer bool

	// Attributes are attributes that a join with this token must have, such as
	// "AzureResourceId". They may be nil.
	Attributes map[string]string
}

// A TokenSource gets the token for the join of a device without a user. [DeviceToken] and
// [Prover] implement it.
type TokenSource interface {
	// JoinToken returns a token for a join at the services d. The error may be of any
	// type; that of Prover is an [*Error].
	JoinToken(ctx context.Context, d *Discovery) (*DeviceToken, error)
}

// JoinToken returns t, so that an existing token is a [TokenSource]. The error is an
// [*Error] if t is nil, and otherwise nil.
func (t *DeviceToken) JoinToken(context.Context, *Discovery) (*DeviceToken, error) {
	if t == nil {
		return nil, &Error{Op: opAuthenticate, Err: errors.New("there is no device token")}
	}
	return t, nil
}

// A Prover is a [TokenSource] that calls [Client.Authenticate]. Both fields are required.
type Prover struct {
	Client *Client
	Proof  *Proof
}

// JoinToken implements [TokenSource]. Its error is that of [Client.Authenticate]. If
// p.Client is nil, it is an [*Error] that wraps nothing.
func (p *Prover) JoinToken(ctx context.Context, d *Discovery) (*DeviceToken, error) {
	if p == nil || p.Client == nil {
		return nil, &Error{Op: opAuthenticate, Err: errors.New("the prover has no client")}
	}
	return p.Client.Authenticate(ctx, d, p.Proof)
}

// SetToken sets the fields of r for a join with t: Token if t.Bearer is true, else Ticket;
// the attributes of t that r.Attributes does not have; and, if t has a nonce, that of a
// copy of r.Attestation, if that is not nil. Set Attestation before. SetToken(nil) changes
// nothing.
func (r *Request) SetToken(t *DeviceToken) {
	if t == nil {
		return
	}
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
	if r.Attestation != nil && len(t.Nonce) > 0 {
		own := *r.Attestation
		own.Nonce = t.Nonce
		r.Attestation = &own
	}
}

// ztdID returns the claim ztdid of a JWT, or "". The JWT is not verified.
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
