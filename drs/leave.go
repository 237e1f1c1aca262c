package drs

import (
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
)

// leaveVersion is the API version of the end of a registration.
const leaveVersion = "1.0"

// Leave takes a device out of the tenant: the un-join that comes before the
// device is handed to its user. The device authenticates by its certificate
// and key in TLS, so the endpoint must be https; see Client.MutualTLS for the
// transport. That the service asked for the certificate and got it is checked:
// else Leave fails with [ErrNotAsked].
//
// The service says 401 for a device that it does not know, which is
// [ErrGone]: so ends a Leave that is repeated because its answer was lost.
func (c *Client) Leave(ctx context.Context, d *Discovery, dev *Device, key crypto.Signer) error {
	d = c.services(d)
	endpoint := strings.TrimSuffix(d.JoinEndpoint, "/") + "/"
	fail := func(err error) error { return asError(opLeave, endpoint, err) }
	pub, err := deviceKey(key)
	if err != nil {
		return fail(err)
	}
	switch {
	case dev == nil || dev.Certificate == nil || !pub.Equal(dev.Certificate.PublicKey) || !isGUID(dev.ID):
		return fail(errors.New("the device's certificate is not of its key"))
	case !strings.HasPrefix(strings.ToLower(endpoint), "https://"):
		return fail(fmt.Errorf("%w: a device leaves by https only", ErrEndpoint))
	}
	shown := &shownCertificate{cert: tls.Certificate{
		Certificate: [][]byte{dev.Certificate.Raw}, PrivateKey: key,
		SupportedSignatureAlgorithms: []tls.SignatureScheme{tls.PKCS1WithSHA256},
	}}
	client, closeIdle, err := c.mutual(shown)
	if err != nil {
		return fail(err)
	}
	defer closeIdle()
	k := &call{op: opLeave, method: http.MethodDelete, url: withVersion(endpoint+dev.ID, leaveVersion), client: client, status: http.StatusUnauthorized}
	answer, err := c.send(ctx, k)
	switch {
	case err != nil:
		return err
	case !shown.asked.Load():
		return k.failed(answer, ErrNotAsked)
	case answer.Status == http.StatusUnauthorized:
		no := refusal(k.op, k.url, answer, c.now())
		no.Err = ErrGone
		return no
	}
	// What it answers, an AttestationResult or nothing, tells nothing new.
	return nil
}

// A shownCertificate is a client certificate that notes whether it was asked
// for.
type shownCertificate struct {
	cert  tls.Certificate
	asked atomic.Bool
}

// show implements the callback of a TLS client. If it returned none, the
// handshake would go on without a certificate, and only the service would know.
func (s *shownCertificate) show(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
	if !slices.Contains(info.SignatureSchemes, tls.PKCS1WithSHA256) {
		return nil, errors.New("the service takes no signature that the device key makes")
	}
	s.asked.Store(true)
	return &s.cert, nil
}

// mutual returns an HTTP client that shows a certificate. TLS is pinned to
// version 1.2 with PKCS #1 signatures: version 1.3 wants PSS with a salt as
// long as the hash, which not every TPM makes, and Go's client sends no
// certificate at all if its key cannot. Servers may ask for the certificate
// only once they know the path, by a renegotiation.
func (c *Client) mutual(shown *shownCertificate) (*http.Client, func(), error) {
	client := c.httpClient()
	config := new(tls.Config)
	var own *http.Transport
	if c.MutualTLS == nil {
		base := client.Transport
		if base == nil {
			base = http.DefaultTransport
		}
		t, ok := base.(*http.Transport)
		if !ok {
			return nil, nil, fmt.Errorf("HTTPClient has a transport of type %T: set MutualTLS", base)
		}
		own = t.Clone()
		if own.TLSClientConfig != nil {
			config = own.TLSClientConfig
		}
	}
	config.MinVersion, config.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	config.Renegotiation = tls.RenegotiateOnceAsClient
	config.Certificates, config.GetClientCertificate = nil, shown.show
	config.ClientSessionCache, config.NextProtos = nil, nil
	if own == nil {
		client.Transport = c.MutualTLS(config)
		return client, func() {}, nil
	}
	// HTTP/2 has no renegotiation.
	own.TLSClientConfig, own.ForceAttemptHTTP2, own.Protocols = config, false, new(http.Protocols)
	own.Protocols.SetHTTP1(true)
	own.DialTLSContext, own.DisableKeepAlives = nil, true
	client.Transport = own
	return client, own.CloseIdleConnections, nil
}
