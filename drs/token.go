package drs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/internal/wire"
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
// [*Error] if t is nil or has expired by this device's clock: at t.Expires or, if that is
// zero, at the time that a JWT names. It is nil otherwise.
func (t *DeviceToken) JoinToken(context.Context, *Discovery) (*DeviceToken, error) {
	if t == nil {
		return nil, &Error{Op: opAuthenticate, Err: misuse.Errorf("there is no device token")}
	}
	if end := t.end(); !end.IsZero() && time.Now().After(end) {
		return nil, &Error{Op: opAuthenticate, Err: &expired{t.noun(), end}}
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
		return nil, &Error{Op: opAuthenticate, Err: misuse.Errorf("the prover has no client")}
	}
	return p.Client.Authenticate(ctx, d, p.Proof)
}

// end returns when the token ends, as far as that is known. A JWT is not verified.
func (t *DeviceToken) end() time.Time {
	var claims jwt.RegisteredClaims
	if !t.Expires.IsZero() {
		return t.Expires
	}
	if _, _, err := jwt.NewParser().ParseUnverified(string(t.Token), &claims); err != nil || claims.ExpiresAt == nil {
		return time.Time{}
	}
	return claims.ExpiresAt.Time
}

// noun returns what people call the token.
func (t *DeviceToken) noun() string {
	if t.Bearer {
		return "token"
	}
	return "ticket"
}

// An expired token cannot be used.
type expired struct {
	noun string
	end  time.Time
}

// Error returns when the token expired.
func (e *expired) Error() string {
	return fmt.Sprintf("the %s expired on %s UTC", e.noun, e.end.UTC().Format("2006-01-02 15:04"))
}

// HRESULT returns CERT_E_EXPIRED, the code for what is not valid at this time.
func (e *expired) HRESULT() uint32 { return 0x800B0101 }

// Remedy returns what to do.
func (e *expired) Remedy() string {
	return fmt.Sprintf("Get a new %s. If it should be valid still, check this device's clock.", e.noun)
}

// ticket returns the device ticket of a join, or "".
func (r *Request) ticket() Token {
	if r.DeviceToken == nil || r.DeviceToken.Bearer {
		return ""
	}
	return r.DeviceToken.Token
}

// bearer returns the bearer token of a join, or "". r may be nil.
func (r *Request) bearer() Token {
	switch {
	case r == nil:
		return ""
	case r.UserToken != "" || r.DeviceToken == nil:
		return r.UserToken
	}
	return r.DeviceToken.Token
}

// attestation returns the attestation of a join with the nonce of the device token if it
// has none of its own.
func (r *Request) attestation() *Attestation {
	if r.Attestation == nil || len(r.Attestation.Nonce) > 0 || r.DeviceToken == nil {
		return r.Attestation
	}
	own := *r.Attestation
	own.Nonce = r.DeviceToken.Nonce
	return &own
}

// ztdID returns the claim ztdid of a JWT, or "". The JWT is not verified.
func ztdID(text string) string {
	var claims struct {
		jwt.RegisteredClaims
		ZTDID string `json:"ztdid"`
	}
	if _, _, err := jwt.NewParser().ParseUnverified(text, &claims); err != nil || !wire.IsGUID(claims.ZTDID) {
		return ""
	}
	return strings.ToLower(claims.ZTDID)
}
