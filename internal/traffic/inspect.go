package traffic

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// silent is how many bytes of a server a tunnel must have passed for TLS to come about.
// The server's certificates alone are more.
const silent = 1000

// Why TLS seems to be inspected.
const (
	whyIssuer = "its certificate was issued by a proxy"
	whyOther  = "its certificate was issued by a CA that is not known for these services"
	whyRead   = "the proxy reads its requests within TLS"
	whySilent = "the tunnel to it was opened, and nothing followed"
)

// judgeTLS notes what an entry shows of TLS to the host.
func (u *Use) judgeTLS(at *url.URL, e *entry) {
	switch issuer := plain(e.issuer); {
	case issuer == "" && e.log && at.Scheme == "https" && e.method != http.MethodConnect:
		u.inspected(whyRead, true)
	case issuer == "" || e.failed() != "":
	case proxies.MatchString(issuer):
		u.Issuer = issuer
		u.inspected(whyIssuer, true)
	case !public.MatchString(issuer):
		u.Issuer = issuer
		u.inspected(whyOther, false)
	}
}

// plain returns the printable characters of a name, at most maxIssuer bytes of them.
func plain(name string) string {
	name = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, name)
	return strings.TrimSpace(strings.ToValidUTF8(name[:min(len(name), maxIssuer)], ""))
}

// inspected notes why TLS seems to be inspected. What is certain stays.
func (u *Use) inspected(why string, certain bool) {
	if u.Certain {
		return
	}
	u.Inspection, u.Certain = why, certain
}

// judgeTunnels notes tunnels that nothing followed: in a log that counts the bytes of
// others, those of few bytes; in an archive that shows the requests of others, those
// without requests.
func (c *Capture) judgeTunnels() {
	for _, u := range c.Uses {
		nothing := u.got >= 0 && u.got < silent && c.passed >= silent
		if c.Kind == HAR {
			nothing = u.tunneled && !u.opened && c.opened
		}
		if nothing && u.Failure == "" {
			u.inspected(whySilent, false)
		}
	}
}

var (
	// proxies are names of issuers that inspect TLS.
	proxies = regexp.MustCompile(`(?i)inspect|intercept|prox(y|ies)|fiddler|mitm|zscaler|netskope|forti|blue ?coat|sonicwall|palo alto|websense|forcepoint|sophos|untangle|barracuda|umbrella|charles|burp|wingate`)

	// public are names of issuers that are known or likely for these services: of
	// organizations, or the short names of Let's Encrypt and Google.
	public = regexp.MustCompile(`(?i)microsoft|digicert|baltimore|globalsign|entrust|sectigo|usertrust|comodo|amazon|google|\bgts\b|internet security research|let's encrypt|ssl\.com|ssl corporation|identrust|godaddy|starfield|^(cn=)?(R|E|WR|WE|YR|YE)\d{1,2}$`)
)
