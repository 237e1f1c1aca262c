package drs

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/whiteglove/whiteglove/internal/wire"
)

// The API versions that Discover and Contract ask for.
const (
	discoveryVersion = "1.9"
	contractVersion  = "1.2"
)

// maxTenant limits a tenant's name, as DNS does.
const maxTenant = 253

// A Discovery names a tenant's services. Resources are what tokens for a
// service are asked for by. It may also be written by hand, without [Client.Discover]:
// what is empty has its well-known place below Client.BaseURL, but for what is
// said to be optional.
type Discovery struct {
	TenantID    string // GUID in lower case; empty if the service did not say
	TenantName  string // domain name; may be empty
	DisplayName string // may be empty

	JoinEndpoint string
	JoinResource string
	JoinVersion  string // of the API, such as "2.0"

	NonceEndpoint string
	NonceVersion  string

	TokenEndpoint     string // optional; without it nobody signs in
	AuthorizeEndpoint string // optional; where users sign in
	PassiveEndpoint   string // optional; the same by WS-Federation
	Federated         bool   // users sign in at an identity provider of the tenant's own

	// ProofEndpoint is where Authenticate gets its challenge. It is optional:
	// services do not offer one if it is empty, as the public one.
	ProofEndpoint string
	ProofVersion  string

	// Services that this package does not talk to; all are optional.
	KeyEndpoint        string // registers keys of users, [MS-KPP]
	KeyResource        string
	ManagementEndpoint string // of the directory's management service
	ManagementResource string
	ManagementVersion  string
	PrecreateEndpoint  string // joins devices that are authorized beforehand

	// MsaSiteID and MsaSiteURL are the site for which Windows asks a Microsoft
	// account for a device ticket. They are kept for who has such a ticket.
	MsaSiteID, MsaSiteURL string
}

// A discoveryAnswer has those sections that are used, of JSON or of XML
// ([MS-DVRD] 2.2.3). Each may be missing.
type discoveryAnswer struct {
	XMLName               xml.Name `json:"-" xml:"Discovery"`
	AuthenticationService struct {
		OAuth2 struct{ AuthCodeEndpoint, TokenEndpoint text }
	}
	IdentityProviderService struct {
		Federated           bool
		PassiveAuthEndpoint text
	}
	DeviceJoinService struct {
		JoinEndpoint   text
		JoinResourceID text `json:"JoinResourceId" xml:"JoinResourceId"`
		ServiceVersion text
	}
	KeyProvisioningService struct {
		KeyProvisionEndpoint   text
		KeyProvisionResourceID text `json:"KeyProvisionResourceId" xml:"KeyProvisionResourceId"`
	}
	DeviceManagementService struct {
		DeviceManagementEndpoint   text
		DeviceManagementResourceID text `json:"DeviceManagementResourceId" xml:"DeviceManagementResourceId"`
		ServiceVersion             text
	}
	MsaProviderData struct {
		SiteID  json.RawMessage `json:"SiteId" xml:"SiteId"` // a number or a string
		SiteURL text            `json:"SiteUrl" xml:"SiteUrl"`
	}
	PrecreateService    struct{ PrecreateEndpoint text }
	NonceService        struct{ Endpoint, ServiceVersion text }
	TpmChallengeService struct{ Endpoint, ServiceVersion text }
	TenantInfo          struct {
		DisplayName text
		TenantID    text `json:"TenantId" xml:"TenantId"`
		TenantName  text
	}
}

// read reads an answer in JSON or XML.
func (a *discoveryAnswer) read(b []byte) error {
	b = bytes.TrimLeft(withoutMark(b), " \t\r\n")
	decode := json.Unmarshal
	if len(b) > 0 && b[0] == '<' {
		decode = xml.Unmarshal
	}
	if err := decode(b, a); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return nil
}

// Discover asks for the services of a tenant, by domain name or identifier. A
// service that the answer does not name has its well-known place below
// BaseURL, but for those that are optional. Endpoints that are not to be
// trusted fail with [ErrEndpoint] (see the package's documentation), an answer
// for another tenant identifier with [ErrTenant].
func (c *Client) Discover(ctx context.Context, tenant string) (*Discovery, error) {
	if tenant == "" || len(tenant) > maxTenant || strings.ContainsAny(tenant, "/\\?#%@ ") {
		return nil, &Error{Op: opDiscover, Err: fmt.Errorf("%q is no name of a tenant", tenant)}
	}
	return c.discover(ctx, c.base()+"/"+url.PathEscape(tenant)+"/Discover", or(c.APIVersion, discoveryVersion), tenant)
}

// Contract asks the registration service at BaseURL for its services, as
// [MS-DVRD] has it for AD FS: there is no tenant in it. It is like
// [Client.Discover] otherwise.
//
// [MS-DVRD]: https://learn.microsoft.com/openspecs/windows_protocols/ms-dvrd/
func (c *Client) Contract(ctx context.Context) (*Discovery, error) {
	return c.discover(ctx, c.base()+"/EnrollmentServer/contract", or(c.APIVersion, contractVersion), "")
}

func (c *Client) discover(ctx context.Context, endpoint, version, tenant string) (*Discovery, error) {
	k := &call{op: opDiscover, method: http.MethodGet, url: withVersion(endpoint, version), accept: "application/json, application/xml;q=0.5"}
	reply, err := c.send(ctx, k)
	if err != nil {
		return nil, err
	}
	var answer discoveryAnswer
	if err = checkType(reply.Header, "json", "xml"); err == nil {
		err = answer.read(reply.Body)
	}
	var d *Discovery
	if err == nil {
		d, err = c.discovery(tenant, &answer)
	}
	if err != nil {
		return nil, &Error{Op: opDiscover, URL: wire.Redact(endpoint), HTTPStatus: reply.Status, RequestID: requestID(reply.Header), Err: err}
	}
	return d, nil
}

