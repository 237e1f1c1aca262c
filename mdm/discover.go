package mdm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// probeTime bounds the GET that precedes a discovery.
const probeTime = 10 * time.Second

// A Discovery names the services of a management server ([MS-MDE2] section
// 3.1). A caller that knows the EnrollURL already may make one instead of
// calling [Client.Discover].
type Discovery struct {
	// AuthPolicy is the way in which the server says it authenticates users:
	// "Federated", "OnPremise" or "Certificate". This package does not act on
	// it, see [Credential].
	AuthPolicy string

	// AuthURL is the sign-in page of a federated server. It may be empty.
	AuthURL string

	// PolicyURL is the service of [Client.Policy]. If it is empty, the server
	// has no certificate policy.
	PolicyURL string

	// EnrollURL is the service of [Client.Enroll], [Client.Recover] and
	// [Client.Renew].
	EnrollURL string

	// EnrollVersion is the version of the protocol that the server speaks, such
	// as "5.0". It decides which context items are sent. If it is empty, it is
	// "3.0".
	EnrollVersion string

	// AttestationURL (DeviceAssociationMaaUrl) and GatewayURL (GatewayService)
	// came with version 9.0. This package does not use them; they may be empty.
	AttestationURL string
	GatewayURL     string
}

// EntraDiscoveryURL is the discovery service of Intune, as Entra tenants name
// it. A tenant with another management server names that server's.
const EntraDiscoveryURL = "https://enrollment.manage.microsoft.com/enrollmentserver/discovery.svc"

// discoveryPath is the path of the discovery service at the host of a domain.
const discoveryPath = "/EnrollmentServer/Discovery.svc"

// DiscoveryURL returns the URL of the discovery service of a domain, such as
// "contoso.com", or of the domain in an e-mail address: it is at the host
// EnterpriseEnrollment of that domain ([MS-MDE2] section 3.1). If the argument
// is neither, the error is an [*Error] with the operation "Discover".
func DiscoveryURL(domain string) (string, error) {
	if _, after, ok := strings.Cut(domain, "@"); ok {
		domain = after
	}
	u, err := url.Parse("https://EnterpriseEnrollment." + domain + discoveryPath)
	if err != nil || !strings.Contains(domain, ".") || strings.HasPrefix(domain, ".") || strings.Trim(domain, domainLetters) != "" {
		return "", &Error{Op: opDiscover, Err: fmt.Errorf("%.100q is not a domain", domain)}
	}
	return u.String(), nil
}

const domainLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-"

// Discover asks the server at discoveryURL for its services ([MS-MDE2] section
// 3.1). The URL is the one that the tenant names, such as [EntraDiscoveryURL],
// or that of a domain by [DiscoveryURL].
//
// The user is an e-mail address in the tenant's domain, or `domain\user`. If it
// is empty, a placeholder is sent, which suffices at a server whose URL is
// known otherwise. The POST follows a GET whose outcome does not matter,
// because many servers do not answer one. Discover follows up to four
// redirects, which must not leave https.
//
// The URLs in the answer must be of https, without a user and a fragment. Only
// if discoveryURL itself is of http, which is allowed on the loopback interface
// for tests, may they be of that kind, too. A PolicyURL or EnrollURL against
// this is an error, because tokens are sent to it; other URLs are left empty. If
// the answer names its activity (ActivityId, as Intune's does), PolicyURL and
// EnrollURL get it as client-request-id in their queries, unless they have one.
//
// The error is an [*Error] with the operation "Discover". It has a Fault if the
// server answered with one, and wraps the error of ctx if that ended first. Its
// code is 0x8018001A if a URL is not of https.
func (c *Client) Discover(ctx context.Context, discoveryURL, user string) (*Discovery, error) {
	user = or(user, defaultUser)
	body, err := c.discoverBody(user)
	if err != nil {
		return nil, &Error{Op: opDiscover, Err: err}
	}
	if err := wire.CheckSecure(discoveryURL); err != nil {
		return nil, &Error{Op: opDiscover, Err: err}
	}
	start := time.Now()
	if err := c.probe(ctx, discoveryURL); ctx.Err() != nil {
		return nil, &Error{Op: opDiscover, URL: wire.Redact(discoveryURL), Err: cmp.Or(err, ctx.Err())}
	}
	m := &message{action: actionDiscover, body: body}
	at, err := c.settle(ctx, discoveryURL, m)
	if err != nil {
		return nil, wire.WaitedSince(start, err)
	}
	d, err := readDiscovery(at.body, isPlain(discoveryURL))
	if err != nil {
		return nil, &Error{Op: opDiscover, URL: wire.Redact(at.url), HTTPStatus: http.StatusOK, Err: err}
	}
	for _, u := range []*string{&d.PolicyURL, &d.EnrollURL} {
		*u = withRequestID(*u, at.activity)
	}
	return d, nil
}

// withRequestID returns the URL of a service with the ActivityId of the discovery
// in its query, which tells the server that the calls belong together. Either may
// be empty. A URL that has such an identifier keeps it.
func withRequestID(raw, activity string) string {
	u, err := url.Parse(raw)
	if err != nil || raw == "" || activity == "" || u.Query().Has(requestID) {
		return raw
	}
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += requestID + "=" + activity
	return u.String()
}

const requestID = "client-request-id"

// A settled call is an answer and the URL that gave it.
type settled struct {
	url, activity string
	body          *element
}

