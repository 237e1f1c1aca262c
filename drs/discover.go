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

	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// The default API versions of Discover and Contract.
const (
	discoveryVersion = "1.9"
	contractVersion  = "1.2"
)

// maxTenant is the largest size of a tenant's name, in bytes: that of a DNS name.
const maxTenant = 253

// A Discovery has the services of a tenant. Endpoints are URLs; a resource identifies a
// service in a request for a token. Instead of calling [Client.Discover] a program can
// fill one in itself: each method uses the default, where the field names one, for what
// is empty. A method accepts nil, which is as a Discovery with no field set.
type Discovery struct {
	TenantID    string // GUID in lower case; empty if the service did not send it
	TenantName  string // domain name; may be empty
	DisplayName string // may be empty

	JoinEndpoint string // if empty, /EnrollmentServer/device/ at Client.BaseURL
	JoinResource string // if empty, DefaultResource
	JoinVersion  string // API version; if empty, "2.0"

	// NonceEndpoint is for Client.Nonce. If it is empty and the tenant is known, it is
	// /EnrollmentServer/nonce/{tenant}/ at Client.BaseURL.
	NonceEndpoint string
	NonceVersion  string // API version; if empty, "1.0"

	TokenEndpoint     string // token endpoint of OAuth 2; optional, but users need it to sign in
	AuthorizeEndpoint string // authorization endpoint of OAuth 2; optional
	PassiveEndpoint   string // sign-in by WS-Federation; optional
	Federated         bool   // users sign in at the tenant's own identity provider

	// ProofEndpoint is where Authenticate requests its challenge. It is empty if the
	// service has no TPM challenges, as the public one has none.
	ProofEndpoint string
	ProofVersion  string // API version; if empty, "1.0"

	// PrecreateEndpoint is for a join with Request.PreAuthorized. It is optional.
	PrecreateEndpoint string

	// Services that this package does not use; all are optional.
	KeyEndpoint        string // registers keys of users ([MS-KPP])
	KeyResource        string
	ManagementEndpoint string // management service of the directory
	ManagementResource string
	ManagementVersion  string

	// MsaSiteID and MsaSiteURL are the site for which Windows requests a device ticket
	// of a Microsoft account. This package does not use them.
	MsaSiteID, MsaSiteURL string
}

// A discoveryAnswer has the sections of an answer that are used, in JSON or XML ([MS-DVRD]
// section 2.2.3). Each may be missing.
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

// Discover requests the services of a tenant, which is a domain name or a GUID ([MS-DVRD]),
// with the parameter managed=True and the header fields ocp-adrs-client-name and
// ocp-adrs-client-version of Windows. Fields of the Discovery that the answer does not set
// have the defaults.
//
// The error is an [*Error]. It wraps [ErrEndpoint] if an endpoint is not trusted (see the
// package documentation); [ErrTenant] if tenant is a GUID and the answer is for another, or
// if an endpoint is that of another tenant; or [ErrMalformed]. If the service refuses, it
// has the service's HTTPStatus, Code and Subcode. If tenant is not valid, it wraps none of
// these.
//
// [MS-DVRD]: https://learn.microsoft.com/openspecs/windows_protocols/ms-dvrd/
func (c *Client) Discover(ctx context.Context, tenant string) (*Discovery, error) {
	if tenant == "" || len(tenant) > maxTenant || strings.ContainsAny(tenant, "/\\?#%@ ") {
		return nil, &Error{Op: opDiscover, Err: misuse.Errorf("%q is not the name or identifier of a tenant", tenant)}
	}
	at := withVersion(c.base()+"/"+url.PathEscape(tenant)+"/Discover", or(c.APIVersion, discoveryVersion)) + "&managed=True"
	k := &call{url: at, header: map[string]string{"Ocp-Adrs-Client-Name": clientName, "Ocp-Adrs-Client-Version": clientVersion}}
	return c.discover(ctx, k, tenant)
}

// Contract is like [Client.Discover], but requests the services of the registration
// service at Client.BaseURL and names no tenant. AD FS has this request ([MS-DVRD]).
//
// The error is an [*Error] with the Op "Discover". It wraps [ErrEndpoint] or
// [ErrMalformed].
//
// [MS-DVRD]: https://learn.microsoft.com/openspecs/windows_protocols/ms-dvrd/
func (c *Client) Contract(ctx context.Context) (*Discovery, error) {
	return c.discover(ctx, &call{url: withVersion(c.base()+"/EnrollmentServer/contract", or(c.APIVersion, contractVersion))}, "")
}

