package command

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"time"

	"github.com/whiteglove/whiteglove/internal/wire"
)

// HTTPClient returns a client that trusts roots for TLS, or the system's roots
// if roots is nil. A request may take a minute.
func HTTPClient(roots *x509.CertPool) *http.Client {
	return &http.Client{Transport: Transport(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}), Timeout: time.Minute}
}

// Transport returns a copy of [http.DefaultTransport] that uses config, which it
// keeps, and says what a proxy answers that does not connect.
func Transport(config *tls.Config) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = config
	t.OnProxyConnectResponse = wire.ProxyRefuses
	return t
}
