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

// Vendor is the TCG vendor ID of the emulator's maker: TPM_PT_MANUFACTURER,
// and the manufacturer in its certificates, "id:53494D30".
const Vendor = "SIM0"

// A Maker is a TPM maker's certification authority: a root and an issuing CA.
// Its keys follow from its name and protect nothing. DefaultMaker and
// OtherMaker return the two there are.
type Maker struct {
	vendor        string
	root, issuing *x509.Certificate
	key           *ecdsa.PrivateKey // of the issuing CA
	err           error
}

// DefaultMaker returns the maker of the TPMs of this package, the same in
// every process.
func DefaultMaker() *Maker { return defaultMaker() }

// OtherMaker returns a maker that Roots does not know, for tests that must
// fail. Its vendor ID is the same.
func OtherMaker() *Maker { return otherMaker() }

var (
	defaultMaker = sync.OnceValue(func() *Maker { return newMaker("SIM0 TPM EK") })
	otherMaker   = sync.OnceValue(func() *Maker { return newMaker("Other SIM0 TPM EK") })
)

// Root returns the root of the emulator's maker.
func Root() *x509.Certificate { return DefaultMaker().Root() }

// Roots returns a new pool with Root.
func Roots() *x509.CertPool { return DefaultMaker().Roots() }

// Certificates returns the certificates of the maker's CAs: the issuing CA's,
// then the root.
func Certificates() []*x509.Certificate { return DefaultMaker().Certificates() }

// EKCertificate returns the certificate, DER, of an endorsement key by the
// emulator's maker: an *rsa.PublicKey, or an *ecdsa.PublicKey on P-256 or
// P-384. The same key gets the same bytes in every process.
func EKCertificate(pub crypto.PublicKey) ([]byte, error) { return DefaultMaker().EKCertificate(pub) }

// Root returns the root certificate.
func (m *Maker) Root() *x509.Certificate { return m.root }

// Roots returns a new pool with the root.
func (m *Maker) Roots() *x509.CertPool {
	p := x509.NewCertPool()
	if m.root != nil {
		p.AddCert(m.root)
	}
	return p
}

// Certificates returns the issuing CA's certificate, then the root.
func (m *Maker) Certificates() []*x509.Certificate {
	if m.issuing == nil {
		return nil
	}
	return []*x509.Certificate{m.issuing, m.root}
}

// Key returns the key of the issuing CA, or nil if the maker could not be made.
// With it a test can be the maker's online CA.
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

// fixedKey returns a key that follows from text.
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

// serial returns a positive serial number of 16 bytes that follows from b.
func serial(b []byte) *big.Int {
	sum := sha256.Sum256(b)
	sum[0] = sum[0]&0x7F | 0x40
	return new(big.Int).SetBytes(sum[:16])
}
