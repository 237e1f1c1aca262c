package drstest

import (
	"encoding/base64"
	"net/http"
)

// serveDiscover names the tenant's services.
func (s *Server) serveDiscover(w http.ResponseWriter, r *http.Request) error {
	switch v := r.URL.Query().Get("api-version"); v {
	case "1.6", "1.7", "1.8", "1.9":
	default:
		return badRequest("api-version %q", v)
	}
	base, id := s.base(r), s.tenantID()
	type section = map[string]any
	reply(w, http.StatusOK, section{
		"DiscoveryService":          section{"DiscoveryEndpoint": base + "/" + id + "/Discover", "ServiceVersion": "1.9"},
		"DeviceRegistrationService": section{"RegistrationEndpoint": base + "/EnrollmentServer/DeviceEnrollmentWebService.svc", "RegistrationResourceId": JoinResource, "ServiceVersion": "1.0"},
		"AuthenticationService":     section{"OAuth2": section{"AuthCodeEndpoint": base + "/" + id + "/oauth2/authorize", "TokenEndpoint": base + "/" + id + "/oauth2/token"}},
		"DeviceJoinService":         section{"JoinEndpoint": base + "/EnrollmentServer/device/", "JoinResourceId": JoinResource, "ServiceVersion": "2.0"},
		"TenantInfo":                section{"DisplayName": "Contoso", "TenantId": id, "TenantName": s.tenant()},
		"NonceService":              section{"Endpoint": base + "/EnrollmentServer/nonce/" + id + "/", "ResourceId": JoinResource, "ServiceVersion": "1.0"},
		"TpmChallengeService":       section{"Endpoint": base + "/EnrollmentServer/tpmchallenge/" + id + "/", "ResourceId": JoinResource, "ServiceVersion": "1.0"},
	})
	return nil
}

// serveNonce gives out a nonce for a join. The real one is sealed for the
// server itself; to a client both are opaque.
func (s *Server) serveNonce(w http.ResponseWriter, r *http.Request) error {
	if v := r.URL.Query().Get("api-version"); v != "1.0" {
		return badRequest("api-version %q", v)
	}
	s.mu.Lock()
	nonce := s.drsNonces.issue(s.now(), base64.StdEncoding)
	s.mu.Unlock()
	// The service misspells the name, and clients depend on it.
	reply(w, http.StatusOK, map[string]any{
		"ReponseStatus": map[string]string{"message": "", "traceId": newGUID(), "time": s.now().UTC().Format("1/2/2006 3:04:05 PM")},
		"Value":         nonce,
	})
	return nil
}