// The client that Windows names in a request for the services of a tenant.
const (
	clientName    = "dsreg"
	clientVersion = "10"
)

func (c *Client) discover(ctx context.Context, k *call, tenant string) (*Discovery, error) {
	k.op, k.method, k.accept = opDiscover, http.MethodGet, "application/json, application/xml;q=0.5"
	reply, err := c.send(ctx, k)
	if err != nil {
		return nil, err
	}
	var answer discoveryAnswer
	if err = checkType(reply, "json", "xml"); err == nil {
		err = answer.read(reply.Body)
	}
	var d *Discovery
	if err == nil {
		d, err = c.discovery(tenant, &answer)
	}
	if err != nil {
		return nil, k.failed(reply, err)
	}
	return d, nil
}

// discovery returns the Discovery of an answer.
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
		MsaSiteID:         wire.Visible(cut(strings.Trim(string(a.MsaProviderData.SiteID), `"`))), MsaSiteURL: string(a.MsaProviderData.SiteURL),
	}
	if err := d.checkTenant(tenant); err != nil {
		return nil, err
	}
	d.fill(c.base(), tenant)
	if err := c.checkEndpoints(d); err != nil {
		return nil, err
	}
	for _, e := range []string{d.TokenEndpoint, d.AuthorizeEndpoint} {
		if err := sameTenant("endpoint "+e, endpointTenant(e), d.TenantID); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// checkEndpoints checks all endpoints of d, because tokens may be sent to them.
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

// services returns a copy of d, which may be nil, with the defaults for what is empty.
func (c *Client) services(d *Discovery) *Discovery {
	var own Discovery
	if d != nil {
		own = *d
	}
	own.fill(c.base(), or(own.TenantID, own.TenantName))
	return &own
}

// checkTenant checks that the answer is for the tenant that was asked for. That is possible
// only if tenant is a GUID.
func (d *Discovery) checkTenant(tenant string) error {
	if d.TenantID != "" && !wire.IsGUID(d.TenantID) {
		return fmt.Errorf("%w: the tenant's identifier %q is not a GUID", ErrMalformed, d.TenantID)
	}
	if !wire.IsGUID(tenant) {
		return nil
	}
	if d.TenantID == "" {
		d.TenantID = strings.ToLower(tenant)
	}
	if !strings.EqualFold(d.TenantID, tenant) {
		return fmt.Errorf("%w: %s, not %s", ErrTenant, d.TenantID, tenant)
	}
	return nil
}

// fill sets the defaults for what is empty.
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

// Nonce requests a nonce for [Request.Nonce], the certificate request of a join. It is an
// opaque text. The token of req, the join that the nonce is for, is sent as the bearer
// token, which some services demand; req may be nil or have none. Open clients join the
// public service without a nonce.
//
// The error is an [*Error]. It wraps [ErrEndpoint] or [ErrMalformed]; neither, if d has
// neither a nonce endpoint nor a tenant. If the service refuses, it has the service's
// HTTPStatus, such as 401 without a token. A join may be possible without a nonce then.
func (c *Client) Nonce(ctx context.Context, d *Discovery, req *Request) (string, error) {
	d = c.services(d)
	if d.NonceEndpoint == "" {
		return "", &Error{Op: opNonce, Err: errors.New("the discovery has neither a nonce endpoint nor a tenant")}
	}
	var answer struct{ Value string }
	at := withVersion(d.NonceEndpoint, d.NonceVersion)
	k := &call{op: opNonce, method: http.MethodGet, url: at}
	if token := req.bearer(); token != "" {
		k.auth = "Bearer " + string(token)
	}
	if err := c.do(ctx, k, &answer); err != nil {
		return "", err
	}
	if n := len(answer.Value); n == 0 || n > maxNonce {
		return "", &Error{Op: opNonce, URL: d.NonceEndpoint, HTTPStatus: http.StatusOK, Err: fmt.Errorf("%w: the nonce has %d bytes", ErrMalformed, n)}
	}
	return answer.Value, nil
}

// maxNonce is the largest size of a nonce that is accepted, in bytes. That of the public
// service is an encrypted token of some hundred bytes.
const maxNonce = 8192
