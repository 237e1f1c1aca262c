package attesttest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha1" // #nosec G505 -- key identifiers of RFC 5280
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"time"
)

// Vendor is the vendor ID of the emulator's maker, in the form of the TCG Vendor
// ID Registry. It is the TPM's TPM_PT_MANUFACTURER, and in hexadecimal the
// manufacturer in its certificates, "id:53494D30".
const Vendor = "SIM0"

// A Maker is the certification authority of a TPM maker: a root and an issuing
// CA. There are two, which [DefaultMaker] and [OtherMaker] return; the zero value
// is of no use. Its keys are computed from its name and protect nothing. A Maker
// is safe for concurrent use.
type Maker struct {
	vendor        string
	root, issuing *x509.Certificate
	key           *ecdsa.PrivateKey // of the issuing CA
	err           error
}

// DefaultMaker returns the maker of the TPMs of this package. Its certificates
// are the same in every process.
func DefaultMaker() *Maker { return defaultMaker() }

// OtherMaker returns a maker whose certificates do not lead to [Root], for tests
// in which a device is to be refused. Its vendor ID is [Vendor], too.
func OtherMaker() *Maker { return otherMaker() }

var (
	defaultMaker = sync.OnceValue(func() *Maker { return newMaker("SIM0 TPM EK") })
	otherMaker   = sync.OnceValue(func() *Maker { return newMaker("Other SIM0 TPM EK") })
)

// Root returns the root certificate of [DefaultMaker].
func Root() *x509.Certificate { return DefaultMaker().Root() }

// Roots returns a new pool with [Root], for the entry [Vendor] of ekcert.Roots.
func Roots() *x509.CertPool { return DefaultMaker().Roots() }

// Certificates returns the certificates of the CAs of [DefaultMaker]: that of the
// issuing CA, then the root. The caller owns the slice.
func Certificates() []*x509.Certificate { return DefaultMaker().Certificates() }

// EKCertificate returns the certificate of an endorsement key by [DefaultMaker],
// as [Maker.EKCertificate] does. The error is that of [Maker.EKCertificate].
func EKCertificate(pub crypto.PublicKey) (*x509.Certificate, error) {
	return DefaultMaker().EKCertificate(pub)
}

// Root returns the root certificate, or nil for a zero Maker. It must not be
// changed.
func (m *Maker) Root() *x509.Certificate { return m.root }

// Roots returns a new pool with the root certificate.
func (m *Maker) Roots() *x509.CertPool {
	p := x509.NewCertPool()
	if m.root != nil {
		p.AddCert(m.root)
	}
	return p
}

// Certificates returns the certificate of the issuing CA, then the root. The
// caller owns the slice. It is nil for a zero Maker.
func (m *Maker) Certificates() []*x509.Certificate {
	if m.issuing == nil {
		return nil
	}
	return []*x509.Certificate{m.issuing, m.root}
}

// Key returns the P-256 key of the issuing CA, or nil for a zero Maker. With it a
// test can stand for a CA of the maker's that is online.
func (m *Maker) Key() crypto.Signer {
	if m.issuing == nil {
		return nil
	}
	return m.key
}

func newMaker(name string) *Maker {
	m := &Maker{vendor: Vendor}
	rootKey, err1 := fixedKey(name + " root")
	key, err2 := fixedKey(name + " issuing CA")
	if m.err = errors.Join(err1, err2); m.err != nil {
		return m
	}
	m.key = key
	rootTemplate := caTemplate(name+" root (protects nothing)", &rootKey.PublicKey, 1)
	if m.root, m.err = issue(rootTemplate, rootTemplate, &rootKey.PublicKey, rootKey); m.err != nil {
		return m
	}
	m.issuing, m.err = issue(caTemplate(name+" issuing CA 001", &key.PublicKey, 0), m.root, &key.PublicKey, rootKey)
	return m
}

// fixedKey returns the key that is computed from text.
func fixedKey(text string) (*ecdsa.PrivateKey, error) {
	sum := sha256.Sum256([]byte("github.com/whiteglove/whiteglove/attest/attesttest: " + text))
	d := new(big.Int).SetBytes(sum[:])
	d.Mod(d, new(big.Int).Sub(elliptic.P256().Params().N, big.NewInt(1)))
	d.Add(d, big.NewInt(1))
	return ecdsa.ParseRawPrivateKey(elliptic.P256(), d.FillBytes(make([]byte, 32)))
}

var (
	notBefore = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	notAfter  = time.Date(2123, 12, 31, 23, 59, 59, 0, time.UTC)
	noExpiry  = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
)

func caTemplate(name string, key *ecdsa.PublicKey, pathLen int) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber:          serial([]byte(name)),
		Subject:               pkix.Name{Country: []string{"XX"}, Organization: []string{"SIM0"}, CommonName: name},
		NotBefore:             notBefore,
		NotAfter:              notAfter,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLen:            pathLen,
		MaxPathLenZero:        pathLen == 0,
		SubjectKeyId:          keyID(key),
	}
}

// issue signs a certificate, deterministically.
func issue(template, parent *x509.Certificate, pub crypto.PublicKey, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(nil, template, parent, pub, key)
	if err != nil {
		return nil, fmt.Errorf("attesttest: certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

// keyID returns the identifier of RFC 5280, 4.2.1.2, method 1.
func keyID(key *ecdsa.PublicKey) []byte {
	b, err := key.Bytes()
	if err != nil {
		return nil
	}
	sum := sha1.Sum(b) // #nosec G401 -- not for security
	return sum[:]
}

// serial returns the positive serial number of 16 bytes that is computed from b.
func serial(b []byte) *big.Int {
	sum := sha256.Sum256(b)
	sum[0] = sum[0]&0x7F | 0x40
	return new(big.Int).SetBytes(sum[:16])
}
