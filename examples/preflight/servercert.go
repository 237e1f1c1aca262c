package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

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
func (p *prober) judgeCertificate(r *result, err error) bool {
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
		p.judgeUnknown(r, err)
	case errors.As(err, &name):
		r.note(fail, "tls: its certificate is for "+namesOf(leaf)+", not for "+name.Host+": another server answers", "Look for a proxy, a sign-in page or a DNS server that leads this name elsewhere.")
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		judgeTime(r, leaf, invalid.Cert)
	default:
		r.note(fail, "tls: "+command.OneLine(plain.Text(unverified.Err)), remedies[stageTLS])
	}
	return true
}

// judgeUnknown notes that nobody who is trusted issued a server's certificate.
func (p *prober) judgeUnknown(r *result, err error) {
	detail := "tls: its certificate was issued by " + r.Issuer
	if hint := command.RootsHint(err, p.file, p.roots); hint != "" {
		r.note(fail, detail+", which neither this machine nor -roots vouches for", hint+" If the server is the right one, name its root with -roots; if a proxy issued the certificate, exclude this host from TLS inspection.")
		return
	}
	r.note(fail, detail+", which this machine does not trust: TLS inspection?", remedies[stageTLS]+" If the root is right, as that of a mock server, name it with -roots.")
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
