package drs

import (
	"context"
	"crypto"
	"crypto/tls"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// leaveVersion is the API version of Leave.
const leaveVersion = "1.0"

// Leave removes a device from the tenant, as pre-provisioning does before it hands the
// device to its user. The device authenticates in TLS with dev.Certificate and its key, so
// that the join endpoint must be https. For the transport see Client.MutualTLS. TLS is of
// version 1.2, with signatures of PKCS #1 v1.5 and SHA-256, or of ECDSA for a key on P-256.
//
// The error is an [*Error]. It wraps [ErrEndpoint] if the endpoint is not https or not
// trusted; [ErrTenant] if dev is of another tenant than d; [ErrNotAsked] if the service did
// not request the certificate in TLS; or [ErrGone], with the HTTPStatus 401, if the
// directory does not know the device. A Leave that is repeated because its answer was lost
// returns ErrGone, too. If the service refuses otherwise, the error has the service's
// HTTPStatus, Code and Subcode. If dev, key or the transport is not valid, it wraps none of
// these.
func (c *Client) Leave(ctx context.Context, d *Discovery, dev *Device, key crypto.Signer) error {
	d = c.services(d)
	endpoint := strings.TrimSuffix(d.JoinEndpoint, "/") + "/"
	at := "" // until something is sent
	fail := func(err error) error { return asError(opLeave, at, err) }
	pub, err := deviceKey(key)
	if err != nil {
		return fail(err)
	}
	switch {
	case dev == nil || dev.Certificate == nil || dev.ID == "":
		return fail(misuse.Errorf("no device, or one without certificate or identifier"))
	case !pub.Equal(dev.Certificate.PublicKey):
		return fail(misuse.Errorf("the key is not that of the device's certificate"))
	case !wire.IsGUID(dev.ID):
		return fail(misuse.Errorf("the device's identifier %q is not a GUID", cut(dev.ID)))
	case !strings.HasPrefix(strings.ToLower(endpoint), "https://"):
		at = endpoint // which is wrong
		return fail(fmt.Errorf("%w: a device can leave over https only", ErrEndpoint))
	}
	if err := sameTenant("the device", dev.TenantID, d.TenantID); err != nil {
		return fail(err)
	}
	scheme := tls.PKCS1WithSHA256
	if isEC(key) {
		scheme = tls.ECDSAWithP256AndSHA256
	}
	shown := &shownCertificate{cert: tls.Certificate{
		// Servers of TLS 1.2 are not offered an EC key that has a method Decrypt, too.
		Certificate: [][]byte{dev.Certificate.Raw}, PrivateKey: struct{ crypto.Signer }{key},
		SupportedSignatureAlgorithms: []tls.SignatureScheme{scheme},
	}}
	client, closeIdle, err := c.mutual(shown)
	if err != nil {
		return fail(err)
	}
	defer closeIdle()
	k := &call{op: opLeave, method: http.MethodDelete, url: withVersion(endpoint+dev.ID, leaveVersion), client: client, status: http.StatusUnauthorized}
	at = endpoint
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
	// The body, an AttestationResult or nothing, has no further information.
	return nil
}

// A shownCertificate is a client certificate that records whether a server requested it.
type shownCertificate struct {
	cert  tls.Certificate
	asked atomic.Bool
}

// show implements [tls.Config.GetClientCertificate]. It fails if the server does not accept
// the key's signatures. With an empty certificate instead of an error, the handshake would
// succeed without one.
func (s *shownCertificate) show(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
	if scheme := s.cert.SupportedSignatureAlgorithms[0]; !slices.Contains(info.SignatureSchemes, scheme) {
		return nil, fmt.Errorf("the service does not accept signatures of the device key (%v)", scheme)
	}
	s.asked.Store(true)
	return &s.cert, nil
}

// mutual returns an HTTP client that authenticates with a certificate, and a function that
// closes its idle connections. TLS is limited to version 1.2 with signatures of PKCS #1
// v1.5: version 1.3 requires PSS with a salt of the size of the hash, which not every TPM
// can make, and Go's client then sends no certificate at all. Renegotiation is allowed
// once, because a server may request the certificate only when it knows the path.
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
			return nil, nil, misuse.Errorf("the transport of HTTPClient is a %T, not an *http.Transport: set MutualTLS", base)
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
		if client.Transport = c.MutualTLS(config); client.Transport == nil { // which would be the default, without the certificate
			return nil, nil, misuse.Returned("Client.MutualTLS", "no transport")
		}
		return client, func() {}, nil
	}
	// HTTP/2 has no renegotiation.
	own.TLSClientConfig, own.ForceAttemptHTTP2, own.Protocols = config, false, new(http.Protocols)
	own.Protocols.SetHTTP1(true)
	own.DialTLSContext, own.DisableKeepAlives = nil, true
	client.Transport = own
	return client, own.CloseIdleConnections, nil
}
