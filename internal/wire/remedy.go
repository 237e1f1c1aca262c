package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/internal/plain"
)

// Remedy returns what a technician can do about a failure of [Do] or of another request,
// or about a mistake of the calling program, in whole sentences: it decides by the cause
// in the chain of err. It returns "" if err
// is none, and if the caller's context ended other than by a deadline during a request.
func Remedy(err error) string {
	host := hostOf(err)
	var (
		wrongName x509.HostnameError
		unknown   x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
		dns       *net.DNSError
		op        *net.OpError
		ne        net.Error
	)
	var said *proxyRefusal
	var late *waited
	var round *circle
	if remedy, ok := misuse.Is(err); ok {
		return remedy
	}
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return ""
	case errors.As(err, &late):
		return late.remedy(host)
	case errors.Is(err, context.DeadlineExceeded):
		return ""
	case errors.As(err, &said):
		return said.remedy(host)
	case errors.Is(err, errTLSPort):
		return fmt.Sprintf("Write https:// in the URL of %s.", host)
	case DateOf(err) != nil:
		return DateOf(err).Remedy()
	case errors.As(err, &wrongName):
		return fmt.Sprintf("Check the address: the certificate is %s. If %s is right, its operator must add that name to the certificate; if a proxy issued it, exempt %s from TLS inspection.",
			plain.CertificateNames(wrongName.Certificate), host, host)
	case errors.As(err, &unknown):
		return unknownRemedy(err, host)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Sprintf("Check this device's clock. If it is right, the operator of %s must replace the certificate.", host)
	case errors.As(err, &invalid):
		return fmt.Sprintf("The operator of %s must correct its certificate, unless a proxy issued it: then exempt %s from TLS inspection.", host, host)
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Sprintf("Check the address and the port of %s, or write http:// in its URL if that is meant.", host)
	case isTLS(err):
		return fmt.Sprintf("TLS with %s fails: it may want a client's certificate or another version of TLS. Ask its operator, and exempt it from TLS inspection.", host)
	case errors.Is(err, ErrInsecure) && host != "the service":
		return fmt.Sprintf("%s leads from https to http, which is not followed: a portal may answer in its place; otherwise its operator must correct that.", upper(host))
	case errors.As(err, &round):
		return round.remedy(host)
	case errors.Is(err, ErrRedirect):
		return fmt.Sprintf("%s leads to another address. If that is the service's, use it. If it is a portal's or a proxy's, sign in there, or let %s pass.", upper(host), host)
	case errors.Is(err, ErrTooLarge):
		return "The answer is too large for this service. Check the address, and whether a proxy answers in the service's place."
	case errors.As(err, &op) && op.Op == "proxyconnect":
		return "Check the address of the proxy (HTTPS_PROXY) and that it runs."
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Sprintf("Check the spelling of %q, then this device's DNS.", plain.Name(dns.Name))
	case errors.As(err, &dns):
		return "Check this device's network and its DNS server. Then run again."
	case plain.IsRefused(err):
		return "Check the address and the port, and that the service runs. Then look for a firewall on the way."
	case plain.IsUnreachable(err):
		return fmt.Sprintf("Check this device's network: it has no way to %s.", host)
	case plain.IsCut(err) && schemeOf(err) == "http":
		return fmt.Sprintf("%s, or a proxy or firewall on the way, cut the connection. If %s speaks TLS, write https:// in its URL. If not, run again; if that does not help, find out which of them it was.", upper(host), host)
	case plain.IsCut(err):
		return fmt.Sprintf("%s, or a proxy or firewall on the way, cut the connection. Run again; if that does not help, find out which of them it was.", upper(host))
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, ErrSlow), errors.As(err, &ne) && ne.Timeout():
		return fmt.Sprintf("Check that no firewall drops what goes to %s. If it is only slow, run again later.", host)
	}
	return ""
}

// RemedyAt is [Remedy] for the error of a request to a URL, which err need not name.
func RemedyAt(err error, address string) string {
	if err != nil && address != "" && !errors.As(err, new(*url.Error)) {
		err = &url.Error{Op: "Get", URL: address, Err: err}
	}
	return Remedy(err)
}

// unknownRemedy is the remedy for a certificate that leads to no trusted root.
func unknownRemedy(err error, host string) string {
	issuer := ""
	var refused *tls.CertificateVerificationError
	if errors.As(err, &refused) && len(refused.UnverifiedCertificates) > 0 {
		issuer = plain.Name(refused.UnverifiedCertificates[0].Issuer.String())
	}
	if issuer == "" {
		return fmt.Sprintf("Trust the root of %s (in the programs: -roots FILE). If a proxy issued its certificate, exempt %s from TLS inspection.", host, host)
	}
	return fmt.Sprintf("Trust the root of %s (in the programs: -roots FILE). If %q is your proxy, exempt %s from TLS inspection.", host, issuer, host)
}