// discovery makes a Discovery of an answer.
func (c *Client) discovery(tenant string, a *discoveryAnswer) (*Discovery, error) {
	login, join, keys, manage := &a.AuthenticationService.OAuth2, &a.DeviceJoinService, &a.KeyProvisioningService, &a.DeviceManagementService
	d := &Discovery{
		TenantID: strings.ToLower(string(a.TenantInfo.TenantID)), TenantName: string(a.TenantInfo.TenantName), DisplayName: string(a.TenantInfo.DisplayName),
		JoinEndpoint: string(join.JoinEndpoint), JoinResource: string(join.JoinResourceID), JoinVersion: string(join.ServiceVersion),
		NonceEndpoint: string(a.NonceService.Endpoint), NonceVersion: string(a.NonceService.ServiceVersion),
		ProofEndpoint: string(a.TpmChallengeService.Endpoint), ProofVersion: string(a.TpmChallengeService.ServiceVersion),
		TokenEndpoint: string(login.TokenEndpoint), AuthorizeEndpoint: string(login.AuthCodeEndpoint),
		PassiveEndpoint: string(a.IdentityProviderService.PassiveAuthEndpoint), Federated: a.IdentityProviderService.Federated,
		KeyEndpoint: string(keys.KeyProvisionEndpoint), KeyResource: string(keys.KeyProvisionResourceID),
		ManagementEndpoint: string(manage.DeviceManagementEndpoint), ManagementResource: string(manage.DeviceManagementResourceID), ManagementVersion: string(manage.ServiceVersion),
		PrecreateEndpoint: string(a.PrecreateService.PrecreateEndpoint),
		MsaSiteID:         cut(strings.Trim(string(a.MsaProviderData.SiteID), `"`)), MsaSiteURL: string(a.MsaProviderData.SiteURL),
	}
	if err := d.checkTenant(tenant); err != nil {
		return nil, err
	}
	d.fill(c.base(), tenant)
	return d, c.checkEndpoints(d)
}

// checkEndpoints checks all that tokens may be sent to.
func (c *Client) checkEndpoints(d *Discovery) error {
	for _, e := range []string{
		d.JoinEndpoint, d.NonceEndpoint, d.TokenEndpoint, d.AuthorizeEndpoint, d.PassiveEndpoint,
		d.ProofEndpoint, d.KeyEndpoint, d.ManagementEndpoint, d.PrecreateEndpoint,
	} {
		if e == "" {
			continue
		}
		if err := c.checkEndpoint(e); err != nil {
			return err
		}
	}
	return nil
}

// services returns d, which may be nil, with the well-known values for what is
// empty.
func (c *Client) services(d *Discovery) *Discovery {
	var own Discovery
	if d != nil {
		own = *d
	}
	own.fill(c.base(), or(own.TenantID, own.TenantName))
	return &own
}

// checkTenant checks that the answer is of the tenant that was asked for, as
// far as it can be told.
func (d *Discovery) checkTenant(tenant string) error {
	if d.TenantID != "" && !isGUID(d.TenantID) {
		return fmt.Errorf("%w: tenant identifier %q", ErrMalformed, d.TenantID)
	}
	if !isGUID(tenant) {
		return nil // nothing to compare
	}
	if d.TenantID == "" {
		d.TenantID = strings.ToLower(tenant)
	}
	if !strings.EqualFold(d.TenantID, tenant) {
		return fmt.Errorf("%w: %s, not %s", ErrTenant, d.TenantID, tenant)
	}
	return nil
}

// fill puts the well-known values in for what the answer left out.
func (d *Discovery) fill(base, tenant string) {
	for _, f := range []struct {
		field *string
		value string
	}{
		{&d.JoinEndpoint, base + "/EnrollmentServer/device/"},
		{&d.JoinResource, DefaultResource},
		{&d.JoinVersion, "2.0"},
		{&d.NonceVersion, "1.0"},
		{&d.ProofVersion, "1.0"},
	} {
		if *f.field == "" {
			*f.field = f.value
		}
	}
	if d.NonceEndpoint == "" && tenant != "" {
		d.NonceEndpoint = base + "/EnrollmentServer/nonce/" + url.PathEscape(tenant) + "/"
	}
}

// Nonce asks for a nonce to be put into a join's certificate request. It is
// opaque.
func (c *Client) Nonce(ctx context.Context, d *Discovery) (string, error) {
	d = c.services(d)
	if d.NonceEndpoint == "" {
		return "", &Error{Op: opNonce, Err: errors.New("neither a nonce endpoint nor a tenant")}
	}
	var answer struct{ Value string }
	at := withVersion(d.NonceEndpoint, d.NonceVersion)
	if err := c.do(ctx, &call{op: opNonce, method: http.MethodGet, url: at}, &answer); err != nil {
		return "", err
	}
	if n := len(answer.Value); n == 0 || n > maxNonce {
		return "", &Error{Op: opNonce, URL: d.NonceEndpoint, HTTPStatus: http.StatusOK, Err: fmt.Errorf("%w: a nonce of %d bytes", ErrMalformed, n)}
	}
	return answer.Value, nil
}

// maxNonce limits a nonce, in bytes. That of the public service is a sealed
// token of some hundred.
const maxNonce = 8192
