package drstest

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/whiteglove/whiteglove/drs"
)

// serveAuthorize is the authorization endpoint, where a browser signs a user in (RFC 6749,
// section 4.1.1). It accepts only the cookie of a session on a joined device.
func (s *Server) serveAuthorize(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	to, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || q.Get("response_type") != "code" || q.Get("client_id") == "" ||
		!slices.Contains([]string{"https", "ms-aadj-redir", "ms-appx-web"}, to.Scheme) {
		return noGrant("invalid_request", "", 900144, "response type %q or redirection to %q is not allowed, or client_id is missing", q.Get("response_type"), q.Get("redirect_uri"))
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
	code := secret()
	s.mu.Lock()
	put(s.authorizationCodes(), code, v.upn)
	s.mu.Unlock()
	to.RawQuery = url.Values{"code": {code}, "state": {q.Get("state")}}.Encode()
	http.Redirect(w, r, to.String(), http.StatusFound)
	return nil
}
