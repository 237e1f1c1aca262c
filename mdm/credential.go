package mdm

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Fixed strings of the two other ways to authenticate.
const (
	typeUserToken = "http://schemas.microsoft.com/5.0.0.0/ConfigurationManager/Enrollment/DeviceEnrollmentUserToken"
	typePassword  = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText"
	usernameID    = "uuid-cc1ccc1f-2fba-4bcf-b063-ffc0cac77917-4"
)

// A Credential is what a request for policy or enrollment is authenticated
// with: a [Token], an [OpaqueToken] or a [Password]. What the caller has
// decides, not what the server says in Discovery.AuthPolicy: servers that say
// "OnPremise" want the token all the same.
type Credential interface {
	security() (string, error) // content of wsse:Security
}

// security writes a JWT, which is base64 already and encoded once more, as
// servers expect.
func (t Token) security() (string, error) {
	if t == "" {
		return "", errors.New("no token")
	}
	return securityToken(typeJWT, []byte(t)), nil
}

// An OpaqueToken is a token that only its server can read, such as the one of
// a sign-in page ([MS-MDE2] section 3.2). However it is printed it reads
// "[token]".
type OpaqueToken string

// String returns "[token]".
func (t OpaqueToken) String() string { return redacted }

// Format implements [fmt.Formatter]: every verb prints "[token]".
func (t OpaqueToken) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue implements [slog.LogValuer].
func (t OpaqueToken) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText fails: tokens are not for storing.
func (t OpaqueToken) MarshalText() ([]byte, error) { return Token("").MarshalText() }

func (t OpaqueToken) security() (string, error) {
	if t == "" {
		return "", errors.New("no token")
	}
	return securityToken(typeUserToken, []byte(t)), nil
}

// A Password is a user's name and password, for servers with accounts of
// their own. The name is an e-mail address or `domain\user`.
type Password struct {
	User   string
	Secret Token
}

func (p Password) security() (string, error) {
	if p.User == "" {
		return "", errors.New("no user name")
	}
	if !writable(p.User) || !writable(string(p.Secret)) {
		return "", errors.New("the user name or the password has characters that XML cannot hold")
	}
	return `<wsse:UsernameToken u:Id="` + usernameID + `"><wsse:Username>` + escape(p.User) +
		`</wsse:Username><wsse:Password wsse:Type="` + typePassword + `">` + escape(string(p.Secret)) +
		`</wsse:Password></wsse:UsernameToken>`, nil
}

// securityToken writes a BinarySecurityToken.
func securityToken(valueType string, content []byte) string {
	return `<wsse:BinarySecurityToken ValueType="` + valueType + `" EncodingType="` + typeBase64 + `">` +
		base64.StdEncoding.EncodeToString(content) + `</wsse:BinarySecurityToken>`
}
