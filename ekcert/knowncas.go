package ekcert

import (
	"crypto/x509"
	"slices"
	"sync"
	"time"
)

const maxKnownCAs = 64

// KnownCAs remembers the last 64 CAs that Verify found to lead to a root, with their
// chains. A certificate of one of them then costs one signature check instead of one
// for each certificate of the chain. Validity is checked each time. The zero value is
// ready to use; several goroutines and clients may share it.
type KnownCAs struct {
	mu  sync.Mutex
	cas []knownCA
}

// A knownCA is a CA and its chain.
type knownCA struct {
	roots *x509.CertPool // the pool to which it leads; compared by identity
	only  *x509.CertPool // the CA alone
	chain []*x509.Certificate
}

// add remembers a chain, CA first. It leaves out chains with name constraints, because
// these depend on the certificate at the end.
func (k *KnownCAs) add(roots *x509.CertPool, chain []*x509.Certificate) {
	if k == nil || len(chain) < 2 || slices.ContainsFunc(chain, constrained) {
		return
	}
	only := x509.NewCertPool()
	only.AddCert(chain[0])
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.cas) == maxKnownCAs {
		k.cas = slices.Delete(k.cas, 0, 1)
	}
	k.cas = append(k.cas, knownCA{roots, only, slices.Clone(chain)})
}

// constrained reports whether cert has name constraints.
func constrained(cert *x509.Certificate) bool {
	return cert.PermittedDNSDomains != nil || cert.ExcludedDNSDomains != nil ||
		cert.PermittedIPRanges != nil || cert.ExcludedIPRanges != nil ||
		cert.PermittedEmailAddresses != nil || cert.ExcludedEmailAddresses != nil ||
		cert.PermittedURIDomains != nil || cert.ExcludedURIDomains != nil
}

// chain returns the chain above leaf if its issuer is known to lead to one of pools and
// all its certificates are valid now, else nil.
func (k *KnownCAs) chain(leaf *x509.Certificate, pools []*x509.CertPool, now time.Time) []*x509.Certificate {
	if k == nil {
		return nil
	}
	for _, ca := range k.candidates(leaf, pools) {
		if slices.ContainsFunc(ca.chain, func(c *x509.Certificate) bool {
			return now.Before(c.NotBefore) || now.After(c.NotAfter)
		}) {
			continue
		}
		_, err := leaf.Verify(x509.VerifyOptions{
			Roots: ca.only, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
		})
		if err == nil {
			return slices.Clone(ca.chain)
		}
	}
	return nil
}

// candidates returns the known CAs that have the name of leaf's issuer.
func (k *KnownCAs) candidates(leaf *x509.Certificate, pools []*x509.CertPool) []knownCA {
	k.mu.Lock()
	defer k.mu.Unlock()
	var found []knownCA
	for _, ca := range k.cas {
		if slices.Contains(pools, ca.roots) && string(ca.chain[0].RawSubject) == string(leaf.RawIssuer) {
			found = append(found, ca)
		}
	}
	return found
}
