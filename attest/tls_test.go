package attest_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
)

// Keys serve as TLS certificates on both sides, in TLS 1.2 and 1.3; the latter
// wants PSS signatures of RSA keys.
func TestTLS(t *testing.T) {
	forBackends(t, "ready", func(t *testing.T, tr transport.TPM) {
		tpm := &attest.TPM{Transport: tr}
		release := tpm.Keep()
		for name, tmpl := range map[string]attest.Template{
			"RSA":           {Usage: attest.Sign},
			"RSA of SCEP":   {Usage: attest.Sign | attest.Decrypt},
			"P-256":         {Algorithm: attest.P256, Usage: attest.Sign},
			"P-384 by auth": {Algorithm: attest.P384, Usage: attest.Sign, Auth: []byte("auth")},
		} {
			k := create(t, tpm, tmpl)
			cert := selfSigned(t, k)
			if _, ok := k.Public().(*ecdsa.PublicKey); ok {
				cert.PrivateKey = struct{ crypto.Signer }{k} // see Key
			}
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				if err := handshake(cert, version); err != nil {
					t.Errorf("%s, %s: %v", name, tls.VersionName(version), err)
				}
			}
		}
		if err := release(t.Context()); err != nil {
			t.Error(err)
		}
		noneLoaded(t, tr)
	})
}

// A TPM whose PSS salts are as long as they can be makes signatures that nobody
// in TLS 1.3 takes: Sign says so. The others are good.
func TestLongSalt(t *testing.T) {
	tr, err := attesttest.New(attesttest.Config{LongSalt: true})
	if err != nil {
		t.Fatal(err)
	}
	tpm := &attest.TPM{Transport: tr}
	k := create(t, tpm, attest.Template{Usage: attest.Sign})
	pss := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	if _, err := k.Sign(nil, make32(), pss); err == nil || !strings.Contains(err.Error(), "salt") {
		t.Errorf("PSS: %v", err)
	}
	sig, err := k.Sign(nil, make32(), crypto.SHA256)
	if err != nil || rsa.VerifyPKCS1v15(k.Public().(*rsa.PublicKey), crypto.SHA256, make32(), sig) != nil {
		t.Errorf("PKCS #1 v1.5: %v", err)
	}
	cert := selfSigned(t, k)
	cert.SupportedSignatureAlgorithms = []tls.SignatureScheme{tls.PKCS1WithSHA256}
	if err := handshake(cert, tls.VersionTLS12); err != nil {
		t.Errorf("TLS 1.2: %v", err)
	}
	if err := handshake(cert, tls.VersionTLS13); err == nil {
		t.Error("TLS 1.3: done")
	}
	noneLoaded(t, tr)
}

// selfSigned returns a certificate of a key for both sides of TLS.
func selfSigned(t *testing.T, k crypto.Signer) tls.Certificate {
	t.Helper()
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "device"}, DNSNames: []string{"device"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	if _, ok := k.Public().(*ecdsa.PublicKey); !ok {
		tmpl.KeyUsage |= x509.KeyUsageKeyEncipherment
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: k, Leaf: leaf}
}

// handshake connects two sides that show the same certificate.
func handshake(cert tls.Certificate, version uint16) error {
	roots := x509.NewCertPool()
	roots.AddCert(cert.Leaf)
	cfg := &tls.Config{
		Certificates: []tls.Certificate{cert}, RootCAs: roots, ClientCAs: roots, ServerName: "device",
		ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: version, MaxVersion: version,
	}
	a, b := net.Pipe()
	server := make(chan error, 1)
	go func() {
		c := tls.Server(b, cfg)
		_, err := c.Write([]byte("hello"))
		_ = c.Close()
		server <- err
	}()
	c := tls.Client(a, cfg)
	_, err := io.ReadAll(c)
	_ = a.Close()
	return errors.Join(err, <-server)
}
