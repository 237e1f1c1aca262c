package drs

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// discoveryVersion is the API version that Discover asks for.
const discoveryVersion = "1.9"

// maxTenant limits a tenant's name, as DNS does.
const maxTenant = 253

// A Discovery names a tenant's services. Resources are what tokens for a
// service are asked for by.
type Discovery struct {
	TenantID    string // GUID in lower case; empty if the service did not say
	TenantName  string // domain name; may be empty
	DisplayName string // may be empty

	JoinEndpoint string
	JoinResource string
	JoinVersion  string // of the API, such as "2.0"

	NonceEndpoint string
	NonceVersion  string

	TokenEndpoint string // empty if the service did not say

	// ProofEndpoint is where Authenticate gets its challenge. It is empty if
	// the service offers none, as the public one.
	ProofEndpoint string
	ProofVersion  string
}

// A discoveryAnswer has those sections that are used. Each may be missing.
type discoveryAnswer struct {
	AuthenticationService struct {
		OAuth2 struct{ TokenEndpoint text }
	}
	DeviceJoinService   struct{ JoinEndpoint, JoinResourceID, ServiceVersion text }
	NonceService        struct{ Endpoint, ServiceVersion text }
	TpmChallengeService struct{ Endpoint, ServiceVersion text }
	TenantInfo          struct{ DisplayName, TenantID, TenantName text }
}

// Discover asks for the services of a tenant, by domain name or identifier. A
// service that the answer does not name has its well-known place below
// BaseURL, but for the token endpoint and the TPM challenge. Endpoints that
// are not to be trusted fail with [ErrEndpoint] (see the package's
// documentation), an answer for another tenant identifier with [ErrTenant].
func (c *Client) Discover(ctx context.Context, tenant string) (*Discovery, error) {
	if tenant == "" || len(tenant) > maxTenant || strings.ContainsAny(tenant, "/\\?#%@ ") {
		return nil, &Error{Op: opDiscover, Err: fmt.Errorf("%q is no name of a tenant", tenant)}
	}
	at := withVersion(c.base()+"/"+url.PathEscape(tenant)+"/Discover", discoveryVersion)
	var answer discoveryAnswer
	if err := c.do(ctx, &call{op: opDiscover, method: http.MethodGet, url: at}, &answer); err != nil {
		return nil, err
	}
	d, err := c.discovery(tenant, &answer)
	if err != nil {
		return nil, &Error{Op: opDiscover, URL: strings.TrimSuffix(at, "?api-version="+discoveryVersion), HTTPStatus: http.StatusOK, Err: err}
	}
	return d, nil
}

// discovery makes a Discovery of an answer.
func (c *Client) discovery(tenant string, a *discoveryAnswer) (*Discovery, error) {
	d := &Discovery{
		TenantID: strings.ToLower(string(a.TenantInfo.TenantID)), TenantName: string(a.TenantInfo.TenantName), DisplayName: string(a.TenantInfo.DisplayName),
		JoinEndpoint: string(a.DeviceJoinService.JoinEndpoint), JoinResource: string(a.DeviceJoinService.JoinResourceID), JoinVersion: string(a.DeviceJoinService.ServiceVersion),
		NonceEndpoint: string(a.NonceService.Endpoint), NonceVersion: string(a.NonceService.ServiceVersion),
		ProofEndpoint: string(a.TpmChallengeService.Endpoint), ProofVersion: string(a.TpmChallengeService.ServiceVersion),
		TokenEndpoint: string(a.AuthenticationService.OAuth2.TokenEndpoint),
	}
	if err := d.checkTenant(tenant); err != nil {
		return nil, err
	}
	d.fill(c.base(), tenant)
	for _, e := range []string{d.JoinEndpoint, d.NonceEndpoint, d.TokenEndpoint, d.ProofEndpoint} {
		if e == "" {
			continue
		}
		if err := c.checkEndpoint(e); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// checkTenant checks that the answer is of the tenant that was asked for, as
// far as it can be told.
func (d *Discovery) checkTenant(tenant string) error {
	if d.TenantID != "" && !isGUID(d.TenantID) {
		return fmt.Errorf("%w: tenant identifier %q", ErrMalformed, d.TenantID)
	}
	if !isGUID(tenant) {
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

// fill puts the well-known values in for what the answer left out.
func (d *Discovery) fill(base, tenant string) {
	for _, f := range []struct {
		field *string
		value string
	}{
		{&d.JoinEndpoint, base + "/EnrollmentServer/device/"},
		{&d.JoinResource, DefaultResource},
		{&d.JoinVersion, "2.0"},
		{&d.NonceEndpoint, base + "/EnrollmentServer/nonce/" + url.PathEscape(tenant) + "/"},
		{&d.NonceVersion, "1.0"},
		{&d.ProofVersion, "1.0"},
	} {
		if *f.field == "" {
			*f.field = f.value
		}
	}
}

// Nonce asks for a nonce to be put into a join's certificate request. It is
// opaque.
func (c *Client) Nonce(ctx context.Context, d *Discovery) (string, error) {
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
