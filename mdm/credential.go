package mdm

import (
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"

	"github.com/whiteglove/whiteglove/internal/misuse"
)

// Fixed strings of credentials that are not JWTs.
const (
	typeUserToken = "http://schemas.microsoft.com/5.0.0.0/ConfigurationManager/Enrollment/DeviceEnrollmentUserToken"
	typePassword  = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText"
	usernameID    = "uuid-cc1ccc1f-2fba-4bcf-b063-ffc0cac77917-4"
)

// A Credential authenticates a request for the policy or for enrollment. It is
// a [Token], an [OpaqueToken] or a [Password]; other packages cannot implement
// it. Choose it by what the server is known to take and not by
// [Discovery].AuthPolicy: servers that say "OnPremise" expect tokens, too.
type Credential interface {
	security() (string, error) // content of wsse:Security
}

// errNoToken means that a token is empty.
const errNoToken = emptyToken("no token: the credential is an empty token")

type emptyToken string

func (e emptyToken) Error() string { return string(e) }

// Remedy tells to give a token.
func (emptyToken) Remedy() string {
	return "Give the token that the server's sign-in gave (in the programs: -token)."
}

// security writes the token as a JWT. Its text is base64url already and is
// encoded in base64 once more, as servers expect.
func (t Token) security() (string, error) {
	if t == "" {
		return "", errNoToken
	}
	return securityToken(typeJWT, []byte(t)), nil
}

// An OpaqueToken is a token that only its server can read, such as that of a
// sign-in page ([MS-MDE2] section 3.2). Package fmt prints it as "[token]" with
// every verb; convert it to a string to read it.
type OpaqueToken string

// String returns "[token]".
func (t OpaqueToken) String() string { return redacted }

// Format implements [fmt.Formatter]: every verb prints "[token]".
func (t OpaqueToken) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue implements [slog.LogValuer]: it returns "[token]".
func (t OpaqueToken) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements [encoding.TextMarshaler]. Its error is never nil,
// because tokens must not be stored.
func (t OpaqueToken) MarshalText() ([]byte, error) { return Token("").MarshalText() }

func (t OpaqueToken) security() (string, error) {
	if t == "" {
		return "", errNoToken
	}
	return securityToken(typeUserToken, []byte(t)), nil
}

// A Password is the name and password of a user, for servers that keep accounts
// themselves (AuthPolicy "OnPremise").
type Password struct {
	User   string // e-mail address or `domain\user`; required
	Secret Token  // password; may be empty
}

// security writes the name and the password in clear text, as the protocol has
// it; only TLS protects them.
func (p Password) security() (string, error) {
	if p.User == "" {
		return "", misuse.Errorf("no user name")
	}
	if !writable(p.User) || !writable(string(p.Secret)) {
		return "", misuse.Errorf("the user name or the password has characters that XML cannot hold")
	}
	return `<wsse:UsernameToken u:Id="` + usernameID + `"><wsse:Username>` + escape(p.User) +
		`</wsse:Username><wsse:Password wsse:Type="` + typePassword + `">` + escape(string(p.Secret)) +
		`</wsse:Password></wsse:UsernameToken>`, nil
}

// securityToken returns a BinarySecurityToken element.
func securityToken(valueType string, content []byte) string {
	return `<wsse:BinarySecurityToken ValueType="` + valueType + `" EncodingType="` + typeBase64 + `">` +
		base64.StdEncoding.EncodeToString(content) + `</wsse:BinarySecurityToken>`
}
