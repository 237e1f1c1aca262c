package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/internal/plain"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// pool returns the roots that TLS trusts. Nil stands for the system's.
func (p *prober) pool() (*x509.CertPool, error) {
	if len(p.roots) == 0 {
		return p.system, nil
	}
	pool := p.system
	if pool == nil {
		var err error
		if pool, err = x509.SystemCertPool(); err != nil {
			return nil, err
		}
	}
	pool = pool.Clone()
	for _, c := range p.roots {
		pool.AddCert(c)
	}
	return pool, nil
}

// judgeCertificate reports whether an error is about the server's certificate.
// If so, it notes what is wrong with that.
func judgeCertificate(r *result, err error) bool {
	var unverified *tls.CertificateVerificationError
	if !errors.As(err, &unverified) {
		return false
	}
	var (
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
	)
	leaf := unverified.UnverifiedCertificates[0]
	r.Stage, r.Issuer = stageTLS, issuerName(leaf)
	switch {
	case errors.As(err, &unknown):
		r.note(fail, "tls: its certificate was issued by "+r.Issuer+", which this machine does not trust: TLS inspection?", remedies[stageTLS]+" If the root is right, as that of a mock server, name it with -roots.")
	case errors.As(err, &name):
		r.note(fail, "tls: its certificate is for "+namesOf(leaf)+", not for "+name.Host+": another server answers", "Look for a proxy, a sign-in page or a DNS server that leads this name elsewhere.")
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		judgeTime(r, leaf)
	default:
		r.note(fail, "tls: "+command.OneLine(plain.Text(unverified.Err)), remedies[stageTLS])
	}
	return true
}

// judgeTime notes that a server's certificate, or that of an issuer, is not valid
// at this machine's time.
func judgeTime(r *result, leaf *x509.Certificate) {
	now, what := time.Now(), "the certificate of an issuer is not valid"
	switch {
	case now.After(leaf.NotAfter):
		what = "its certificate has expired, on " + day(leaf.NotAfter)
	case now.Before(leaf.NotBefore):
		what = "its certificate is not valid yet, but from " + day(leaf.NotBefore) + " on"
	}
	r.untimely = true
	r.note(fail, "tls: by this machine's clock, "+day(now)+", "+what,
		"Set the clock. If it is right, tell the operator of the service; or, if the certificate is a proxy's, exclude this host from TLS inspection.")
}

// judgeIssuer notes a warning if this machine trusts the certificate, but it
// leads to a root that is not known for these services. Those of -roots are.
func (p *prober) judgeIssuer(r *result, state *tls.ConnectionState) {
	if state == nil || len(state.VerifiedChains) == 0 {
		return
	}
	r.Issuer = issuerName(state.PeerCertificates[0])
	for _, chain := range state.VerifiedChains {
		if p.expected(chain[len(chain)-1]) {
			return
		}
	}
	chain := state.VerifiedChains[0]
	r.Stage, r.code = stageTLS, hresult.SecureFailure
	r.note(warn, "this machine trusts its certificate, but the root, "+issuerName(chain[len(chain)-1])+", is not known for these services: TLS inspection? A new device would not trust it", remedies[stageTLS])
}

// expected reports whether a root is one that these services may have.
func (p *prober) expected(root *x509.Certificate) bool {
	return slices.ContainsFunc(p.roots, root.Equal) ||
		slices.ContainsFunc(root.Subject.Organization, func(o string) bool { return slices.Contains(publicCAs, o) })
}

// issuerName returns the name of a certificate's issuer, in quotes.
func issuerName(c *x509.Certificate) string {
	if name := c.Issuer.String(); name != "" {
		return `"` + name + `"`
	}
	return "an issuer without a name"
}

// namesOf returns up to three names for which a certificate is valid.
func namesOf(c *x509.Certificate) string {
	names := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	switch n := len(names); {
	case n == 0:
		return "no host"
	case n > 3:
		names = append(names[:3], fmt.Sprintf("%d more", n-3))
	}
	return wire.Visible(strings.Join(names, ", "))
}

// day returns the date of t in UTC.
func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
