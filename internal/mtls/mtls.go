package mtls

import (
	"crypto"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"

	"github.com/whiteglove/whiteglove/internal/wire"
)

// Config returns a copy of base (nil: an empty configuration) that presents
// cert, whose key is key, and its issuers. It calls sent whenever a
// server asks for the certificate.
//
// An RSA key held by a TPM signs PKCS #1 with SHA-256 and often nothing else.
// TLS 1.3 has no such signature: a client that offers it there sends no
// certificate and takes that for success. So with an RSA key the configuration
// ends at TLS 1.2.
//
// The error is of no type of its own; it tells which argument is missing, or
// that cert is of another key.
func Config(base *tls.Config, cert *x509.Certificate, issuers []*x509.Certificate, key crypto.Signer, sent func()) (*tls.Config, error) {
	if cert == nil || key == nil {
		return nil, errors.New("no management certificate or no key")
	}
	if public, ok := cert.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(key.Public()) {
		return nil, errors.New("the management certificate is for another key")
	}
	own := &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
	for i, issuer := range issuers {
		if issuer == nil {
			return nil, fmt.Errorf("issuer %d is nil", i)
		}
		own.Certificate = append(own.Certificate, issuer.Raw)
	}
	c := new(tls.Config)
	if base != nil {
		c = base.Clone()
	}
	if _, ok := key.Public().(*rsa.PublicKey); ok {
		own.SupportedSignatureAlgorithms = []tls.SignatureScheme{tls.PKCS1WithSHA256}
		c.MaxVersion = tls.VersionTLS12
	}
	c.ClientSessionCache = nil                    // a resumed connection proves nothing anew
	c.Renegotiation = tls.RenegotiateOnceAsClient // some servers ask after they have seen the path
	c.Certificates, c.GetClientCertificate = nil, func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		sent()
		return own, nil
	}
	return c, nil
}

// Client returns a copy of c (nil: [http.DefaultClient]) that follows no
// redirect and whose transport has the TLS configuration that config makes of
// the transport's. The transport is a new one, whose idle connections the
// caller closes. A transport that is no [*http.Transport] is kept: its maker
// has configured TLS, and config is not called. The error is config's.
func Client(c *http.Client, config func(base *tls.Config) (*tls.Config, error)) (*http.Client, error) {
	own := wire.NoRedirects(c)
	t, ok := own.Transport.(*http.Transport)
	if own.Transport == nil {
		t, ok = http.DefaultTransport.(*http.Transport)
	}
	if !ok {
		return own, nil
	}
	t = t.Clone()
	var err error
	if t.TLSClientConfig, err = config(t.TLSClientConfig); err != nil {
		return nil, err
	}
	// HTTP/2 forbids servers to ask for a certificate later.
	t.ForceAttemptHTTP2 = false
	t.TLSNextProto = make(map[string]func(string, *tls.Conn) http.RoundTripper)
	t.TLSClientConfig.NextProtos = nil
	own.Transport = t
	return own, nil
}
