package provisiontest

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/whiteglove/whiteglove/drs/drstest"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
)

// PublicNames returns the host names of Microsoft's public services at which a
// [Server] with Public set answers. The caller owns the slice.
func PublicNames() []string {
	return []string{
		"login.microsoftonline.com", "login.windows.net", "enterpriseregistration.windows.net",
		"enrollment.manage.microsoft.com", "r.manage.microsoft.com", "graph.microsoft.com",
	}
}

// Paths of the public services that differ from those of the parties.
const (
	publicCheckIn   = "/devicegatewayproxy/cimhandler.ashx"
	sessionPath     = "/ManagementServer/MDM.svc"
	enrollPath      = "/EnrollmentServer/Enrollment.svc"
	publicEndpoints = "/v1.0/myorganization/servicePrincipals/appId=0000000a-0000-0000-c000-000000000000/endpoints"
)

// public returns a handler that answers requests to the public names, and leaves
// others to next.
func (s *Server) public(next http.Handler) http.Handler {
	directory := s.clocks[PartyDirectory].serve(s.Directory)
	management := s.clocks[PartyManagement].serve(s.Management)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := strings.ToLower(r.Host)
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		switch host {
		case "login.microsoftonline.com", "login.windows.net", "enterpriseregistration.windows.net":
			if r.Method == http.MethodGet {
				w = &renamed{w, s.Directory.BaseURL, "https://" + r.Host}
			}
			directory.ServeHTTP(w, atAnyTenant(r))
		case "enrollment.manage.microsoft.com":
			management.ServeHTTP(w, r)
		case "r.manage.microsoft.com":
			if strings.EqualFold(r.URL.Path, publicCheckIn) {
				r = r.Clone(r.Context())
				r.URL.Path = sessionPath
			}
			management.ServeHTTP(w, r)
		case "graph.microsoft.com":
			s.endpoints(w, r)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// A renamed answer names a public service where the directory names itself. Answers
// to GET are documents that come in one piece and without a length.
type renamed struct {
	http.ResponseWriter
	from, to string
}

// Write writes an answer.
func (w *renamed) Write(b []byte) (int, error) {
	if _, err := w.ResponseWriter.Write(bytes.ReplaceAll(b, []byte(w.from), []byte(w.to))); err != nil {
		return 0, err
	}
	return len(b), nil
}

// atAnyTenant returns a request for a nonce of the token endpoint as one at the
// tenant "common": the public service gives the same nonces at each of its tenants.
// It returns other requests as they are.
func atAnyTenant(r *http.Request) *http.Request {
	tenant, rest, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if r.Method != http.MethodPost || !ok || !strings.EqualFold(rest, "oauth2/token") {
		return r
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxNonceRequest))
	r = r.Clone(r.Context())
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), r.Body), r.Body}
	form, perr := url.ParseQuery(string(body))
	if err == nil && perr == nil && form.Get("grant_type") == "srv_challenge" && tenant != "" {
		r.URL.Path = "/common/oauth2/token"
	}
	return r
}

// maxNonceRequest is how much of a request is looked at, in bytes.
const maxNonceRequest = 4096

// endpoints answers the question of a client where the tenant's devices enroll. It
// wants a token, and takes any.
func (s *Server) endpoints(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path != publicEndpoints:
		http.NotFound(w, r)
	case !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") || len(r.Header.Get("Authorization")) < len("Bearer x"):
		http.Error(w, `{"error":{"code":"InvalidAuthenticationToken","message":"Access token is empty."}}`, http.StatusUnauthorized)
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"value": []map[string]string{
			{"capability": "WindowsEnrollment", "providerName": "WindowsEnrollment", "uri": s.Management.BaseURL + enrollPath},
			{"capability": "DiscoveryService", "providerName": "DiscoveryService", "uri": s.Management.BaseURL + mdmtest.DiscoveryPath},
		}})
	}
}

// asPublic makes the management server take what open clients send to Intune, and
// the directory give tokens for Microsoft Graph.
func (s *Server) asPublic() {
	if s.Directory.Resources == nil {
		s.Directory.Resources = []string{drstest.ManagementResource, "https://graph.microsoft.com/", "https://graph.microsoft.com", "https://graph.windows.net/", "https://graph.windows.net"}
	}
	q, session := &s.Management.Quirks, &s.Management.Session.Quirks
	open, openSession := mdmtest.QuirksOf("intune"), mdmtest.SessionQuirksOf("intune")
	q.AnySubject = q.AnySubject || open.AnySubject
	session.AnySource = session.AnySource || openSession.AnySource
	session.LooseForm = session.LooseForm || openSession.LooseForm
}
