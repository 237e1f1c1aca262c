package mdmtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"time"
)

// Lifetimes of certificates. The policy names the one of management
// certificates.
const (
	caLife     = 10 * 365 * 24 * time.Hour
	deviceLife = 365 * 24 * time.Hour
	backdated  = 5 * time.Minute // for devices whose clocks are behind
)

// An authority is the certificate authority of a server: a root and an issuer
// below it. Their keys are on P-256, because making RSA keys takes long.
type authority struct {
	root, issuer *x509.Certificate
	key          crypto.Signer // of issuer
}

// setup makes the server's authority, once.
func (s *Server) setup() error {
	s.once.Do(func() {
		s.devices = make(map[string]*device)
		s.keys = make(map[string]string)
		s.owners = make(map[[32]byte]string)
		s.claims = make(map[[32]byte]bool)
		s.ca, s.setupErr = newAuthority(s.now())
	})
	return s.setupErr
}

// newAuthority returns an authority whose certificates are valid from now on.
func newAuthority(now time.Time) (*authority, error) {
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := func(name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: serial(), Subject: pkix.Name{CommonName: name},
			NotBefore: now.Add(-backdated), NotAfter: now.Add(caLife),
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		}
	}
	rootTemplate := template("Test MDM Root CA")
	root, err := sign(rootTemplate, rootTemplate, &rootKey.PublicKey, rootKey)
	if err != nil {
		return nil, err
	}
	issuer, err := sign(template("Test MDM Device CA"), root, &key.PublicKey, rootKey)
	if err != nil {
		return nil, err
	}
	return &authority{root: root, issuer: issuer, key: key}, nil
}

// issue returns a new management certificate of a device for a key.
func (a *authority) issue(key *rsa.PublicKey, id string, now time.Time) (*x509.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: id},
		NotBefore: now.Add(-backdated), NotAfter: now.Add(deviceLife),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	return sign(template, a.issuer, key, a.key)
}

// sign returns a certificate signed by the key of parent.
func sign(template, parent *x509.Certificate, pub crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, pub, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// serial returns a random serial number of 127 bits.
func serial() *big.Int {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b[:])
}

// Certificates returns the certificates of the server's authority: the issuer
// of management certificates, then the root. It returns nil if the keys cannot
// be made.
func (s *Server) Certificates() []*x509.Certificate {
	if s.setup() != nil {
		return nil
	}
	return []*x509.Certificate{s.ca.issuer, s.ca.root}
}

// Roots returns a new pool with the root of the server's authority.
func (s *Server) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	if s.setup() == nil {
		pool.AddCert(s.ca.root)
	}
	return pool
}
