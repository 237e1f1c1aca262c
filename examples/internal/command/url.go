package command

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/whiteglove/whiteglove/internal/wire"
)

// CheckURL returns an error, which begins with the flag, unless raw is the URL of a
// service that may be sent a secret: one of https, or of http on the loopback interface.
// It takes the empty URL for none.
func CheckURL(flag, raw string) error {
	if raw == "" {
		return nil
	}
	if u, err := url.Parse(raw); err == nil && u.Host != "" {
		if wrong := misses(u); wrong != "" {
			return fmt.Errorf("%s: %s", flag, wrong)
		}
	}
	if err := wire.CheckSecure(raw); err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	return nil
}

// misses returns what no service's URL has, of what is in u, or "".
func misses(u *url.URL) string {
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	switch {
	case u.User != nil:
		return "the URL has a user name or a password, which the services do not take"
	case u.Port() != "" && (err != nil || port == 0):
		return fmt.Sprintf("the port %.20s is not from 1 to 65535", u.Port())
	case strings.HasSuffix(u.Host, ":"):
		return "the port is missing after the colon"
	case u.Hostname() == "":
		return "the host is missing before the port"
	case u.Fragment != "":
		return fmt.Sprintf("the URL has a fragment (#%.40s), which is never sent: leave it out", wire.Visible(u.Fragment))
	}
	return ""
}

// CheckBaseURL is [CheckURL] for a URL to which the paths of services are added.
func CheckBaseURL(flag, raw string) error {
	err := CheckURL(flag, raw)
	if err == nil && strings.Contains(raw, "?") {
		return fmt.Errorf("%s: the URL has a query (after \"?\"), and paths are added to it: leave the query out", flag)
	}
	return err
}

// CheckOpenURL is [CheckURL] for a service that is also asked over plain http, because
// its messages are protected by themselves.
func CheckOpenURL(flag, raw string) error {
	err := CheckURL(flag, raw)
	if errors.Is(err, wire.ErrInsecure) {
		if u, perr := url.Parse(raw); perr == nil && strings.EqualFold(u.Scheme, "http") {
			return nil
		}
		return fmt.Errorf("%s: %.100q is a URL neither of https nor of http", flag, wire.Redact(raw))
	}
	return err
}

// CheckAddress returns an error, which begins with the flag, unless address is one to
// listen at: a host, which may be missing, and a port.
func CheckAddress(flag, address string) error {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil || port == "" {
		return fmt.Errorf("%s: %.100q is not HOST:PORT, such as 127.0.0.1:8443 or :8443", flag, address)
	}
	return nil
}

// CheckUser returns an error, which begins with the flag, unless name can be that of a
// user: an e-mail address or domain\user. It takes the empty name for none.
func CheckUser(flag, name string) error {
	if name != "" && !strings.ContainsAny(name, "@\\") {
		return fmt.Errorf("%s %q: want an e-mail address, such as user@contoso.com", flag, name)
	}
	return nil
}

// CheckTenant returns an error, which begins with the flag, unless name can be the domain
// name or the identifier of a tenant. It takes the empty name for none.
func CheckTenant(flag, name string) error {
	if len(name) > 253 || strings.ContainsAny(name, "/\\?#%@ :") {
		return fmt.Errorf("%s: %.100q is not the domain name or identifier of a tenant, such as contoso.com", flag, name)
	}
	return nil
}
