package drstest

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/whiteglove/whiteglove/drs"
)

// serveAuthorize is the authorization endpoint, where a browser signs a user in (RFC 6749,
// section 4.1.1). It accepts only the cookie of a session on a joined device.
func (s *Server) serveAuthorize(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	to, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || q.Get("response_type") != "code" || q.Get("redirect_uri") == "" {
		return noGrant("invalid_request", "", 900144, "response type %q or redirection to %q is not allowed", q.Get("response_type"), q.Get("redirect_uri"))
	}
	if err := s.checkClient(q.Get("client_id"), q.Get("redirect_uri")); err != nil {
		return err
	}
	cookie, err := r.Cookie(drs.CookieName)
	if err != nil {
		return noGrant("login_required", "", 50058, "%w", errors.New("no session cookie"))
	}
	v, claims, err := s.bySession(cookie.Value)
	if err != nil {
		return err
	}
	if claimText(claims, "is_primary") != "true" || claimText(claims, "grant_type") != "" {
		return noGrant("invalid_grant", "", 50013, "the cookie is not that of a session")
	}
	if _, err := s.user(v.upn); err != nil {
		return err
	}
	s.mu.Lock()
	code := newGrant(&s.codes, grant{upn: v.upn, client: q.Get("client_id"), redirect: q.Get("redirect_uri"), challenge: q.Get("code_challenge")})
	s.mu.Unlock()
	to.RawQuery = url.Values{"code": {code}, "state": {q.Get("state")}}.Encode()
	http.Redirect(w, r, to.String(), http.StatusFound)
	return nil
}
