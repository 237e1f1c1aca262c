package sceptest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // a key identifier, not a signature
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/whiteglove/whiteglove/internal/rsapool"
)

// An Authority is a certification authority for tests.
type Authority struct {
	Certificate *x509.Certificate
	Key         crypto.Signer       // of Certificate
	Parents     []*x509.Certificate // the CAs above it, root last; empty for a root
}

// NewAuthority makes a CA with a new key: under parent, with an RSA key of 2048
// bits, or a root with a P-256 key if parent is nil.
//
// template is used for the certificate and may be nil. Where it says nothing, the
// subject has the common name name, the key usages are those of a CA that also
// signs and (under a parent) decrypts messages, and the certificate is valid from
// an hour ago for ten years. In a test, RSA keys come from a pool, which is fast, and
// anybody can factor them. The error is that of [Authority.Issue] or of the generation
// of the key.
func NewAuthority(name string, parent *Authority, template *x509.Certificate) (*Authority, error) {
	var own x509.Certificate
	if template != nil {
		own = *template
	}
	if own.Subject.String() == "" && own.RawSubject == nil {
		own.Subject = pkix.Name{CommonName: name}
	}
	if own.KeyUsage == 0 {
		own.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
		if parent != nil {
			own.KeyUsage |= x509.KeyUsageKeyEncipherment
		}
	}
	own.IsCA, own.BasicConstraintsValid = true, true
	begin(&own)
	if own.NotAfter.IsZero() {
		own.NotAfter = own.NotBefore.AddDate(10, 0, 0)
	}
	if parent == nil {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("sceptest: %w", err)
		}
		a := &Authority{Key: key}
		a.Certificate, err = a.Issue(&own, key.Public())
		return a, err
	}
	key, err := rsapool.ServerKey()
	if err != nil {
		return nil, fmt.Errorf("sceptest: %w", err)
	}
	cert, err := parent.Issue(&own, key.Public())
	if err != nil {
		return nil, err
	}
	return &Authority{cert, key, parent.chain()}, nil
}

// chain returns the certificates from the authority's own up to the root.
func (a *Authority) chain() []*x509.Certificate {
	return append([]*x509.Certificate{a.Certificate}, a.Parents...)
}

// Issue signs a certificate for pub, an RSA, ECDSA or Ed25519 key. It takes
// template as [x509.CreateCertificate] does, and adds a random serial number, a
// subject key identifier and a validity from an hour ago for a year where
// template has none. The error says that template is nil, or why crypto/x509 refuses the key or the
// template.
func (a *Authority) Issue(template *x509.Certificate, pub crypto.PublicKey) (*x509.Certificate, error) {
	if a == nil || template == nil {
		return nil, errors.New("sceptest: no authority or no template")
	}
	own := *template
	if own.SerialNumber == nil {
		serial := make([]byte, 16)
		_, _ = rand.Read(serial)
		serial[0] = serial[0]&0x7F | 0x40
		own.SerialNumber = new(big.Int).SetBytes(serial)
	}
	begin(&own)
	if own.NotAfter.IsZero() {
		own.NotAfter = own.NotBefore.AddDate(1, 0, 0)
	}
	if own.SubjectKeyId == nil {
		spki, err := x509.MarshalPKIXPublicKey(pub)
		if err != nil {
			return nil, fmt.Errorf("sceptest: %w", err)
		}
		id := sha1.Sum(spki)
		own.SubjectKeyId = id[:]
	}
	parent := a.Certificate
	if parent == nil {
		parent = &own
	}
	der, err := x509.CreateCertificate(rand.Reader, &own, parent, pub, a.Key)
	if err != nil {
		return nil, fmt.Errorf("sceptest: issuing: %w", err)
	}
	return x509.ParseCertificate(der)
}

// begin sets NotBefore to an hour ago if it is not set, so that clients whose
// clock is slow accept the certificate.
func begin(cert *x509.Certificate) {
	if cert.NotBefore.IsZero() {
		cert.NotBefore = time.Now().Add(-time.Hour)
	}
}

// keys are the keys and certificates with which a server signs and decrypts.
type keys struct {
	authority     *Authority
	signer        *x509.Certificate
	signerKey     *rsa.PrivateKey
	recipient     *x509.Certificate
	decrypter     *rsa.PrivateKey
	certificates  []*x509.Certificate // the answer to GetCACert
	registrations []*x509.Certificate // those of them that are the RA's
}

// makeKeys returns the keys of s. It makes an Authority if s has none.
func (s *Server) makeKeys() (*keys, error) {
	k := &keys{authority: s.Authority}
	past := s.now().Add(-time.Hour)
	if k.authority == nil {
		root, err := NewAuthority("SCEP Test Root", nil, &x509.Certificate{NotBefore: past})
		if err != nil {
			return nil, err
		}
		if k.authority, err = NewAuthority("SCEP Test CA", root, &x509.Certificate{NotBefore: past}); err != nil {
			return nil, err
		}
	}
	if s.RA {
		if err := k.makeRA(past, s.Quirks.has(QuirkNoPurpose)); err != nil {
			return nil, err
		}
	} else {
		key, ok := k.authority.Key.(*rsa.PrivateKey)
		if !ok {
			return nil, errors.New("sceptest: an Authority without RA needs an *rsa.PrivateKey")
		}
		k.signer, k.recipient = k.authority.Certificate, k.authority.Certificate
		k.signerKey, k.decrypter = key, key
	}
	k.certificates = append(k.registrations, k.authority.chain()...)
	return k, nil
}

// issuers is where the RA certificates say that the CA's certificate is published.
// Nothing is there, as the name ".invalid" says.
var issuers = []string{"http://ca.invalid/ca.cer"}

// makeRA makes RA certificates like those of Windows's servers: one signs, the other
// decrypts, and each names its purpose unless nameless is set. They have critical
// basic constraints without content, and say where the CA's certificate is.
func (k *keys) makeRA(from time.Time, nameless bool) error {
	purpose := func(oid ...int) []asn1.ObjectIdentifier {
		if nameless {
			return nil
		}
		return []asn1.ObjectIdentifier{oid}
	}
	one := func(template *x509.Certificate) (*x509.Certificate, *rsa.PrivateKey, error) {
		key, err := rsapool.ServerKey()
		if err != nil {
			return nil, nil, fmt.Errorf("sceptest: %w", err)
		}
		cert, err := k.authority.Issue(template, key.Public())
		return cert, key, err
	}
	var err error
	k.signer, k.signerKey, err = one(&x509.Certificate{
		Subject: pkix.Name{CommonName: "RA Signing Certificate"}, NotBefore: from,
		KeyUsage: x509.KeyUsageDigitalSignature, UnknownExtKeyUsage: purpose(1, 3, 6, 1, 4, 1, 311, 20, 2, 1),
		BasicConstraintsValid: true, IssuingCertificateURL: issuers,
	})
	if err != nil {
		return err
	}
	k.recipient, k.decrypter, err = one(&x509.Certificate{
		Subject: pkix.Name{CommonName: "RA Encryption Certificate"}, NotBefore: from,
		KeyUsage: x509.KeyUsageKeyEncipherment, UnknownExtKeyUsage: purpose(1, 3, 6, 1, 4, 1, 311, 21, 36),
		BasicConstraintsValid: true, IssuingCertificateURL: issuers,
	})
	k.registrations = []*x509.Certificate{k.signer, k.recipient}
	return err
}
