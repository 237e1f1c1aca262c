package wire

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// maxChain is how many issuers Dated follows.
const maxChain = 10

// A DateError says which certificate of a chain is outside of its dates. Package
// crypto/x509 says of the certificate that it was asked about that its authority
// is unknown, also if a root or an issuer is the one that has expired.
type DateError struct {
	Cert  *x509.Certificate // outside of its dates
	Owner string            // who can replace it, such as "the operator of the CA"
	At    time.Time         // when it was checked
	Err   error             // the failure of the chain
}

// Dated returns err, or a [*DateError] that wraps it if leaf or an issuer of it
// among others is outside of its dates at the time at: the one nearest to leaf.
// It returns nil if err is nil. If at is the zero time, it is the present time.
func Dated(err error, leaf *x509.Certificate, others []*x509.Certificate, at time.Time, owner string) error {
	if err == nil {
		return nil
	}
	if at.IsZero() {
		at = time.Now()
	}
	cert := leaf
	for n := 0; cert != nil && n < maxChain; n++ {
		if at.Before(cert.NotBefore) || at.After(cert.NotAfter) {
			return &DateError{Cert: cert, Owner: owner, At: at, Err: err}
		}
		cert = issuerAmong(cert, others)
	}
	return err
}

// issuerAmong returns the certificate among others that has issued cert, the one
// that is valid the longest, or nil if there is none or cert has issued itself.
func issuerAmong(cert *x509.Certificate, others []*x509.Certificate) *x509.Certificate {
	var found *x509.Certificate
	if bytes.Equal(cert.RawIssuer, cert.RawSubject) {
		return nil
	}
	for _, o := range others {
		if o != nil && bytes.Equal(o.RawSubject, cert.RawIssuer) && (found == nil || found.NotAfter.Before(o.NotAfter)) && cert.CheckSignatureFrom(o) == nil {
			found = o
		}
	}
	return found
}

// ended reports whether the certificate has expired, and not yet to begin.
func (e *DateError) ended() bool { return e.At.After(e.Cert.NotAfter) }

// kind returns what the certificate is in its chain.
func (e *DateError) kind() string {
	switch {
	case !e.Cert.IsCA:
		return "certificate"
	case bytes.Equal(e.Cert.RawIssuer, e.Cert.RawSubject):
		return "root certificate"
	}
	return "CA certificate"
}

// name returns how a text names the certificate: by its subject or, if that is empty, by
// its serial number and issuer.
func (e *DateError) name() string {
	if len(e.Cert.Subject.Names) > 0 || e.Cert.SerialNumber == nil {
		return fmt.Sprintf("%s %.200q", e.kind(), Visible(e.Cert.Subject.String()))
	}
	return fmt.Sprintf("%s with the serial number %s of %.200q", e.kind(), e.Cert.SerialNumber, Visible(e.Cert.Issuer.String()))
}

// Error returns which certificate it is, its dates and the time of the check.
func (e *DateError) Error() string {
	const day = "2006-01-02 15:04 MST"
	verb := "has expired"
	if !e.ended() {
		verb = "is not valid yet"
	}
	return fmt.Sprintf("the %s %s: it is valid from %s to %s, and the time is %s", e.name(), verb,
		e.Cert.NotBefore.UTC().Format(day), e.Cert.NotAfter.UTC().Format(day), e.At.UTC().Format(day))
}

// Unwrap returns e.Err.
func (e *DateError) Unwrap() error { return e.Err }

// As sets a target of type [x509.CertificateInvalidError] to what crypto/x509 says of
// a certificate that has expired.
func (e *DateError) As(target any) bool {
	invalid, ok := target.(*x509.CertificateInvalidError)
	if ok {
		*invalid = x509.CertificateInvalidError{Cert: e.Cert, Reason: x509.Expired}
	}
	return ok
}

// Remedy returns what to do, in a sentence or two.
func (e *DateError) Remedy() string {
	verb := "replace"
	if !e.ended() {
		verb = "correct"
	}
	return fmt.Sprintf("Check the device's clock. If it is right, %s must %s the %s.", e.Owner, verb, e.kind())
}

// DateOf returns the DateError in err, or nil.
func DateOf(err error) *DateError {
	var e *DateError
	errors.As(err, &e)
	return e
}

// datedTLS returns err, which may be that of a TLS handshake, with the certificate
// that is outside of its dates if there is one in the server's chain.
func datedTLS(err error) error {
	var refused *tls.CertificateVerificationError
	if !errors.As(err, &refused) || len(refused.UnverifiedCertificates) == 0 {
		return err
	}
	chain := refused.UnverifiedCertificates
	return Dated(err, chain[0], chain[1:], time.Time{}, "the operator of the server")
}
