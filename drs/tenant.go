package drs

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/golang-jwt/jwt/v5"
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
	if _, _, err := jwt.NewParser().ParseUnverified(string(token), &claims); err != nil || !isGUID(claims.Tenant) {
		return ""
	}
	return claims.Tenant
}

// endpointTenant returns the identifier of a tenant with which the path of a token endpoint
// begins, as in https://login.microsoftonline.com/{tenant}/oauth2/token, else "".
func endpointTenant(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil || !isGUID(firstSegment(u)) {
		return ""
	}
	return firstSegment(u)
}

// checkTenant checks that the tokens of a join are for the tenant of d, as far as both are
// known.
func (r *Request) checkTenant(d *Discovery) error {
	for what, token := range map[string]Token{"the token": r.Token, "the device ticket": r.Ticket} {
		if err := sameTenant(what, tokenTenant(token), d.TenantID); err != nil {
			return err
		}
	}
	return nil
}
