package drstest

import (
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"

	"github.com/whiteglove/whiteglove/drs"
)

// serveAuthorize is the authorization endpoint, where a browser signs a user in (RFC 6749,
// section 4.1.1): by the cookie of a session on a joined device, or by the form that it shows.
func (s *Server) serveAuthorize(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	to, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || q.Get("response_type") != "code" || q.Get("redirect_uri") == "" {
		return noGrant("invalid_request", "", 900144, "response type %q or redirection to %q is not allowed", q.Get("response_type"), q.Get("redirect_uri"))
	}
	if err := s.checkClient(q.Get("client_id"), q.Get("redirect_uri")); err != nil {
		return err
	}
	if r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html") && len(r.CookiesNamed(drs.CookieName)) == 0 {
		return signInPage(w, q.Get("login_hint"))
	}
	u, err := s.atPage(w, r)
	if err != nil {
		return err
	}
	s.mu.Lock()
	code := newGrant(&s.codes, grant{upn: u.UPN, client: q.Get("client_id"), redirect: q.Get("redirect_uri"), challenge: q.Get("code_challenge")})
	s.mu.Unlock()
	to.RawQuery = url.Values{"code": {code}, "state": {q.Get("state")}}.Encode()
	http.Redirect(w, r, to.String(), http.StatusFound)
	return nil
}

// atPage returns the user who signs in with a browser.
func (s *Server) atPage(w http.ResponseWriter, r *http.Request) (*User, error) {
	if r.Method == http.MethodPost {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		if err := r.ParseForm(); err != nil {
			return nil, noGrant("invalid_request", "", 900144, "body: %w", err)
		}
		return s.signedInUser(r.PostForm.Get("username"), r.PostForm.Get("password"))
	}
	cookie, err := r.Cookie(drs.CookieName)
	if err != nil {
		return nil, noGrant("login_required", "", 50058, "%w", errors.New("no session cookie"))
	}
	v, claims, err := s.bySession(cookie.Value)
	if err != nil {
		return nil, err
	}
	if claimText(claims, "is_primary") != "true" || claimText(claims, "grant_type") != "" {
		return nil, noGrant("invalid_grant", "", 50013, "the cookie is not that of a session")
	}
	return s.user(v.upn)
}

const page = `<!DOCTYPE html>
<title>Sign in</title>
<form method="post">
<p><label>User <input name="username" value="%s" autofocus></label>
<p><label>Password <input name="password" type="password"></label>
<p><button>Sign in</button>
</form>
`

// signInPage shows a form for a user's name and password, which the browser posts to the same
// URL.
func signInPage(w http.ResponseWriter, hint string) error {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	// The error is ignored: the client has disconnected.
	_, _ = fmt.Fprintf(w, page, html.EscapeString(hint))
	return nil
}