// hostOf returns the host in the URL of a request's error, or "the service".
func hostOf(err error) string {
	var ue *url.Error
	if errors.As(err, &ue) {
		if u, err := url.Parse(ue.URL); err == nil && u.Host != "" {
			return Visible(u.Host)
		}
	}
	return "the service"
}

// schemeOf returns the scheme in the URL of a request's error, or "".
func schemeOf(err error) string {
	var ue *url.Error
	if !errors.As(err, &ue) {
		return ""
	}
	scheme, _, _ := strings.Cut(ue.URL, "://")
	return scheme
}

// upper returns a host as it begins a sentence.
func upper(host string) string {
	if host == "the service" {
		return "The service"
	}
	return host
}

// StatusRemedy returns what a technician can do about an answer with an HTTP status
// that is an error, in whole sentences. wait is the pause that the server asks for, or
// 0. It returns "" for other statuses.
func StatusRemedy(status int, wait time.Duration) string {
	if text := statusText(status); text != "" && wait <= 0 {
		return text
	}
	switch {
	case status < 300:
		return ""
	case wait > 0 && status == http.StatusTooManyRequests:
		return fmt.Sprintf("The server has too many requests: run again in %s.", Span(wait))
	case wait > 0 && RetryableStatus(status):
		return fmt.Sprintf("The service is busy or under maintenance: run again in %s.", Span(wait))
	case status < 400:
		return "The service has moved, or a portal answers in its place: use the address that it leads to, or sign in at the portal."
	case status < 500:
		return "The service, or a proxy before it, refuses the request: check the address."
	}
	return "The service, or a proxy before it, failed: run again later, then tell the service's operator."
}

// statusText returns what a technician can do about one HTTP status, or "".
func statusText(status int) string {
	switch status {
	case http.StatusBadRequest:
		return "The service refuses the request: check the address and that no proxy changes requests."
	case http.StatusUnauthorized:
		return "The service does not accept the credentials: check that the token or password is the right one and still valid."
	case http.StatusForbidden:
		return "The service, or a proxy before it, does not let the device in: check restrictions, addresses that are allowed, and the proxy."
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return "The address has no such service: check the URL, its path included."
	case http.StatusProxyAuthRequired:
		return "A proxy asks for a sign-in: let the address pass without one, or give the proxy's URL with name and password."
	case http.StatusRequestTimeout, http.StatusTooEarly:
		return "The service, or a proxy before it, ran out of time: run again later."
	case http.StatusTooManyRequests:
		return "The server has too many requests: run again later."
	case http.StatusServiceUnavailable:
		return "The service is busy, under maintenance or down: run again later, then ask its operator."
	}
	return ""
}

// Span returns a duration for people, in whole seconds or larger units: "90 s", "12
// min", "3 h 5 min", "6 days 13 h".
func Span(d time.Duration) string {
	n := int64(d.Round(time.Second) / time.Second)
	unit := func(value int64, name string, rest int64, restName string) string {
		s := fmt.Sprintf("%d %s", value, name)
		if rest > 0 {
			s += fmt.Sprintf(" %d %s", rest, restName)
		}
		return s
	}
	switch {
	case n < 120:
		return unit(n, "s", 0, "")
	case n < 3600:
		return unit(n/60, "min", n%60, "s")
	case n < 48*3600:
		return unit(n/3600, "h", n%3600/60, "min")
	}
	return unit(n/86400, "days", n%86400/3600, "h")
}

// maxPage is how much of a web page is quoted, in characters.
const maxPage = 100

// Page returns the first words of a web page or another body that is not in the form of
// the protocol, as [Said] returns them: at most 100 characters.
func Page(body []byte) string {
	said := []rune(Said(body))
	if len(said) <= maxPage {
		return string(said)
	}
	return strings.TrimSpace(string(said[:maxPage])) + "…"
}

// ErrWebPage means that a web page came in place of the service's answer.
var ErrWebPage error = webPage{}

type webPage struct{}

func (webPage) Error() string { return "the answer is a web page (HTML)" }

// Remedy returns RemedyPage.
func (webPage) Remedy() string { return RemedyPage }

// Barred reports whether a web page with an HTTP status comes from a proxy or a portal
// rather than from a service that is busy or an address that does not exist.
func Barred(status int) bool {
	return status >= 300 && status < 500 && status != http.StatusNotFound && !RetryableStatus(status)
}

// RemedyPage is what a technician can do about a web page in place of an answer.
const RemedyPage = "A proxy or a portal answers in the service's place: sign in there, or let the address pass. If there is none, check the address."
