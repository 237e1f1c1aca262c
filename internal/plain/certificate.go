package plain

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// certificateWords returns what an error about a certificate says, and whether err is
// one.
func certificateWords(err error) (string, bool) {
	switch e := err.(type) {
	case *tls.CertificateVerificationError:
		// In a handshake, the certificate to speak of is the server's own.
		if unknown, ok := e.Err.(x509.UnknownAuthorityError); ok && len(e.UnverifiedCertificates) > 0 {
			unknown.Cert = e.UnverifiedCertificates[0]
			return "the server's certificate " + unknownIssuer(unknown), true
		}
		return certificateWords(e.Err)
	case x509.HostnameError:
		return fmt.Sprintf("the server's certificate is %s, not for %q", CertificateNames(e.Certificate), clean(e.Host)), true
	case x509.UnknownAuthorityError:
		return "the certificate " + unknownIssuer(e), true
	case x509.CertificateInvalidError:
		return invalid(e), true
	case x509.SystemRootsError:
		return "the trusted roots of this system cannot be read", true
	case tls.RecordHeaderError:
		return noTLS, true
	case tls.AlertError:
		return "the server ends TLS: " + strings.TrimPrefix(e.Error(), "tls: "), true
	}
	return "", false
}

// unknownIssuer says that nobody who is trusted issued a certificate.
func unknownIssuer(e x509.UnknownAuthorityError) string {
	if e.Cert == nil {
		return "leads to no trusted root"
	}
	if e.Cert.SerialNumber != nil && e.Cert.Subject.String() == "" {
		return fmt.Sprintf("with the serial number %s, issued by %q, leads to no trusted root", e.Cert.SerialNumber, Name(e.Cert.Issuer.String()))
	}
	if slices.Equal(e.Cert.RawIssuer, e.Cert.RawSubject) {
		return fmt.Sprintf("%q, which issued itself, is no trusted root", Name(e.Cert.Subject.String()))
	}
	return fmt.Sprintf("%q, issued by %q, leads to no trusted root", Name(e.Cert.Subject.String()), Name(e.Cert.Issuer.String()))
}

// invalid says why a certificate does not hold.
func invalid(e x509.CertificateInvalidError) string {
	name := "the certificate"
	if e.Cert != nil {
		name += fmt.Sprintf(" %q", Name(e.Cert.Subject.String()))
	}
	switch e.Reason {
	case x509.NotAuthorizedToSign:
		return name + " issued another, but is not a CA's"
	case x509.Expired:
		if e.Cert == nil {
			return name + " is outside of its dates"
		}
		const day = "2006-01-02 15:04 MST"
		return fmt.Sprintf("%s has expired or is not valid yet: it is valid from %s to %s", name, e.Cert.NotBefore.UTC().Format(day), e.Cert.NotAfter.UTC().Format(day))
	case x509.TooManyIntermediates:
		return name + " has too many CAs below it"
	case x509.IncompatibleUsage:
		return name + " is for another use"
	case x509.NameMismatch:
		return name + " has another issuer's name"
	case x509.CANotAuthorizedForThisName, x509.NameConstraintsWithoutSANs, x509.UnconstrainedName:
		return name + " is of a CA that may not issue for this name"
	case x509.CANotAuthorizedForExtKeyUsage:
		return name + " is of a CA that may not issue for this use"
	}
	return strings.TrimPrefix(e.Error(), "x509: ")
}

// maxNames is how many names of a certificate are said.
const maxNames = 4

// CertificateNames says which hosts a certificate is for: `for "a", "b"`, or "for no
// host".
func CertificateNames(cert *x509.Certificate) string {
	if cert == nil {
		return "for another host"
	}
	var names []string
	for _, name := range cert.DNSNames {
		names = append(names, fmt.Sprintf("%.100q", clean(name)))
	}
	for _, ip := range cert.IPAddresses {
		names = append(names, fmt.Sprintf("%q", ip))
	}
	switch n := len(names); {
	case n == 0:
		return "for no host"
	case n > maxNames:
		return fmt.Sprintf("for %s and %d more", strings.Join(names[:maxNames], ", "), n-maxNames)
	}
	return "for " + strings.Join(names, ", ")
}

// Name returns a distinguished name as a text shows it: without what does not print,
// and not too long.
func Name(dn string) string {
	dn = clean(dn)
	if len(dn) > 200 {
		dn = strings.ToValidUTF8(dn[:200], "") + "…"
	}
	return dn
}

// clean replaces what does not print.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}
