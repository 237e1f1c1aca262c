package scep

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"slices"
	"strings"

	"github.com/whiteglove/whiteglove/internal/wire"
)

// Extended key usages that make a certificate one of a registration authority.
var (
	oidRequestAgent = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 1}
	oidCMCRA        = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 28}
)

// registrations are the certificates of registration authorities (RAs).
type registrations []*x509.Certificate

// registrations returns the certificates of Chain that are an RA's, as
// [Client.CA] describes. It keeps those that may be but are not proven to be.
func (ca *CA) registrations(fingerprints [][]byte, authenticated bool) registrations {
	var ras registrations
	issuing := ca.issuing()
	for _, cert := range ca.Chain {
		switch {
		case isCA(cert):
		case isPinned(cert, fingerprints), authenticated && mayBeRA(cert), isAgent(cert) && isIssuedBy(cert, issuing):
			ras = append(ras, cert)
		case mayBeRA(cert):
			ca.unproven = append(ca.unproven, cert)
		}
	}
	return ras
}

// isPinned reports whether the SHA-256 digest of cert is in fingerprints.
func isPinned(cert *x509.Certificate, fingerprints [][]byte) bool {
	sum := sha256.Sum256(cert.Raw)
	return slices.ContainsFunc(fingerprints, func(f []byte) bool { return bytes.Equal(f, sum[:]) })
}

// isAgent reports whether cert names the purpose of an RA.
func isAgent(cert *x509.Certificate) bool {
	return slices.ContainsFunc(cert.UnknownExtKeyUsage, func(id asn1.ObjectIdentifier) bool {
		return id.Equal(oidRequestAgent) || id.Equal(oidCMCRA) || id.Equal(oidPrivacyCA)
	})
}

// isIssuedBy reports whether ca itself signed cert. Both lead to the roots.
func isIssuedBy(cert, ca *x509.Certificate) bool {
	return ca != nil && bytes.Equal(cert.RawIssuer, ca.RawSubject) &&
		ca.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature) == nil
}

// mayBeRA reports whether cert may be an RA's by its extended key usages: an RA
// certificate need not name its purpose, but one for TLS clients, TLS servers
// and e-mail is none.
func mayBeRA(cert *x509.Certificate) bool {
	return len(cert.ExtKeyUsage) == 0 || len(cert.UnknownExtKeyUsage) > 0 ||
		slices.ContainsFunc(cert.ExtKeyUsage, func(u x509.ExtKeyUsage) bool {
			return u != x509.ExtKeyUsageClientAuth && u != x509.ExtKeyUsageServerAuth && u != x509.ExtKeyUsageEmailProtection
		})
}

// first returns the first certificate that ok accepts, or nil.
func (ras registrations) first(ok func(*x509.Certificate) bool) *x509.Certificate {
	if i := slices.IndexFunc(ras, ok); i >= 0 {
		return ras[i]
	}
	return nil
}

// only returns the certificate if there is just one, else nil.
func (ras registrations) only() *x509.Certificate {
	if len(ras) == 1 {
		return ras[0]
	}
	return nil
}

// hint says how to name the RA if the server sent certificates that may be an
// RA's, or is empty.
func (ca *CA) hint() string {
	if len(ca.unproven) == 0 {
		return ""
	}
	var list []string
	for _, cert := range ca.unproven[:min(len(ca.unproven), 3)] {
		list = append(list, fmt.Sprintf("%s (SHA-256 %x)", wire.Words(cert.Subject.String()), sha256.Sum256(cert.Raw)))
	}
	return "; if these are its registration authority's, set RAFingerprints: " + strings.Join(list, ", ")
}
