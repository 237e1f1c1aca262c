package drs

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/internal/wire"
)

// issuers are the hosts of the issuers of Microsoft's clouds, which are not those of
// their token endpoints.
var issuers = []string{"sts.windows.net", "sts.chinacloudapi.cn", "sts.microsoftonline.de"}

// An identityToken has the claims of an identity token that are read (OpenID Connect Core
// 1.0, section 2, and those of Entra ID).
type identityToken struct {
	jwt.RegisteredClaims
	Tenant     string `json:"tid"`
	UPN        string `json:"upn"`
	UniqueName string `json:"unique_name"`
	Name       string `json:"preferred_username"`
}

// identify sets UPN and TenantID from the identity token of an answer, or from the request
// if text is empty. The signature is not verified, because the token came by TLS from the
// service that issues it.
func (s *Session) identify(text string, req *SignIn, d *Discovery, now time.Time) error {
	if text == "" {
		s.UPN, s.TenantID = req.Username, d.TenantID
		return nil
	}
	var t identityToken
	if _, _, err := jwt.NewParser().ParseUnverified(text, &t); err != nil && !errors.Is(err, jwt.ErrTokenUnverifiable) {
		return fmt.Errorf("%w: the identity token is not a JWT", ErrMalformed)
	}
	if err := t.check(req, d, now); err != nil {
		return err
	}
	name := or(t.UPN, or(t.UniqueName, or(t.Name, req.Username)))
	s.UPN, s.TenantID = wire.Visible(name[:min(len(name), maxText)]), strings.ToLower(t.Tenant)
	return nil
}

// check checks that an identity token is for the request, the user and the tenant, and that
// it is valid now.
func (t *identityToken) check(req *SignIn, d *Discovery, now time.Time) error {
	malformed := func(format string, args ...any) error {
		return fmt.Errorf("%w: the identity token "+format, append([]any{ErrMalformed}, args...)...)
	}
	user := or(t.UPN, t.UniqueName)
	client := req.client()
	switch {
	case t.Tenant == "" && d.TenantID != "":
		return malformed("names no tenant")
	case d.TenantID != "" && !strings.EqualFold(t.Tenant, d.TenantID):
		return fmt.Errorf("%w: the identity token is of %q, not %q", ErrTenant, cut(t.Tenant), d.TenantID)
	case t.Tenant != "" && !wire.IsGUID(t.Tenant):
		return malformed("is of the tenant %q, not a GUID", cut(t.Tenant))
	case !slices.Contains(t.Audience, client):
		return malformed("is for the clients %.64q, not for %q", t.Audience, client)
	case req.Username != "" && user != "" && !strings.EqualFold(user, req.Username):
		return malformed("is of the user %q, not %q", cut(user), cut(req.Username))
	case t.ExpiresAt == nil:
		return malformed("has no expiry")
	case !now.Before(t.ExpiresAt.Add(clockSkew)):
		return malformed("expired at %s, and now is %s", t.ExpiresAt.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case t.NotBefore != nil && now.Add(clockSkew).Before(t.NotBefore.Time):
		return malformed("is valid from %s, and now is %s", t.NotBefore.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case !isIssuer(t.Issuer, t.Tenant, d.TokenEndpoint):
		return malformed("is from the issuer %q", cut(t.Issuer))
	}
	return nil
}

// isIssuer reports whether identity tokens of a tenant from a token endpoint may have an
// issuer. Its host is that of the endpoint or of an issuer of Microsoft, and its path
// begins with the tenant, if that is not empty: https://sts.windows.net/{tenant}/.
func isIssuer(issuer, tenant, endpoint string) bool {
	u, err := url.Parse(issuer)
	at, endpointErr := url.Parse(endpoint)
	if err != nil || endpointErr != nil || u.Scheme != "https" && u.Scheme != at.Scheme {
		return false
	}
	if tenant != "" && !strings.EqualFold(firstSegment(u), tenant) {
		return false
	}
	if strings.EqualFold(u.Host, at.Host) {
		return true
	}
	return tenant != "" && u.Scheme == "https" && slices.Contains(issuers, strings.ToLower(u.Host))
}

// firstSegment returns the path of a URL up to its second slash, without slashes.
func firstSegment(u *url.URL) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	return first
}
