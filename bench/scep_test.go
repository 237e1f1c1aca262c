package bench

import (
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

var key = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

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

// A ca is the SCEP server that all clients have. It counts requests.
type ca struct {
	*sceptest.Server
	url      string
	requests atomic.Int64
}

func newCA(b *testing.B) *ca {
	b.Helper()
	s := &ca{Server: &sceptest.Server{Caps: scep.Caps{"Renewal", "SHA-1", "SHA-256", "AES", "SCEPStandard", "POSTPKIOperation"}}}
	if s.Recipient() == nil {
		b.Fatal("no server")
	}
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		s.ServeHTTP(w, r)
	}))
	b.Cleanup(ts.Close)
	s.url = ts.URL
	return s
}

// BenchmarkSCEP is a first enrollment over HTTP, from a key to its certificate, with the same
// server. Allocations and times are those of both sides. rsa/op counts what the client does
// with its private key, at the places where it is asked for with those who take no other
// kind of key.
func BenchmarkSCEP(b *testing.B) {
	private, err := key()
	must(b, err)
	run := func(name string, f func(b *testing.B, s *ca, n *atomic.Int64)) {
		b.Run("by="+name, func(b *testing.B) {
			s, n := newCA(b), new(atomic.Int64)
			b.ReportAllocs()
			runs := 0
			for b.Loop() {
				f(b, s, n)
				runs++
			}
			b.ReportMetric(float64(n.Load())/float64(runs), "rsa/op")
			b.ReportMetric(float64(s.requests.Load())/float64(runs), "requests/op")
		})
	}
	self, err := scep.ProtocolCertificate(private, nil, time.Now()) // made once for all
	must(b, err)
	run("whiteglove", func(b *testing.B, s *ca, n *atomic.Int64) {
		k := counted{private, n}
		client := &scep.Client{URL: s.url, Roots: s.Roots()}
		csr, err := scep.NewCSR(&x509.CertificateRequest{Subject: pkix.Name{CommonName: "d"}}, k, "secret")
		must(b, err)
		authority, err := client.CA(b.Context(), "")
		must(b, err)
		_, err = client.Enroll(b.Context(), authority, &scep.Request{CSR: csr, Signer: k, Certificate: self})
		must(b, err)
	})
	pkcs7.ContentEncryptionAlgorithm = pkcs7.EncryptionAlgorithmAES128CBC
	run("micromdm+smallstep", func(b *testing.B, s *ca, n *atomic.Int64) {
		client, err := micromdm.New(s.url, kitlog.NewNopLogger())
		must(b, err)
		csr := request(b, private, n)
		own := selfSigned(b, csr, private, n) // as its program makes it, each time
		_, err = client.GetCACaps(b.Context())
		must(b, err)
		answer, _, err := client.GetCACert(b.Context(), "")
		must(b, err)
		certs, err := smallstep.CACerts(answer)
		must(b, err)
		body, err := client.PKIOperation(b.Context(), seal(b, csr, own, certs, private, n).Raw)
		must(b, err)
		open(b, body, certs, own, private, n)
	})
}

// BenchmarkSCEPMessage is the client's part alone: a message is sealed, and parsed again, as
// a server does.
func BenchmarkSCEPMessage(b *testing.B) {
	private, err := key()
	must(b, err)
	server := new(sceptest.Server)
	certs := server.Certificates()
	self, err := scep.ProtocolCertificate(private, nil, time.Now())
	must(b, err)
	var n atomic.Int64
	csr := request(b, private, &n)
	b.Run("by=whiteglove", func(b *testing.B) {
		b.ReportAllocs()
		client := &scep.Client{URL: "https://ca.test", Roots: server.Roots(), HTTPClient: &http.Client{Transport: refuser{}}}
		authority := &scep.CA{Caps: scep.Caps{"SCEPStandard"}, Chain: certs, Recipient: server.Recipient(), Signer: certs[0]}
		req := &scep.Request{CSR: csr.Raw, Signer: private, Certificate: self}
		for b.Loop() {
			if _, err := client.Enroll(b.Context(), authority, req); err == nil {
				b.Fatal("there is no server")
			}
		}
	})
	b.Run("by=smallstep", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			seal(b, csr, self, certs, private, &n)
		}
	})
}

// A refuser answers every request with an error and costs nothing.
type refuser struct{}

func (refuser) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusTeapot, Header: make(http.Header), Body: http.NoBody, Request: r}, nil
}

// request returns a CSR.
func request(b *testing.B, private *rsa.PrivateKey, n *atomic.Int64) *x509.CertificateRequest {
	b.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "d"}}, counted{private, n})
	must(b, err)
	csr, err := x509.ParseCertificateRequest(der)
	must(b, err)
	return csr
}

// selfSigned returns a certificate for the messages.
func selfSigned(b *testing.B, csr *x509.CertificateRequest, private *rsa.PrivateKey, n *atomic.Int64) *x509.Certificate {
	b.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: csr.Subject, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), counted{private, n})
	must(b, err)
	cert, err := x509.ParseCertificate(der)
	must(b, err)
	return cert
}

// seal returns a message.
func seal(b *testing.B, csr *x509.CertificateRequest, own *x509.Certificate, certs []*x509.Certificate, private *rsa.PrivateKey, n *atomic.Int64) *smallstep.PKIMessage {
	b.Helper()
	n.Add(1)
	msg, err := smallstep.NewCSRRequest(csr, &smallstep.PKIMessage{
		MessageType: smallstep.PKCSReq, Recipients: certs[:1], SignerKey: private, SignerCert: own,
	})
	must(b, err)
	return msg
}

// open opens a reply.
func open(b *testing.B, body []byte, certs []*x509.Certificate, own *x509.Certificate, private *rsa.PrivateKey, n *atomic.Int64) {
	b.Helper()
	reply, err := smallstep.ParsePKIMessage(body, smallstep.WithCACerts(certs))
	must(b, err)
	n.Add(1)
	must(b, reply.DecryptPKIEnvelope(own, private))
}
