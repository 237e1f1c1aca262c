package drstest

import (
	"net/url"
	"slices"
	"strings"

	"github.com/whiteglove/whiteglove/drs"
)

// nativeClient is the redirect URI of programs without one of their own.
const nativeClient = "https://login.microsoftonline.com/common/oauth2/nativeclient"

// oob is the redirect URI of programs that show a code to the user (RFC 8252, section 7).
const oob = "urn:ietf:wg:oauth:2.0:oob"

// registered are the OAuth clients that every server knows, with the redirect URIs that are
// registered for them, as far as open clients use them.
var registered = map[string][]string{
	drs.BrokerClient: {
		drs.RedirectBroker, drs.RedirectBrokerDRS, drs.RedirectBroker + "/DRSFF", drs.RedirectBrokerMDM, drs.RedirectDRS, drs.RedirectMDM,
		"msauth://Microsoft.AAD.BrokerPlugin", "https://login.microsoftonline.com/applebroker/msauth", oob,
	},
	"38aa3b87-a06d-4817-b275-7a316988d93b": nil,                                                                                          // sign-in to Windows
	"b90d5b8f-5503-4153-b545-b31cecfaece2": nil,                                                                                          // bulk enrollment
	"1b730954-1685-4b74-9bfd-dac224a7b894": {oob, nativeClient},                                                                          // Azure AD PowerShell
	"04b07795-8ddb-461a-bbee-02f9e1bf7b46": {localhost, nativeClient, drs.RedirectBroker + "/04b07795-8ddb-461a-bbee-02f9e1bf7b46"},      // Azure CLI
	"1950a258-227b-4e31-a9cf-717495945fc2": {localhost, nativeClient, oob, drs.RedirectBroker + "/1950a258-227b-4e31-a9cf-717495945fc2"}, // Azure PowerShell
	"9ba1a5c7-f17a-4de9-a1f1-6178c8d51223": {oob, drs.RedirectBroker + "/9ba1a5c7-f17a-4de9-a1f1-6178c8d51223"},                          // Company Portal
	"dd762716-544d-4aeb-a526-687b73838a22": {drs.RedirectBroker + "/dd762716-544d-4aeb-a526-687b73838a22"},                               // device registration
}

// localhost is the redirect URI of programs that listen at the loopback interface, at any
// port.
const localhost = "http://localhost"

// redirects returns the redirect URIs of a client, and reports whether the server knows it.
func (s *Server) redirects(client string) ([]string, bool) {
	list, ok := registered[strings.ToLower(client)]
	more, own := s.Clients[client]
	return append(slices.Clone(list), more...), ok || own
}

// checkClient checks that a client is known and that a redirect URI, unless it is empty, is
// registered for it.
func (s *Server) checkClient(client, redirect string) error {
	if client == "" {
		return noGrant("invalid_request", "", 900144, "no client_id")
	}
	list, ok := s.redirects(client)
	switch {
	case !ok:
		return noGrant("unauthorized_client", "", 700016, "application with identifier %q was not found in the directory", client)
	case redirect == "" || slices.ContainsFunc(list, func(uri string) bool { return sameRedirect(uri, redirect) }):
		return nil
	}
	return noGrant("invalid_request", "", 50011, "the redirect URI %q does not match the redirect URIs configured for the application %q", redirect, client)
}

// sameRedirect reports whether a redirect URI is a registered one. The port and path of a
// loopback URI are not compared (RFC 8252, section 7.3).
func sameRedirect(registered, got string) bool {
	if registered != localhost {
		return strings.EqualFold(registered, got)
	}
	u, err := url.Parse(got)
	return err == nil && u.Scheme == "http" && u.Hostname() == "localhost" && u.User == nil
}

// A grant is what a refresh token or an authorization code stands for.
type grant struct {
	upn, client string
	redirect    string // of a code
	challenge   string // code_challenge of a code (RFC 7636), or ""
}
