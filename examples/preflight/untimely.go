package main

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/internal/plain"
)

// judgeTime notes that a server's certificate, or that of an issuer, is not valid
// at this machine's time. wrong is the one that is not.
func judgeTime(r *result, leaf, wrong *x509.Certificate) {
	what := "its certificate"
	switch {
	case wrong == nil:
		wrong = leaf
	case !wrong.Equal(leaf):
		what = ofIssuer(wrong)
	}
	r.untimely = wrong
	now, validity := outside(wrong, time.Now())
	r.note(fail, "tls: by this machine's clock, "+now+", "+what+" "+validity,
		"Compare the clock with another. If it is wrong, set it; if it is right, tell the operator of the service or, if the certificate is a proxy's, exclude this host from TLS inspection.")
}

// ofIssuer names the certificate of an issuer.
func ofIssuer(c *x509.Certificate) string {
	return fmt.Sprintf("the certificate of an issuer, %q,", plain.Name(c.Subject.String()))
}

// outside says what time it is, and that a certificate is not valid then, in minutes if these
// tell the times apart.
func outside(c *x509.Certificate, at time.Time) (now, validity string) {
	end, word := c.NotAfter, "expired on "
	if at.Before(c.NotBefore) {
		end, word = c.NotBefore, "is not valid before "
	}
	layout := "2006-01-02 15:04"
	if at.Truncate(time.Minute).Equal(end.Truncate(time.Minute)) {
		layout = time.DateTime
	}
	return at.UTC().Format(layout) + " UTC", word + end.UTC().Format(layout)
}

// judgeByCertificates notes what certificates that are not valid now say of the clock, and
// reports whether there are any. The same certificate, or the same host, says it only once,
// and a single one may itself be wrong.
func judgeByCertificates(r *result, answers []*answer) bool {
	var certs []*x509.Certificate
	var hosts, services []string
	for _, a := range answers {
		if u, err := url.Parse(a.URL); err == nil && a.untimely != nil {
			if !slices.ContainsFunc(certs, a.untimely.Equal) {
				certs = append(certs, a.untimely)
			}
			hosts, services = append(hosts, u.Hostname()), append(services, u.Host)
		}
	}
	if len(certs) == 0 {
		return false
	}
	slices.Sort(hosts)
	slices.Sort(services)
	hosts, services = slices.Compact(hosts), slices.Compact(services)
	several := len(certs) > 1 && len(hosts) > 1
	detail := untimelyDetail(certs, command.Count(len(hosts), "host"), several)
	if several {
		r.note(fail, detail, "Compare the clock with another. If it is wrong, set it, and let it follow a time server (UDP 123); if it is right, the operators of "+list(services)+" must correct the certificates.")
		return true
	}
	r.note(warn, detail, "Compare the clock with another. If it is wrong, set it; if it is right, the operator of "+list(services)+" must correct the certificate.")
	return true
}

// untimelyDetail says which certificates of hosts are not valid now. A server may show a new one
// with the same dates to each connection.
func untimelyDetail(certs []*x509.Certificate, hosts string, several bool) string {
	at := time.Now()
	now, validity := outside(certs[0], at)
	what := "the certificate of " + hosts + " " + validity
	switch {
	case several || slices.ContainsFunc(certs, func(c *x509.Certificate) bool { _, v := outside(c, at); return v != validity }):
		what = "certificates of " + hosts + " are not valid"
	case certs[0].IsCA:
		what = ofIssuer(certs[0]) + " " + validity
	}
	return "by this clock, " + now + ", " + what + ", and nothing else says what time it is"
}

// list returns up to three names, and how many more there are.
func list(names []string) string {
	switch n := len(names); {
	case n == 1:
		return names[0]
	case n > 3:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:3], ", "), n-3)
	default:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
}

// blameServices notes that certificates which are not valid now are not the clock's fault,
// as the clock is right.
func blameServices(clock *result, answers []*answer) {
	if clock.Status != pass {
		return
	}
	for _, a := range answers {
		if a.untimely != nil {
			a.Remedy = "This machine's clock is right: tell the operator of the service; or, if the certificate is a proxy's, exclude this host from TLS inspection."
		}
	}
}
