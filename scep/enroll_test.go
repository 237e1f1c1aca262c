package scep_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// testKey returns the key that all clients in these tests share.
var testKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil
	}
	return key
})

func newCSR(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "device 7"}, DNSNames: []string{"device7.test"},
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

// start serves h and returns a client for it.
func start(t testing.TB, h http.Handler, roots *x509.CertPool) *scep.Client {
	t.Helper()
	ts := httptest.NewServer(h)
	t.Cleanup(ts.Close)
	return &scep.Client{URL: ts.URL + "/scep", Roots: roots, HTTPClient: ts.Client()}
}

// strangers returns a pool with a root that no CA of the tests has.
func strangers(t testing.TB) *x509.CertPool {
	t.Helper()
	s := httptest.NewTLSServer(http.NotFoundHandler())
	s.Close()
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return pool
}

func TestEnroll(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		server *sceptest.Server
		legacy bool
		key    crypto.Signer
		bag    int
	}{
		"zero value":    {server: new(sceptest.Server), key: testKey(), bag: 2},
		"RA":            {server: &sceptest.Server{RA: true}, key: testKey(), bag: 4},
		"ECDSA key":     {server: &sceptest.Server{RA: true}, key: ec, bag: 4},
		"GET":           {server: &sceptest.Server{Caps: scep.Caps{"AES", "SHA-256"}}, key: testKey(), bag: 2},
		"AES-256":       {server: &sceptest.Server{Caps: scep.Caps{"AES256", "SHA-512", "POSTPKIOperation"}}, key: testKey(), bag: 2},
		"chain":         {server: &sceptest.Server{RA: true, Caps: scep.Caps{"GetCaCertChain", "AES128", "SHA-256", "POSTPKIOperation"}, Fail: without("GetCACert")}, key: testKey(), bag: 4},
		"legacy":        {server: &sceptest.Server{Caps: scep.Caps{"DES3", "SHA-1"}}, legacy: true, key: testKey(), bag: 2},
		"no GetCACaps":  {server: &sceptest.Server{Caps: scep.Caps{"DES3", "SHA-1"}, Fail: without("GetCACaps")}, legacy: true, key: testKey(), bag: 2},
		"lower case":    {server: &sceptest.Server{Caps: scep.Caps{"scepstandard"}}, key: testKey(), bag: 2},
		"unknown words": {server: &sceptest.Server{Caps: scep.Caps{"<p>", "X-Y", "SCEPStandard", "two words"}}, key: testKey(), bag: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t, tt.server, tt.server.Roots())
			c.AllowLegacy = tt.legacy
			ca, err := c.CA(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			if len(ca.Chain) != tt.bag || !ca.Recipient.Equal(tt.server.Recipient()) {
				t.Errorf("%d certificates, recipient %s", len(ca.Chain), ca.Recipient.Subject)
			}
			reply, err := c.Enroll(t.Context(), ca, &scep.Request{CSR: newCSR(t, tt.key), Signer: testKey()})
			if err != nil {
				t.Fatalf("%v; server: %q", err, tt.server.Refusals())
			}
			leaf := reply.Certificates[0]
			if reply.Status != scep.StatusSuccess || leaf.Subject.CommonName != "device 7" ||
				!tt.key.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(leaf.PublicKey) {
				t.Errorf("got %v, %s", reply.Status, leaf.Subject)
			}
			if len(reply.TransactionID) != 40 || len(reply.Certificates) != 3 {
				t.Errorf("transaction %q, %d certificates", reply.TransactionID, len(reply.Certificates))
			}
			if _, err := leaf.Verify(x509.VerifyOptions{
				Roots: tt.server.Roots(), Intermediates: pool(reply.Certificates[1:]),
				KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
			}); err != nil {
				t.Error(err)
			}
			if r := tt.server.Refusals(); len(r) != 0 {
				t.Errorf("server refused %q", r)
			}
		})
	}
}

