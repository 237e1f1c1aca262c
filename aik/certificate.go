package aik

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"

	"github.com/whiteglove/whiteglove/internal/wcce"
)

// A TrustLevel is what an attestation CA knew of the TPM whose key it
// certified, by the certificate's issuance policies.
type TrustLevel int

// The levels, in rising order. A certificate has the highest that applies.
const (
	TrustNone        TrustLevel = iota // no such policy
	TrustOnUse                         // 1.3.6.1.4.1.311.21.32: a user's credentials vouch for it
	TrustCertificate                   // 1.3.6.1.4.1.311.21.31: the endorsement certificate was checked
	TrustKey                           // 1.3.6.1.4.1.311.21.30: the endorsement key is on an administrator's list
)

// String returns the level in a few words.
func (l TrustLevel) String() string {
	switch l {
	case TrustNone:
		return "none"
	case TrustOnUse:
		return "trusted on use"
	case TrustCertificate:
		return "endorsement certificate verified"
	case TrustKey:
		return "endorsement key verified"
	}
	return fmt.Sprintf("TrustLevel(%d)", int(l))
}

// Trust returns the trust level of an attestation key's certificate.
func Trust(cert *x509.Certificate) TrustLevel {
	has := func(id asn1.ObjectIdentifier) bool {
		return slices.ContainsFunc(cert.PolicyIdentifiers, id.Equal)
	}
	switch {
	case has(wcce.OIDEKVerifyKey):
		return TrustKey
	case has(wcce.OIDEKVerifyCert):
		return TrustCertificate
	case has(wcce.OIDEKVerifyCreds):
		return TrustOnUse
	}
	return TrustNone
}

// check returns the chain of the attestation key's certificate among certs, if
// it is what was asked for.
func (c *Client) check(ch *Challenge, certs []*x509.Certificate) ([]*x509.Certificate, error) {
	i := slices.IndexFunc(certs, func(cert *x509.Certificate) bool { return sameKey(cert.PublicKey, ch.key) })
	if i < 0 {
		return nil, errors.New("it is for another key")
	}
	leaf := certs[i]
	if err := checkProfile(leaf); err != nil {
		return nil, err
	}
	device, err := altName(leaf)
	if err != nil {
		return nil, err
	}
	if *device != ch.device {
		return nil, fmt.Errorf("it names another TPM: %+v, not %+v", *device, ch.device)
	}
	chain, err := c.chain(leaf, certs, ch.ca.Chain)
	if err != nil {
		return nil, err
	}
	return chain, checkPurposes(chain)
}

// checkProfile checks what the certificate alone says.
func checkProfile(leaf *x509.Certificate) error {
	switch {
	case leaf.IsCA:
		return errors.New("it is a CA's")
	case leaf.KeyUsage != x509.KeyUsageDigitalSignature:
		return fmt.Errorf("its key usage is %#x, not digital signature alone", int(leaf.KeyUsage))
	case !hasPurpose(leaf):
		return fmt.Errorf("its key usage does not name %v", wcce.OIDKeyPurposeAIK)
	}
	return nil
}

// chain returns the longest chain from leaf to the roots; without roots, to the
// CA's certificates as they came over TLS. The alternative name, which
// crypto/x509 does not know in this form, has been read.
func (c *Client) chain(leaf *x509.Certificate, sent, ca []*x509.Certificate) ([]*x509.Certificate, error) {
	roots, issuers := c.Roots, x509.NewCertPool()
	if roots == nil {
		roots = x509.NewCertPool()
		for _, cert := range ca {
			roots.AddCert(cert)
		}
	}
	for _, cert := range slices.Concat(sent, ca) {
		issuers.AddCert(cert)
	}
	own := *leaf
	own.UnhandledCriticalExtensions = slices.DeleteFunc(slices.Clone(leaf.UnhandledCriticalExtensions), wcce.OIDSubjectAltName.Equal)
	chains, err := own.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: issuers, CurrentTime: c.now(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return nil, err
	}
	longest := slices.MaxFunc(chains, func(a, b []*x509.Certificate) int { return len(a) - len(b) })
	return append([]*x509.Certificate{leaf}, longest[1:]...), nil
}

// checkPurposes checks that every issuer that is limited to purposes is meant
// for attestation keys.
func checkPurposes(chain []*x509.Certificate) error {
	for _, c := range chain {
		limited := len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) > 0
		if limited && !hasPurpose(c) && !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny) {
			return fmt.Errorf("its issuer %q is not for attestation keys", c.Subject)
		}
	}
	return nil
}

func hasPurpose(c *x509.Certificate) bool {
	return slices.ContainsFunc(c.UnknownExtKeyUsage, wcce.OIDKeyPurposeAIK.Equal)
}
