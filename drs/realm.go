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
	Type          string // "Managed" (at the directory), "Federated" or "Unknown"
	Domain        string // domain of the user; may be empty
	Brand         string // display name of the tenant; may be empty
	CloudInstance string // such as "microsoftonline.com"; may be empty

	// The identity provider of a federated user; empty for others.
	Protocol    string // such as "WSTrust"
	MetadataURL string
	AuthURL     string // where the user signs in
}

// A realmAnswer has the members of all versions of the service. The case of names is
// ignored.
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

// Realm asks the token service where the user with a user principal name signs in. It
// needs d.TokenEndpoint in the known form, which ends in {tenant}/oauth2/token or
// {tenant}/oauth2/v2.0/token. The request follows open clients.
//
// The error is an [*Error]. It wraps [ErrEndpoint] if the token endpoint has another form
// or is not trusted, or [ErrMalformed]. If upn has no "@" or is too long, it wraps neither.
func (c *Client) Realm(ctx context.Context, d *Discovery, upn string) (*Realm, error) {
	d = c.services(d)
	base, err := loginBase(d)
	if err == nil && (len(upn) > maxText || !strings.Contains(upn, "@")) {
		err = fmt.Errorf("%q is not a user principal name", cut(upn))
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

// Capabilities requests the metadata of the token service (OpenID Connect Discovery 1.0) and
// returns its capabilities ([MS-OIDCE]), such as "kdf_ver2"; see SignIn.KDF. It returns the
// first 64 of them, and nil if the metadata has no such member, as that of the public
// service. The form of d.TokenEndpoint is as for [Client.Realm].
//
// The error is an [*Error]. It wraps [ErrEndpoint] if the token endpoint has another form
// or is not trusted, or [ErrMalformed].
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
	if a.Capabilities == nil {
		return nil, nil
	}
	out := []string{}
	for _, t := range a.Capabilities[:min(len(a.Capabilities), maxSIDs)] {
		out = append(out, string(t))
	}
	return out, nil
}

// loginBase returns the part of the token endpoint's URL before the tenant.
func loginBase(d *Discovery) (string, error) {
	for _, end := range []string{"/oauth2/token", "/oauth2/v2.0/token"} {
		if rest, ok := strings.CutSuffix(d.TokenEndpoint, end); ok {
			if i := strings.LastIndexByte(rest, '/'); i > len("https://") {
				return rest[:i], nil
			}
		}
	}
	return "", fmt.Errorf("%w: token endpoint %q does not have the form …/oauth2/token", ErrEndpoint, cut(d.TokenEndpoint))
}
