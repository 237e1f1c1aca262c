package mtls_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/internal/mtls"
)

func device(t *testing.T) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// A server that asks gets the certificate, the caller hears of it, and neither
// the caller's client nor its transport is changed. Management over TLS 1.2
// with RSA keys is tested with package omadm.
func TestClient(t *testing.T) {
	cert, key := device(t)
	h := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) != 1 || !r.TLS.PeerCertificates[0].Equal(cert) || r.ProtoMajor != 1 {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	}))
	h.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	h.StartTLS()
	defer h.Close()
	sent := 0
	c, err := mtls.Client(h.Client(), func(base *tls.Config) (*tls.Config, error) {
		return mtls.Config(base, cert, nil, key, func() { sent++ })
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseIdleConnections()
	res, err := c.Get(h.URL)
	if err != nil || res.StatusCode != http.StatusFound || sent != 1 {
		t.Fatalf("%+v, %v, sent %d times", res, err, sent)
	}
	res.Body.Close()
	if shared := h.Client().Transport.(*http.Transport).TLSClientConfig; shared.GetClientCertificate != nil {
		t.Error("the caller's transport was changed")
	}
}

func TestRefuses(t *testing.T) {
	cert, key := device(t)
	other, _ := device(t)
	for _, c := range []struct {
		cert *x509.Certificate
		key  *ecdsa.PrivateKey
		want string
	}{{nil, key, "no management certificate"}, {other, key, "another key"}} {
		if _, err := mtls.Config(nil, c.cert, nil, c.key, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	if _, err := mtls.Config(nil, cert, nil, nil, nil); err == nil {
		t.Error("no key")
	}
	no := errors.New("no")
	if _, err := mtls.Client(nil, func(*tls.Config) (*tls.Config, error) { return nil, no }); !errors.Is(err, no) {
		t.Error(err)
	}
}
