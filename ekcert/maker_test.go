package ekcert_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"io/fs"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/internal/wcce"
)

var onceEK = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// ekKey returns the RSA key that tests use as endorsement key.
func ekKey(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	k, err := onceEK()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newECKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// A maker is a TPM maker's root and the issuing CA under it.
type maker struct {
	root, ca *x509.Certificate
	key      crypto.Signer
}

func newMaker(t testing.TB, name string) *maker {
	t.Helper()
	rootKey, caKey := newECKey(t, elliptic.P256()), newECKey(t, elliptic.P256())
	root := authority(t, name+" root", rootKey, nil, rootKey)
	return &maker{root: root, ca: authority(t, name+" CA", caKey, root, rootKey), key: caKey}
}

func authority(t testing.TB, name string, key crypto.Signer, parent *x509.Certificate, by crypto.Signer) *x509.Certificate {
	t.Helper()
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(20, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	if parent == nil {
		parent = tmpl
	}
	return sign(t, tmpl, parent, key.Public(), by)
}

func sign(t testing.TB, tmpl, parent *x509.Certificate, pub crypto.PublicKey, by crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, pub, by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func (m *maker) roots() *x509.CertPool { return pool(m.root) }

func pool(certs ...*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c)
	}
	return p
}

// intel and amd are vendor IDs as in certificates.
const intel, amd = "id:494E5443", "id:414D4400"

// profile returns a certificate that conforms to the TCG profile.
func profile(t testing.TB, vendor string) *x509.Certificate {
	t.Helper()
	return &x509.Certificate{
		SerialNumber: big.NewInt(0x7F01), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(10, 0, 0),
		KeyUsage: x509.KeyUsageKeyEncipherment, BasicConstraintsValid: true,
		UnknownExtKeyUsage: []asn1.ObjectIdentifier{wcce.OIDKeyPurposeEK},
		ExtraExtensions:    []pkix.Extension{oneRDN(t, vendor, "PTT", "id:00070055")},
	}
}

func oneRDN(t testing.TB, vendor, model, version string) pkix.Extension {
	t.Helper()
	ext, err := (&wcce.Device{Manufacturer: vendor, Model: model, Version: version}).AltName(true)
	if err != nil {
		t.Fatal(err)
	}
	return ext
}

// issue returns a certificate for pub, with the changes of edit.
func (m *maker) issue(t testing.TB, pub crypto.PublicKey, vendor string, edit ...func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	tmpl := profile(t, vendor)
	for _, f := range edit {
		f(tmpl)
	}
	return sign(t, tmpl, m.ca, pub, m.key)
}

// An nvMemory has NV indices and records which are read.
type nvMemory struct {
	content map[uint32][]byte
	fail    map[uint32]error
	reads   []uint32
}

func (m *nvMemory) ReadNV(_ context.Context, index uint32) ([]byte, error) {
	m.reads = append(m.reads, index)
	if err := m.fail[index]; err != nil {
		return nil, err
	}
	b, ok := m.content[index]
	if !ok {
		return nil, fmt.Errorf("index %#x: %w", index, fs.ErrNotExist)
	}
	return b, nil
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