// settle posts m to target, and again to where a redirect leads. That is safe
// because discovery carries no secret. Each address must pass [checkService]:
// no redirect leads from https to http.
func (c *Client) settle(ctx context.Context, target string, m *message) (*settled, error) {
	from, first := "", target
	for range wire.MaxRedirects {
		answer, err := c.ask(ctx, opDiscover, target, m, "DiscoverResponse")
		var moved *Error
		if err == nil {
			return &settled{target, answer.Activity, answer.Content}, nil
		}
		if errors.As(err, &moved) {
			moved.from = from
		}
		if moved == nil || moved.location == "" {
			return nil, err
		}
		from = wire.Redact(target)
		next, err := resolve(target, moved.location)
		if err == nil {
			err = checkService(next, isPlain(target))
		}
		if err != nil {
			err = fmt.Errorf("redirect: %w", err)
			return nil, &Error{Op: opDiscover, URL: wire.Redact(target), HTTPStatus: moved.HTTPStatus, Err: err}
		}
		target = next
	}
	return nil, &Error{Op: opDiscover, URL: wire.Redact(first), Err: wire.Circle(first, target)}
}

// resolve returns where location leads from target.
func resolve(target, location string) (string, error) {
	base, err := url.Parse(target)
	if err != nil {
		return "", err
	}
	next, err := base.Parse(location)
	if err != nil {
		return "", err
	}
	return next.String(), nil
}

// probe sends a GET. Its error counts only if ctx has ended.
func (c *Client) probe(ctx context.Context, target string) error {
	limited, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	req, err := http.NewRequestWithContext(limited, http.MethodGet, target, nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", agentEnroll)
	req.Header.Set("Pragma", "no-cache")
	req.Header.Set("Cache-Control", "no-cache")
	got, err := wire.Do(wire.NoRedirects(c.HTTPClient), req, maxAnswer)
	switch {
	case err == nil:
		debug(ctx, c.Logger, "Probe", target, got.Status)
	case c.Logger != nil:
		c.Logger.DebugContext(ctx, "mdm probe failed", "url", wire.Redact(target), "err", err)
	}
	return err
}

// discoverBody returns the request with its elements in the order of Windows.
// It offers two ways to authenticate, because servers insist on one name or the
// other and take a token under both.
func (c *Client) discoverBody(user string) (string, error) {
	if !isUser(user) {
		return "", fmt.Errorf("%.100q is not an e-mail address", user)
	}
	version := or(c.RequestVersion, defaultSchema)
	if _, err := major(version); err != nil {
		return "", fmt.Errorf("request version: %w", err)
	}
	d := c.Device.WithDefaults()
	if err := d.checkFields(); err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(`<Discover xmlns="` + nsDiscovery + `"><request xmlns:i="` + nsInstance + `">`)
	for _, e := range []Item{
		{"EmailAddress", user},
		{"RequestVersion", version},
		{"DeviceType", d.Type},
		{"ApplicationVersion", d.ApplicationVersion},
		{"OSEdition", strconv.Itoa(d.OSEdition)},
	} {
		b.WriteString("<" + e.Name + ">" + escape(e.Value) + "</" + e.Name + ">")
	}
	b.WriteString(`<AuthPolicies><AuthPolicy>OnPremise</AuthPolicy><AuthPolicy>Federated</AuthPolicy></AuthPolicies>`)
	b.WriteString(`</request></Discover>`)
	return b.String(), nil
}

// isUser reports whether s has the form of "name@contoso.com" or
// "CONTOSO\name".
func isUser(s string) bool {
	if domain, name, ok := strings.Cut(s, `\`); ok {
		return domain != "" && name != "" && !strings.ContainsAny(s, "@") && writable(s)
	}
	name, domain, ok := strings.Cut(s, "@")
	return ok && name != "" && strings.Contains(domain, ".") && !strings.Contains(domain, "@") && writable(s)
}

// readDiscovery reads a DiscoverResponse. The enrollment service is required,
// and a service that will be sent a token must pass [checkService]. The other
// services are left out if they do not.
func readDiscovery(e *element, plain bool) (*Discovery, error) {
	result := e.At("DiscoverResult")
	if err := errors.Join(e.Unique(), result.Unique()); err != nil {
		return nil, err
	}
	d := &Discovery{
		AuthPolicy:    result.Value("AuthPolicy"),
		AuthURL:       or(result.Value("AuthenticationServiceUrl"), result.Value("AuthUrl")),
		PolicyURL:     result.Value("EnrollmentPolicyServiceUrl"),
		EnrollURL:     result.Value("EnrollmentServiceUrl"),
		EnrollVersion: or(result.Value("EnrollmentVersion"), "3.0"),

		AttestationURL: result.Value("DeviceAssociationMaaUrl"),
		GatewayURL:     result.Value("GatewayService"),
	}
	if d.EnrollURL == "" {
		return nil, hresult.Errorf(codeNotConfigured, "the answer names no enrollment service")
	}
	for _, u := range []struct{ name, url string }{{"EnrollmentServiceUrl", d.EnrollURL}, {"EnrollmentPolicyServiceUrl", d.PolicyURL}} {
		if u.url == "" {
			continue
		}
		if err := checkService(u.url, plain); err != nil {
			return nil, fmt.Errorf("the answer's %s: %w", u.name, err)
		}
	}
	for _, u := range []*string{&d.AuthURL, &d.AttestationURL, &d.GatewayURL} {
		if checkService(*u, plain) != nil {
			*u = ""
		}
	}
	if _, err := major(d.EnrollVersion); err != nil {
		d.EnrollVersion = "3.0"
	}
	return d, nil
}

// major returns the first number of a version such as "5.0".
func major(version string) (int, error) {
	first, second, ok := strings.Cut(version, ".")
	n, err := strconv.ParseUint(first, 10, 8)
	if _, err2 := strconv.ParseUint(second, 10, 8); err != nil || err2 != nil || !ok {
		return 0, fmt.Errorf("%.20q is not a version such as 5.0", version)
	}
	return int(n), nil
}
