package drs

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/internal/wire"
)

// sameTenant returns an error that wraps [ErrTenant] if got and want are identifiers of
// different tenants. It returns nil if one of them is empty, because then it is not known.
// what names the source of got.
func sameTenant(what, got, want string) error {
	if got == "" || want == "" || strings.EqualFold(got, want) {
		return nil
	}
	return fmt.Errorf("%w: %s is of %q, not %q", ErrTenant, what, cut(got), cut(want))
}

// tokenTenant returns the claim tid of a token that is a JWT and has one, else "". The JWT
// is not verified.
func tokenTenant(token Token) string {
	var claims struct {
		jwt.RegisteredClaims
		Tenant string `json:"tid"`
	}
	if len(token) > maxToken {
		return ""
	}
	if _, _, err := jwt.NewParser().ParseUnverified(string(token), &claims); err != nil || !wire.IsGUID(claims.Tenant) {
		return ""
	}
	return claims.Tenant
}

// endpointTenant returns the identifier of a tenant with which the path of a token endpoint
// begins, as in https://login.microsoftonline.com/{tenant}/oauth2/token, else "".
func endpointTenant(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil || !wire.IsGUID(firstSegment(u)) {
		return ""
	}
	return firstSegment(u)
}

// An emptyToken is the mistake of a caller who gives a device token without a text.
type emptyToken struct{}

func (emptyToken) Error() string { return "the device token is empty" }

// Remedy tells to give one.
func (emptyToken) Remedy() string {
	return "Give the device ticket or the token that was obtained elsewhere (in the programs: -ticket)."
}

// checkTokens checks that the tokens of a join go together, and are for the tenant of d, as
// far as both are known.
func (r *Request) checkTokens(d *Discovery) error {
	device := Token("")
	if r.DeviceToken != nil {
		if device = r.DeviceToken.Token; device == "" {
			return emptyToken{}
		}
		if r.UserToken != "" && r.DeviceToken.Bearer {
			return errors.New("a user's token and a device token that is a bearer token, too: a join has one bearer token")
		}
	}
	for what, token := range map[string]Token{"the user's token": r.UserToken, "the device token": device} {
		if err := sameTenant(what, tokenTenant(token), d.TenantID); err != nil {
			return err
		}
	}
	return nil
}
