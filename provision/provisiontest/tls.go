package provisiontest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"time"
)

// An issuer issues the server's TLS certificates.
type issuer struct {
	root      *x509.Certificate
	key       *ecdsa.PrivateKey // of root
	template  *x509.Certificate // of the server's certificate
	serverKey *ecdsa.PrivateKey
}

// newTLS makes a root for certificates of host and the names of the loopback
// interface.
func newTLS(host string) (*issuer, error) {
	now := time.Now()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Mock TLS Root"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	if err != nil {
		return nil, err
	}
	root, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	serverKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	server := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "mock server"},
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	if ip := net.ParseIP(host); ip != nil {
		server.IPAddresses = append(server.IPAddresses, ip)
	} else {
		server.DNSNames = append(server.DNSNames, host)
	}
	return &issuer{root, key, server, serverKey}, nil
}

// issue returns a certificate of the server that begins an hour before now and
// ends a year after it.
func (i *issuer) issue(now time.Time) (*tls.Certificate, error) {
	own := *i.template
	own.SerialNumber = big.NewInt(now.UnixNano())
	own.NotBefore, own.NotAfter = now.Add(-time.Hour), now.AddDate(1, 0, 0)
	der, err := x509.CreateCertificate(rand.Reader, &own, i.root, i.serverKey.Public(), i.key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: i.serverKey}, nil
}

// errorLog returns a log.Logger for the complaints of an http.Server.
func errorLog(l *slog.Logger) *log.Logger {
	if l == nil {
		return log.New(io.Discard, "", 0)
	}
	return slog.NewLogLogger(l.Handler(), slog.LevelDebug)
}
