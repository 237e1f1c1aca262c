package drs

import (
	"net/url"
	"slices"
	"strings"
)

// publicHosts are the hosts of Microsoft's registration services: of the worldwide cloud,
// that of the government of the United States, and that in China.
var publicHosts = []string{
	"enterpriseregistration.windows.net", "enterpriseregistration.microsoftonline.us", "enterpriseregistration.partner.microsoftonline.cn",
}

// Public reports whether the registration service of c is one of Microsoft's, by the host
// of c.BaseURL. It sends nothing. These services have no TPM challenges, so that
// [Client.Authenticate] fails there with [ErrNoChallenge]: a device without a user needs a
// [DeviceToken] from elsewhere.
func (c *Client) Public() bool {
	u, err := url.Parse(c.base())
	return err == nil && slices.Contains(publicHosts, strings.ToLower(u.Hostname()))
}
