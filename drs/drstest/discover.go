package drstest

import (
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
)

// A discovery is the server's answer with its services, in JSON or in XML ([MS-DVRD] section
// 2.2.3). Sections that an API version does not have are nil.
type discovery struct {
	XMLName xml.Name `json:"-" xml:"http://schemas.datacontract.org/2004/07/Microsoft.DeviceRegistration.Entities Discovery"`

	DiscoveryService          *discoveryService `json:",omitempty"`
	DeviceRegistrationService *registrationService
	AuthenticationService     *authenticationService
	IdentityProviderService   *identityService
	DeviceJoinService         *joinService       `json:",omitempty"`
	KeyProvisioningService    *keyService        `json:",omitempty"`
	WebBrowserZones           *zones             `json:",omitempty"`
	DeviceManagementService   *managementService `json:",omitempty"`
	MsaProviderData           *msaData           `json:",omitempty"`
	PrecreateService          *precreateService  `json:",omitempty"`
	TenantInfo                *tenantInfo        `json:",omitempty"`
	NonceService              *plainService      `json:",omitempty"`
	TpmChallengeService       *plainService      `json:",omitempty"`
}

type (
	discoveryService    struct{ DiscoveryEndpoint, ServiceVersion string }
	registrationService struct {
		RegistrationEndpoint   string
		RegistrationResourceID string `json:"RegistrationResourceId" xml:"RegistrationResourceId"`
		ServiceVersion         string
	}
	authenticationService struct{ OAuth2 oauth2Service }
	oauth2Service         struct{ AuthCodeEndpoint, TokenEndpoint string }
	identityService       struct {
		Federated           *bool `json:",omitempty" xml:",omitempty"`
		PassiveAuthEndpoint string
	}
	joinService struct {
		JoinEndpoint   string
		JoinResourceID string `json:"JoinResourceId" xml:"JoinResourceId"`
		ServiceVersion string
	}
	keyService struct {
		KeyProvisionEndpoint   string
		KeyProvisionResourceID string `json:"KeyProvisionResourceId" xml:"KeyProvisionResourceId"`
		ServiceVersion         string
	}
	zones             struct{ Intranet, Trusted, Untrusted *struct{} } // all null
	managementService struct {
		DeviceManagementEndpoint   string
		DeviceManagementResourceID string `json:"DeviceManagementResourceId" xml:"DeviceManagementResourceId"`
		ServiceVersion             string
	}
	msaData struct {
		SiteID  int    `json:"SiteId" xml:"SiteId"`
		SiteURL string `json:"SiteUrl" xml:"SiteUrl"`
	}
	precreateService struct {
		PrecreateEndpoint   string
		PrecreateResourceID string `json:"PrecreateResourceId" xml:"PrecreateResourceId"`
		ServiceVersion      string
	}
	tenantInfo struct {
		DisplayName string
		TenantID    string `json:"TenantId" xml:"TenantId"`
		TenantName  string
	}
	plainService struct {
		Endpoint       string
		ResourceID     string `json:"ResourceId" xml:"ResourceId"`
		ServiceVersion string
	}
)

// discovery returns the answer for an API version.
func (s *Server) discovery(r *http.Request, version string) *discovery {
	base, id := s.base(r), s.tenantID()
	d := &discovery{
		DeviceRegistrationService: &registrationService{base + "/EnrollmentServer/DeviceEnrollmentWebService.svc", JoinResource, "1.0"},
		AuthenticationService:     &authenticationService{oauth2Service{base + "/" + id + "/oauth2/authorize", base + "/" + id + "/oauth2/token"}},
		IdentityProviderService:   &identityService{PassiveAuthEndpoint: base + "/" + id + "/wsfed"},
	}
	if version < "1.2" {
		return d
	}
	d.DeviceJoinService = &joinService{base + "/EnrollmentServer/device/", JoinResource, "2.0"}
	d.KeyProvisioningService = &keyService{base + "/EnrollmentServer/key/", JoinResource, "1.0"}
	d.WebBrowserZones = new(zones)
	if version < "1.6" {
		return d
	}
	managed := false
	d.IdentityProviderService.Federated = &managed
	d.DiscoveryService = &discoveryService{base + "/" + id + "/Discover", version}
	d.DeviceManagementService = &managementService{base + "/manage/" + id + "/", JoinResource, "1.0"}
	d.MsaProviderData = &msaData{295218, "enterpriseregistration.windows.net"}
	d.PrecreateService = &precreateService{base + "/EnrollmentServer/device/precreate/" + id + "/", JoinResource, "2.0"}
	d.TenantInfo = &tenantInfo{"Contoso", id, s.tenant()}
	d.NonceService = &plainService{base + "/EnrollmentServer/nonce/" + id + "/", JoinResource, "1.0"}
	if s.Public {
		return d
	}
	d.TpmChallengeService = &plainService{base + "/EnrollmentServer/tpmchallenge/" + id + "/", JoinResource, "1.0"}
	return d
}

