package drs

import (
	"fmt"
	"net/url"
	"strings"
)

// The protocols of primary refresh tokens. Windows has version 2; 3 and 4 are those of the
// brokers of macOS and other systems, at version 2.0 of the token endpoint.
const (
	protocol2 = 2 // session key, RS256
	protocol3 = 3 // the same at version 2.0 of the endpoint
	protocol4 = 4 // no session key: the device key signs each request, and replies are encrypted to the storage key
)

// protocol returns the protocol of a sign-in.
func (r *SignIn) protocol() int {
	switch {
	case r.Protocol != 0:
		return r.Protocol
	case r.StorageKey != nil:
		return protocol4
	}
	return protocol2
}

// endpointFor returns the token endpoint for a protocol. The error wraps ErrEndpoint if that
// of version 2.0 is not known.
func endpointFor(d *Discovery, protocol int) (string, error) {
	if protocol == protocol2 || strings.HasSuffix(d.TokenEndpoint, "/oauth2/v2.0/token") {
		return d.TokenEndpoint, nil
	}
	if base, ok := strings.CutSuffix(d.TokenEndpoint, "/oauth2/token"); ok {
		return base + "/oauth2/v2.0/token", nil
	}
	return "", fmt.Errorf("%w: token endpoint %q does not have the form …/oauth2/token", ErrEndpoint, cut(d.TokenEndpoint))
}

// requestForm returns the form in which a signed request is posted by a protocol.
func requestForm(request string, protocol int) url.Values {
	form := url.Values{"grant_type": {grantJWT}, "request": {request}, "client_info": {"1"}}
	if protocol == protocol2 {
		form.Set("windows_api_version", "2.2")
	} else {
		form.Set("prt_protocol_version", fmt.Sprintf("%d.0", protocol))
	}
	return form
}
