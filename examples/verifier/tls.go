package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// load reads -cert and -key.
func (o *options) load() (c tls.Certificate, err error) {
	chain, err := command.ReadCertificates(o.cert)
	if err != nil {
		return c, command.Wrong("-cert", err)
	}
	text, err := command.ReadSmall(o.key)
	if err != nil {
		return c, command.Wrong("-key", err)
	}
	c, err = tls.X509KeyPair(command.EncodeCertificates(chain...), text)
	switch {
	case err == nil:
		return c, nil
	case strings.Contains(string(text), "ENCRYPTED"):
		return c, command.Wrong("-key "+o.key, errors.New("the key is encrypted: give one without a password"))
	case !strings.Contains(string(text), "PRIVATE KEY-----"):
		return c, command.Wrong("-key "+o.key, errors.New("no private key (PEM) in it: name the file with the key of the certificate in -cert"))
	case strings.Contains(err.Error(), "does not match"):
		return c, &command.ExitError{Code: 2, Err: fmt.Errorf("-key %s is not the key of the first certificate in -cert %s: name the two that were made for each other, the server's own certificate first", o.key, o.cert)}
	}
	return c, command.Wrong("-key "+o.key, command.Advise(err, "Take the key again from where it came: it may be cut or damaged, or be of a kind that TLS does not use."))
}

// certificate returns the TLS certificate of -cert, or a new one with its root in PEM.
func (o *options) certificate() (cert *tls.Certificate, root []byte, err error) {
	if o.cert != "" {
		c, err := o.load()
		return &c, nil, err
	}
	host, _, err := net.SplitHostPort(o.addr)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = append(template.IPAddresses, ip)
	} else if host != "" {
		template.DNSNames = append(template.DNSNames, host)
	}
	ca, err := sceptest.NewAuthority("verifier's own root", nil, nil)
	if err != nil {
		return nil, nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	leaf, err := ca.Issue(template, key.Public())
	if err != nil {
		return nil, nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}, command.EncodeCertificates(ca.Certificate), nil
}
