package mdm

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Claims are the claims of a [Token] that management servers look at. They are
// not verified: only the server knows the key of the signature. An empty field
// means that the token does not have the claim.
type Claims struct {
	Audience  string    // aud: the service that the token is for; several are separated by spaces
	TenantID  string    // tid: identifier of the tenant, a GUID
	Type      string    // idtyp: "device", "user" or "app"
	UPN       string    // upn, else unique_name, else preferred_username
	DeviceID  string    // deviceid: the directory's identifier of the device
	Scope     string    // scp: permissions of a user's token, separated by spaces
	NotBefore time.Time // nbf: when the token becomes valid
	Expires   time.Time // exp: when the token ends
}

// userScope is the permission that a user's token needs.
const userScope = "mdm_delegation"

// Claims reads the claims of the token and does not check its signature. The
// error is of no exported type. It is not nil if the token is not a compact JWT
// (RFC 7519) of at most 64 KiB; such a token may be an [OpaqueToken].
func (t Token) Claims() (*Claims, error) {
	parts := strings.Split(string(t), ".")
	if len(t) > maxToken || len(parts) != 3 {
		return nil, errors.New("mdm: the token is not a JWT")
	}
	text, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return nil, errors.New("mdm: the token is not a JWT: its claims are not base64")
	}
	var raw struct {
		Aud, Tid, Idtyp, Upn, Deviceid, Scp any
		Name                                any `json:"unique_name"`
		Preferred                           any `json:"preferred_username"`
		Nbf, Exp                            json.Number
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, errors.New("mdm: the token is not a JWT: its claims cannot be read")
	}
	return &Claims{
		Audience: claim(raw.Aud), TenantID: claim(raw.Tid), Type: claim(raw.Idtyp),
		UPN:      or(claim(raw.Upn), or(claim(raw.Name), claim(raw.Preferred))),
		DeviceID: claim(raw.Deviceid), Scope: claim(raw.Scp), NotBefore: instant(raw.Nbf), Expires: instant(raw.Exp),
	}, nil
}

// claim returns the text of a claim, or the texts of a list, separated by
// spaces.
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

// instant returns the time of a NumericDate (RFC 7519, section 2), or the zero
// time if n is none.
func instant(n json.Number) time.Time {
	seconds, err := n.Float64()
	if err != nil || seconds <= 0 || seconds > 1<<40 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0)
}

// ofDevice reports whether the token is that of a device. Its upn may be a
// placeholder.
func (c *Claims) ofDevice() bool {
	return c.Type == "device" || c.Type == "" && c.UPN == "" && c.DeviceID != ""
}

// Warnings returns sentences about the token that tell why a server may refuse
// it at the time now, or nil if nothing is known against it. A server may
// accept a token all the same, because servers differ in the claims they need.
func (c *Claims) Warnings(now time.Time) []string {
	var all []string
	warn := func(wrong bool, format string, args ...any) {
		if wrong {
			all = append(all, fmt.Sprintf(format, args...))
		}
	}
	device := c.ofDevice()
	warn(!c.Expires.IsZero() && !now.Before(c.Expires), expiredWords+"%s UTC: get a new one.", c.Expires.UTC().Format("2006-01-02 15:04"))
	warn(now.Add(clockSkew).Before(c.NotBefore), "The token is not valid before %s: check the clock.", c.NotBefore.UTC().Format(time.RFC3339))
	warn(c.Audience == "", "The token has no aud, so no server can tell that it is meant for it.")
	warn(c.TenantID == "", "The token has no tid: servers with several tenants refuse it.")
	warn(c.DeviceID == "", "The token has no deviceid: servers that ask the directory for the device refuse it.")
	warn(device && c.UPN == "", "The token has no upn, like other tokens of devices: servers that know only users "+
		"refuse it as malformed or answer with nothing.")
	warn(!device && c.UPN == "", "The token has no upn: servers cannot tell whose device it is.")
	warn(!device && !strings.Contains(" "+c.Scope+" ", " "+userScope+" "), "The token's scp has no %s: servers refuse tokens "+
		"that were issued for another purpose.", userScope)
	return all
}

// expiredWords begin the warning about a token that has expired.
const expiredWords = "The token expired on "

// isExpiry reports whether a warning is that the token has expired.
func isExpiry(warning string) bool { return strings.HasPrefix(warning, expiredWords) }

// tokenWarnings returns the warnings about c if it is a Token, else nil.
func tokenWarnings(c Credential, now time.Time) []string {
	t, ok := c.(Token)
	if !ok {
		return nil
	}
	claims, err := t.Claims()
	if err != nil {
		return []string{"The token is not a JWT: send tokens of other kinds as OpaqueToken."}
	}
	return claims.Warnings(now)
}