// without returns a Fail that refuses one operation.
func without(missing string) func(string, http.ResponseWriter) bool {
	return func(op string, w http.ResponseWriter) bool {
		if op == missing {
			w.WriteHeader(http.StatusInternalServerError)
		}
		return op == missing
	}
}

func pool(certs []*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c)
	}
	return p
}

// challenger returns a server with the challenge "secret", to which the answer
// is "terces".
func challenger() *sceptest.Server {
	return &sceptest.Server{
		RA:        true,
		Caps:      scep.Caps{"SHA-256", "AES128", "POSTPKIOperation", "TestAttestation", "GetCaCertChain"},
		Challenge: func(*sceptest.Request) ([]byte, error) { return []byte("secret"), nil },
		Check: func(_ *sceptest.Request, answer []byte) error {
			if string(answer) != "terces" {
				return &scep.Error{FailInfo: scep.BadMessageCheck, Message: "wrong answer"}
			}
			return nil
		},
	}
}

func TestChallenge(t *testing.T) {
	server := challenger()
	c := start(t, server, server.Roots())
	ca, err := c.CA(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	req := &scep.Request{CSR: newCSR(t, testKey()), Signer: testKey()}
	if _, err := c.Enroll(t.Context(), ca, req); !errors.Is(err, scep.ErrCapability) {
		t.Fatalf("a challenge that was not asked for: %v", err)
	}
	c.Challenge = "OtherAttestation"
	if _, err := c.Enroll(t.Context(), ca, req); !errors.Is(err, scep.ErrCapability) {
		t.Fatalf("a challenge that was not negotiated: %v", err)
	}
	c.Challenge = "testattestation"
	challenge := func() *scep.Reply {
		t.Helper()
		reply, err := c.Enroll(t.Context(), ca, req)
		if err != nil {
			t.Fatal(err)
		}
		if reply.Status != scep.StatusChallenge || string(reply.Content) != "secret" || reply.Certificates != nil {
			t.Fatalf("got %+v", reply)
		}
		return reply
	}

	var refused *scep.Error
	first := challenge()
	_, err = c.Answer(t.Context(), ca, req, first, []byte("wrong"))
	if !errors.As(err, &refused) || refused.FailInfo != scep.BadMessageCheck || refused.Message != "wrong answer" ||
		refused.Op != "ChallengeAnswer" {
		t.Fatalf("wrong answer: %v", err)
	}
	_, err = c.Answer(t.Context(), ca, req, first, []byte("terces"))
	if !errors.As(err, &refused) || refused.FailInfo != scep.BadRequest {
		t.Fatalf("second answer to a challenge: %v", err)
	}

	reply := challenge()
	stranger := *req
	if stranger.Certificate, err = scep.ProtocolCertificate(testKey(), nil, ca.Signer.NotBefore); err != nil {
		t.Fatal(err)
	}
	_, err = c.Answer(t.Context(), ca, &stranger, reply, []byte("terces"))
	if !errors.As(err, &refused) || refused.FailInfo != scep.BadMessageCheck {
		t.Fatalf("answer by another: %v", err)
	}
	got, err := c.Answer(t.Context(), ca, req, reply, []byte("terces"))
	if err != nil {
		t.Fatal(err)
	}
	if got.Status != scep.StatusSuccess || got.TransactionID != reply.TransactionID {
		t.Errorf("got %v in %q", got.Status, got.TransactionID)
	}
	if _, err := c.Answer(t.Context(), ca, req, got, nil); err == nil {
		t.Error("an answer to what is no challenge")
	}
	c.Challenge = ""
	if _, err := c.Answer(t.Context(), ca, req, reply, nil); !errors.Is(err, scep.ErrCapability) {
		t.Errorf("answer without the capability: %v", err)
	}
	if r := strings.Join(server.Refusals(), "\n"); strings.Count(r, "\n") != 2 || !strings.Contains(r, "ChallengeAnswer: wrong answer") {
		t.Errorf("server refused %s", r)
	}
}
