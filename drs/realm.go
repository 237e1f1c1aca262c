package drs

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// A Realm says where a user signs in.
type Realm struct {
	Type          string // "Managed", "Federated" or "Unknown"
	Domain        string // may be empty
	Brand         string // of the tenant, for people; may be empty
	CloudInstance string // such as "microsoftonline.com"; may be empty

	// Of a federated user's identity provider; empty for others.
	Protocol    string // such as "WSTrust"
	MetadataURL string
	AuthURL     string
}

// A realmAnswer has the members of all versions of the service, which are
// matched in any case.
type realmAnswer struct {
	AccountType   text `json:"account_type"`
	NameSpaceType text `json:"NameSpaceType"`
	DomainOld     text `json:"domain_name"`
	Domain        text `json:"DomainName"`
	Brand         text `json:"FederationBrandName"`
	Cloud         text `json:"cloud_instance_name"`
	Protocol      text `json:"federation_protocol"`
	Metadata      text `json:"federation_metadata_url"`
	Active        text `json:"federation_active_auth_url"`
	AuthURL       text `json:"AuthURL"`
}

// Realm asks, at the service that signs users in, where the user with a name
// (UPN) does so.
func (c *Client) Realm(ctx context.Context, d *Discovery, upn string) (*Realm, error) {
	d = c.services(d)
	base, err := loginBase(d)
	if err == nil && (len(upn) > maxText || !strings.Contains(upn, "@")) {
		err = fmt.Errorf("%q is no name of a user", cut(upn))
	}
	if err != nil {
		return nil, &Error{Op: opRealm, Err: err}
	}
	at := withVersion(base+"/common/userrealm/"+url.PathEscape(upn), "1.0")
	var a realmAnswer
	if err := c.do(ctx, &call{op: opRealm, method: http.MethodGet, url: at}, &a); err != nil {
		return nil, err
	}
	return &Realm{
		Type: first(a.AccountType, a.NameSpaceType, "Unknown"), Domain: first(a.Domain, a.DomainOld), Brand: string(a.Brand), CloudInstance: string(a.Cloud),
		Protocol: string(a.Protocol), MetadataURL: string(a.Metadata), AuthURL: first(a.AuthURL, a.Active),
	}, nil
}

// Capabilities asks for the service's metadata (OpenID Connect Discovery 1.0)
// and returns what it says it can do ([MS-OIDCE]), such as "kdf_ver2".
//
// [MS-OIDCE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-oidce/
func (c *Client) Capabilities(ctx context.Context, d *Discovery) ([]string, error) {
	d = c.services(d)
	base, err := loginBase(d)
	if err != nil {
		return nil, &Error{Op: opCapabilities, Err: err}
	}
	tenant := or(or(d.TenantID, d.TenantName), "common")
	var a struct {
		Capabilities []text `json:"capabilities"`
	}
	at := base + "/" + url.PathEscape(tenant) + "/.well-known/openid-configuration"
	if err := c.do(ctx, &call{op: opCapabilities, method: http.MethodGet, url: at}, &a); err != nil {
		return nil, err
	}
	var out []string
	for _, t := range a.Capabilities[:min(len(a.Capabilities), maxSIDs)] {
		out = append(out, string(t))
	}
	return out, nil
}

// loginBase returns what is before the tenant in the token endpoint's URL.
func loginBase(d *Discovery) (string, error) {
	for _, end := range []string{"/oauth2/token", "/oauth2/v2.0/token"} {
		if rest, ok := strings.CutSuffix(d.TokenEndpoint, end); ok {
			if i := strings.LastIndexByte(rest, '/'); i > len("https://") {
				return rest[:i], nil
			}
		}
	}
	return "", fmt.Errorf("%w: token endpoint %q", ErrEndpoint, cut(d.TokenEndpoint))
}
