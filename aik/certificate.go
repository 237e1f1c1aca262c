package aik

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"

	"github.com/whiteglove/whiteglove/internal/challenge"
	"github.com/whiteglove/whiteglove/internal/wcce"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// A TrustLevel is what an attestation CA knew about the TPM whose key it certified,
// according to the issuance policies of the certificate.
type TrustLevel int

// The levels, in rising order. A certificate has the highest level that applies.
const (
	TrustNone        TrustLevel = iota // no such policy
	TrustOnUse                         // 1.3.6.1.4.1.311.21.32: a user with valid credentials vouches for the TPM
	TrustCertificate                   // 1.3.6.1.4.1.311.21.31: the endorsement certificate was checked
	TrustKey                           // 1.3.6.1.4.1.311.21.30: the endorsement key is on an administrator's list
)

// String returns the level in a few English words, such as "endorsement certificate
// verified".
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

// Trust returns the trust level of an attestation key's certificate, or [TrustNone] if
// that is nil.
func Trust(cert *x509.Certificate) TrustLevel {
	if cert == nil {
		return TrustNone
	}
	for _, p := range trustPolicies {
		if hasPolicy(cert, p.id) {
			return p.level
		}
	}
	return TrustNone
}

// check returns the chain of the certificate for want among certs, or an error that
// says why it cannot be accepted. ca are the CA's certificates.
func (c *Client) check(want *challenge.Subject, certs, ca []*x509.Certificate) ([]*x509.Certificate, error) {
	i := slices.IndexFunc(certs, func(cert *x509.Certificate) bool { return sameKey(cert.PublicKey, want.Key) })
	if i < 0 {
		return nil, errors.New("it is for another key")
	}
	leaf := certs[i]
	if err := checkProfile(leaf); err != nil {
		return nil, err
	}
	device, critical, err := challenge.AltName(leaf.Extensions)
	switch {
	case err != nil:
		return nil, err
	case !critical:
		return nil, errors.New("its subject is empty, but its subject alternative name is not critical")
	case *device != want.Device:
		return nil, fmt.Errorf("it names another TPM: %+v, not %+v", *device, want.Device)
	}
	chain, err := c.chain(leaf, certs, ca)
	if err != nil {
		return nil, err
	}
	return chain, errors.Join(checkPurposes(chain), checkPolicies(chain))
}

// emptyName is the DER of a Name without parts.
var emptyName = []byte{0x30, 0x00}

// checkProfile checks what needs no other certificate.
func checkProfile(leaf *x509.Certificate) error {
	switch {
	case leaf.IsCA:
		return errors.New("it is that of a CA")
	case !bytes.Equal(leaf.RawSubject, emptyName):
		return fmt.Errorf("it has a subject, %q", leaf.Subject)
	case leaf.KeyUsage != x509.KeyUsageDigitalSignature:
		return fmt.Errorf("its key usage is 0x%04X, not digital signature alone", int(leaf.KeyUsage))
	case !hasPurpose(leaf) || len(leaf.UnknownExtKeyUsage)+len(leaf.ExtKeyUsage) != 1:
		return fmt.Errorf("its key usage is not %v alone", wcce.OIDKeyPurposeAIK)
	}
	return nil
}

// chain returns the longest chain from leaf to c.Roots or, if that is nil, to the
// certificates that the CA sent over TLS.
func (c *Client) chain(leaf *x509.Certificate, sent, ca []*x509.Certificate) ([]*x509.Certificate, error) {
	roots := c.Roots
	if roots == nil {
		roots = challenge.Pool(ca)
	}
	others := slices.Concat(sent, ca)
	chains, err := challenge.Chains(leaf, roots, challenge.Pool(others), c.now())
	if err != nil {
		return nil, wire.Dated(err, leaf, others, c.now(), "the operator of the attestation CA")
	}
	longest := slices.MaxFunc(chains, func(a, b []*x509.Certificate) int { return len(a) - len(b) })
	return append([]*x509.Certificate{leaf}, longest[1:]...), nil
}

// checkPurposes checks that each issuer with extended key usages has that of
// attestation keys.
func checkPurposes(chain []*x509.Certificate) error {
	for _, c := range chain {
		limited := len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) > 0
		if limited && !hasPurpose(c) && !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny) {
			return fmt.Errorf("its issuer %q is not for attestation keys", c.Subject)
		}
	}
	return nil
}

// trustPolicies are the issuance policies of the trust levels, highest first.
var trustPolicies = []struct {
	id    asn1.ObjectIdentifier
	level TrustLevel
}{
	{wcce.OIDEKVerifyKey, TrustKey},
	{wcce.OIDEKVerifyCert, TrustCertificate},
	{wcce.OIDEKVerifyCreds, TrustOnUse},
}

// anyPolicy is the policy by which an issuer permits all policies (RFC 5280, section
// 4.2.1.4).
var anyPolicy = asn1.ObjectIdentifier{2, 5, 29, 32, 0}

// checkPolicies checks that the certificate does not claim a trust level that an
// issuer below the root does not permit. An issuer without policies permits all.
func checkPolicies(chain []*x509.Certificate) error {
	for i := 1; i < len(chain)-1; i++ {
		allowed := chain[i]
		if len(allowed.PolicyIdentifiers) == 0 || hasPolicy(allowed, anyPolicy) {
			continue
		}
		for _, p := range trustPolicies {
			if hasPolicy(chain[0], p.id) && !hasPolicy(allowed, p.id) {
				return fmt.Errorf("its issuer %q may not say %q", allowed.Subject, p.level)
			}
		}
	}
	return nil
}

func hasPolicy(c *x509.Certificate, id asn1.ObjectIdentifier) bool {
	return slices.ContainsFunc(c.PolicyIdentifiers, id.Equal)
}

func hasPurpose(c *x509.Certificate) bool {
	return slices.ContainsFunc(c.UnknownExtKeyUsage, wcce.OIDKeyPurposeAIK.Equal)
}
