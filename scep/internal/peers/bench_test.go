package peers_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	kitlog "github.com/go-kit/kit/log"
	micromdm "github.com/micromdm/scep/v2/client"
	"github.com/smallstep/pkcs7"
	smallstep "github.com/smallstep/scep"

	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

var key = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil
	}
	return k
})

// counted counts what a key does.
type counted struct {
	*rsa.PrivateKey
	n *atomic.Int64
}

func (c counted) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	c.n.Add(1)
	return c.PrivateKey.Sign(r, digest, opts)
}

func (c counted) Decrypt(r io.Reader, msg []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	c.n.Add(1)
	return c.PrivateKey.Decrypt(r, msg, opts)
}

// serve starts the same server for both clients. It counts requests.
func serve(b *testing.B) (url string, s *sceptest.Server, requests *atomic.Int64) {
	b.Helper()
	s = &sceptest.Server{
		Caps: scep.Caps{"Renewal", "SHA-1", "SHA-256", "AES", "SCEPStandard", "POSTPKIOperation"},
	}
	if s.Recipient() == nil {
		b.Fatal("no server")
	}
	requests = new(atomic.Int64)
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		s.ServeHTTP(w, r)
	}))
	b.Cleanup(ts.Close)
	return ts.URL, s, requests
}

func report(b *testing.B, operations, requests int64) {
	b.Helper()
	b.ReportMetric(float64(operations)/float64(b.N), "rsa/op")
	b.ReportMetric(float64(requests)/float64(b.N), "requests/op")
}

// BenchmarkWhiteglove is an enrollment from nothing but keys and the
// self-signed certificate, which is kept.
func BenchmarkWhiteglove(b *testing.B) {
	url, server, requests := serve(b)
	var n atomic.Int64
	k := counted{key(), &n}
	cert, err := scep.ProtocolCertificate(key(), nil, time.Now())
	if err != nil {
		b.Fatal(err)
	}
	c := &scep.Client{URL: url, Roots: server.Roots()}
	b.ReportAllocs()
	for b.Loop() {
		csr, err := scep.NewCSR(&x509.CertificateRequest{Subject: pkix.Name{CommonName: "d"}}, k, "secret")
		if err != nil {
			b.Fatal(err)
		}
		ca, err := c.CA(b.Context(), "")
		if err != nil {
			b.Fatal(err)
		}
		if _, err := c.Enroll(b.Context(), ca, &scep.Request{CSR: csr, Signer: k, Certificate: cert}); err != nil {
			b.Fatal(err)
		}
	}
	report(b, n.Load(), requests.Load())
	if per := float64(n.Load()) / float64(b.N); per != 3 {
		b.Errorf("%.2f RSA operations an enrollment, not 3", per)
	}
}

// BenchmarkMicromdm is the same with micromdm's client, as its program uses
// it. It takes keys of type *rsa.PrivateKey only, so that operations are
// counted where they are asked for.
func BenchmarkMicromdm(b *testing.B) {
	pkcs7.ContentEncryptionAlgorithm = pkcs7.EncryptionAlgorithmAES128CBC
	url, _, requests := serve(b)
	var n int64
	b.ReportAllocs()
	for b.Loop() {
		done, err := enrollMicromdm(b.Context(), url)
		if err != nil {
			b.Fatal(err)
		}
		n += done
	}
	report(b, n, requests.Load())
}

func enrollMicromdm(ctx context.Context, url string) (operations int64, err error) {
	c, err := micromdm.New(url, kitlog.NewNopLogger())
	if err != nil {
		return 0, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "d"}}, key())
	if err != nil {
		return 0, err
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return 0, err
	}
	operations++ // the CSR
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: csr.Subject,
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	}
	if der, err = x509.CreateCertificate(rand.Reader, template, template, key().Public(), key()); err != nil {
		return 0, err
	}
	self, err := x509.ParseCertificate(der)
	if err != nil {
		return 0, err
	}
	operations++ // the self-signed certificate
	if _, err := c.GetCACaps(ctx); err != nil {
		return 0, err
	}
	resp, _, err := c.GetCACert(ctx, "")
	if err != nil {
		return 0, err
	}
	certs, err := smallstep.CACerts(resp)
	if err != nil {
		return 0, err
	}
	msg, err := smallstep.NewCSRRequest(csr, &smallstep.PKIMessage{
		MessageType: smallstep.PKCSReq, Recipients: certs[:1], SignerKey: key(), SignerCert: self,
	})
	if err != nil {
		return 0, err
	}
	operations++ // the message
	body, err := c.PKIOperation(ctx, msg.Raw)
	if err != nil {
		return 0, err
	}
	reply, err := smallstep.ParsePKIMessage(body, smallstep.WithCACerts(certs))
	if err != nil {
		return 0, err
	}
	operations++ // the reply
	return operations, reply.DecryptPKIEnvelope(self, key())
}