// serveDiscover answers Discover, in the form of Entra.
func (s *Server) serveDiscover(w http.ResponseWriter, r *http.Request) error {
	v := r.URL.Query().Get("api-version")
	if len(v) != 3 || v[:2] != "1." || v[2] < '0' || v[2] > '9' {
		return badRequest("api-version %q", v)
	}
	reply(w, http.StatusOK, s.discovery(r, v))
	return nil
}

// serveContract answers Contract, in the form of AD FS ([MS-DVRD] section 3.1.5.1.1).
func (s *Server) serveContract(w http.ResponseWriter, r *http.Request) error {
	v := r.URL.Query().Get("api-version")
	if v != "1.0" && v != "1.2" {
		return badRequest("api-version %q", v)
	}
	d := s.discovery(r, v)
	if !strings.HasPrefix(r.Header.Get("Accept"), "application/xml") {
		reply(w, http.StatusOK, d)
		return nil
	}
	text, err := xml.Marshal(d)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/xml; charset=utf-8")
	// The error is ignored: the client has disconnected.
	_, _ = w.Write(text)
	return nil
}

// serveMetadata answers with the OpenID Connect metadata of the tenant and extensions of
// [MS-OIDCE]. The metadata of the public service has no capabilities; with Derive1 there are
// those of AD FS.
func (s *Server) serveMetadata(w http.ResponseWriter, r *http.Request) error {
	at := s.base(r) + "/" + s.tenantID() + "/oauth2/"
	answer := map[string]any{
		"issuer": s.Issuer(), "access_token_issuer": s.Issuer(), "authorization_endpoint": at + "authorize", "token_endpoint": at + "token",
		"device_authorization_endpoint": at + "devicecode", "microsoft_multi_refresh_token": true,
	}
	if s.Derive1 {
		answer["capabilities"] = []string{"winhello_cert", "winhello_cert_kr"}
	}
	reply(w, http.StatusOK, answer)
	return nil
}

// serveNonce issues a nonce for a join: random bytes in base64. A nonce of the real service is
// an encrypted token. To a client both are opaque.
func (s *Server) serveNonce(w http.ResponseWriter, r *http.Request) error {
	if v := r.URL.Query().Get("api-version"); v != "1.0" {
		return badRequest("api-version %q", v)
	}
	if s.Public {
		bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if _, err := s.readToken(bearer); err != nil {
			return &refused{status: http.StatusUnauthorized, code: "AuthenticationError", subcode: "error_fail", reason: fmt.Errorf("nonce: no bearer token for the join: %w", err)}
		}
	}
	nonce := s.newNonce("Nonce", &s.drsNonces, base64.StdEncoding)
	// The real service misspells ReponseStatus, too, and clients depend on that.
	reply(w, http.StatusOK, map[string]any{
		"ReponseStatus": map[string]string{"message": "", "traceId": newGUID(), "time": s.now().UTC().Format("1/2/2006 3:04:05 PM")},
		"Value":         nonce,
	})
	return nil
}

// newNonce issues a nonce. With FaultNonce for op, it is used already.
func (s *Server) newNonce(op string, list *nonces, enc *base64.Encoding) string {
	used := s.fault(op) == FaultNonce
	s.mu.Lock()
	defer s.mu.Unlock()
	nonce := list.issue(s.now(), enc)
	if used {
		list.use(nonce, s.now())
	}
	return nonce
}
