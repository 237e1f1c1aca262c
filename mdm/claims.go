package mdm

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Claims are what a [Token] says, as far as management servers look at it.
// Nothing in it is proven: the signature is the server's to check.
type Claims struct {
	Audience  string    // aud: whom the token is for
	TenantID  string    // tid
	Type      string    // idtyp: "device", "user", "app" or ""
	UPN       string    // upn, else unique_name, else preferred_username
	DeviceID  string    // deviceid: the directory's identifier of the device
	Scope     string    // scp: permissions of a user's token
	NotBefore time.Time // nbf; zero if there is none
	Expires   time.Time // exp; zero if there is none
}

// userScope is the permission that a user's token needs.
const userScope = "mdm_delegation"

// Claims reads the token. It is an error if the token is no compact JWT
// (RFC 7519) of at most 64 KiB: then it may be an [OpaqueToken].
func (t Token) Claims() (*Claims, error) {
	parts := strings.Split(string(t), ".")
	if len(t) > maxToken || len(parts) != 3 {
		return nil, errors.New("mdm: the token is no JWT")
	}
	text, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return nil, errors.New("mdm: the token is no JWT: its claims are not base64")
	}
	var raw struct {
		Aud, Tid, Idtyp, Upn, Deviceid, Scp any
		Name                                any `json:"unique_name"`
		Preferred                           any `json:"preferred_username"`
		Nbf, Exp                            json.Number
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, errors.New("mdm: the token is no JWT: its claims cannot be read")
	}
	return &Claims{
		Audience: claim(raw.Aud), TenantID: claim(raw.Tid), Type: claim(raw.Idtyp),
		UPN:      or(claim(raw.Upn), or(claim(raw.Name), claim(raw.Preferred))),
		DeviceID: claim(raw.Deviceid), Scope: claim(raw.Scp), NotBefore: instant(raw.Nbf), Expires: instant(raw.Exp),
	}, nil
}

// claim returns a text, or the texts of a list with spaces between them.
func claim(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []any:
		var all []string
		for _, one := range v {
			if s, ok := one.(string); ok {
				all = append(all, s)
			}
		}
		return strings.Join(all, " ")
	}
	return ""
}

// instant returns a NumericDate, or zero.
func instant(n json.Number) time.Time {
	seconds, err := n.Float64()
	if err != nil || seconds <= 0 || seconds > 1<<40 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0)
}

// Warnings returns what servers are known to refuse in such a token, each as a
// sentence, or nil. A token with warnings may still be accepted: which claims
// are needed differs from server to server.
func (c *Claims) Warnings(now time.Time) []string {
	var all []string
	warn := func(wrong bool, format string, args ...any) {
		if wrong {
			all = append(all, fmt.Sprintf(format, args...))
		}
	}
	device := c.Type == "device" || c.Type == "" && c.UPN == "" && c.DeviceID != ""
	warn(!c.Expires.IsZero() && !now.Before(c.Expires), "The token ended at %s.", c.Expires.UTC().Format(time.RFC3339))
	warn(now.Add(clockSkew).Before(c.NotBefore), "The token begins at %s: check the clock.", c.NotBefore.UTC().Format(time.RFC3339))
	warn(c.Audience == "", "The token has no aud: no server can tell that it is meant.")
	warn(c.TenantID == "", "The token has no tid: servers with several tenants refuse it.")
	warn(c.DeviceID == "", "The token has no deviceid: servers that ask the directory for the device refuse it.")
	warn(device && c.UPN == "", "The token has no upn, as tokens of devices do not: servers that know only users refuse it "+
		"as malformed, or answer with nothing.")
	warn(!device && c.UPN == "", "The token has no upn: servers cannot tell whose device it is.")
	warn(!device && !strings.Contains(" "+c.Scope+" ", " "+userScope+" "), "The token's scp has no %s: servers refuse tokens "+
		"that were made for something else.", userScope)
	return all
}

// tokenWarnings returns the warnings for a credential, if it is a token.
func tokenWarnings(c Credential, now time.Time) []string {
	t, ok := c.(Token)
	if !ok {
		return nil
	}
	claims, err := t.Claims()
	if err != nil {
		return []string{"The token is no JWT: send tokens of another kind as OpaqueToken."}
	}
	return claims.Warnings(now)
}
