package mdm

import (
	"crypto"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
)

// mutualTLS returns a copy of base (nil: an empty one) that presents cert and
// its issuers (DER), and tells sent whenever a server has asked for them.
//
// An RSA key held by a TPM signs PKCS #1 with SHA-256 and often nothing else.
// TLS 1.3 has no such signature: a client that offers it there sends no
// certificate and takes that for success. So with an RSA key TLS ends at 1.2.
func mutualTLS(base *tls.Config, cert *x509.Certificate, issuers [][]byte, key crypto.Signer, sent func()) (*tls.Config, error) {
	switch {
	case cert == nil || key == nil:
		return nil, errors.New("no management certificate or no key")
	case !samePublicKey(cert.PublicKey, key.Public()):
		return nil, errors.New("the management certificate is for another key")
	}
	own := &tls.Certificate{Certificate: append([][]byte{cert.Raw}, issuers...), PrivateKey: key, Leaf: cert}
	c := new(tls.Config)
	if base != nil {
		c = base.Clone()
	}
	if _, ok := key.Public().(*rsa.PublicKey); ok {
		own.SupportedSignatureAlgorithms = []tls.SignatureScheme{tls.PKCS1WithSHA256}
		c.MaxVersion = tls.VersionTLS12
	}
	c.ClientSessionCache = nil                    // a resumed connection proves nothing anew
	c.Renegotiation = tls.RenegotiateOnceAsClient // some ask after they have seen the path
	c.Certificates, c.GetClientCertificate = nil, func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		sent()
		return own, nil
	}
	return c, nil
}

// mutual returns a copy of h that proves the device by TLS. A transport that
// is no *http.Transport is kept as it is: its maker has set its TLS.
func mutual(h *http.Client, config func(base *tls.Config) (*tls.Config, error)) (*http.Client, error) {
	own := stay(h)
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
	// HTTP/2 forbids that a server asks for a certificate later.
	t.ForceAttemptHTTP2 = false
	t.TLSNextProto = make(map[string]func(string, *tls.Conn) http.RoundTripper)
	t.TLSClientConfig.NextProtos = nil
	own.Transport = t
	return own, nil
}
