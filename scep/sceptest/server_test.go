package sceptest_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/pkimsg"
	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

var testKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil
	}
	return key
})

func protocol(t testing.TB) *x509.Certificate {
	t.Helper()
	c, err := scep.ProtocolCertificate(testKey(), nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newCSR(t testing.TB) []byte {
	t.Helper()
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "d"}}, testKey())
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

// A post is a message before it is sealed. Tests change a good one.
type post struct {
	info    pkimsg.Info
	content []byte
	to      *x509.Certificate
	cipher  cms.Cipher
	by      *x509.Certificate
	key     crypto.Signer
	hash    crypto.Hash
	extra   []*x509.Certificate
	change  func(*cms.Message)
	body    func([]byte) []byte
}

func newPost(t testing.TB, s *sceptest.Server) *post {
	t.Helper()
	nonce := make([]byte, pkimsg.NonceSize)
	_, _ = rand.Read(nonce)
	return &post{
		info: pkimsg.Info{
			Type: pkimsg.PKCSReq, TransactionID: "77", SenderNonce: nonce,
			Status: pkimsg.None, FailInfo: pkimsg.None,
		},
		content: newCSR(t), to: s.Recipient(), by: protocol(t), key: testKey(),
	}
}

func (p *post) seal(t testing.TB) []byte {
	t.Helper()
	envelope, err := cms.Encrypt(p.content, p.to, p.cipher)
	if err != nil {
		t.Fatal(err)
	}
	attributes, err := p.info.Attributes()
	if err != nil {
		t.Fatal(err)
	}
	m := &cms.Message{Content: envelope, Attributes: attributes, Certificate: p.by, Extra: p.extra, Hash: p.hash}
	if p.change != nil {
		p.change(m)
	}
	der, err := cms.Sign(m, p.key)
	if err != nil {
		t.Fatal(err)
	}
	if p.body != nil {
		der = p.body(der)
	}
	return der
}

// TestRepeatedNonce repeats a message, which only QuirkRepeatedNonce permits, and in no
// other transaction.
func TestRepeatedNonce(t *testing.T) {
	for quirks, want := range map[sceptest.Quirk][3]int{
		0:                           {pkimsg.Success, pkimsg.Failure, pkimsg.Failure},
		sceptest.QuirkRepeatedNonce: {pkimsg.Success, pkimsg.Success, pkimsg.Failure},
	} {
		s := &sceptest.Server{Quirks: quirks}
		p := newPost(t, s)
		for i, id := range []string{"77", "77", "78"} {
			p.info.TransactionID = id
			if _, m := send(t, s, p.seal(t)); m.Status != want[i] {
				t.Errorf("quirks %b, message %d: %+v", quirks, i, m.Info)
			}
		}
	}
}

// send posts a message and returns the HTTP status and the reply.
func send(t testing.TB, s *sceptest.Server, body []byte) (int, *pkimsg.Message) {
	t.Helper()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/?operation=PKIOperation", bytes.NewReader(body)))
	if w.Code != http.StatusOK {
		return w.Code, nil
	}
	m, err := pkimsg.Parse(w.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, m
}

func TestRefusals(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	s := new(sceptest.Server)
	nonce := asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 5}
	for name, tt := range map[string]struct {
		change func(*post)
		status int // of HTTP
		info   scep.FailInfo
		reason string
	}{
		"nothing wrong": {func(*post) {}, 200, scep.NoFailInfo, ""},
		"garbage":       {func(p *post) { p.body = func([]byte) []byte { return []byte("hello") } }, 400, 0, "Failed to parse"},
		"empty":         {func(p *post) { p.body = func([]byte) []byte { return nil } }, 400, 0, "Failed to parse"},
		"trailing byte": {func(p *post) { p.body = func(b []byte) []byte { return append(b, 0) } }, 400, 0, "1 bytes after"},
		"oversized":     {func(p *post) { p.body = func(b []byte) []byte { return append(b, make([]byte, 256<<10)...) } }, 413, 0, "too large"},
		"short nonce":   {func(p *post) { p.info.SenderNonce = p.info.SenderNonce[:15] }, 400, 0, "senderNonce of 15"},
		"no nonce":      {func(p *post) { p.info.SenderNonce = nil }, 400, 0, "senderNonce"},
		"nonce twice": {func(p *post) {
			p.change = func(m *cms.Message) {
				m.Attributes = append(m.Attributes, cms.Attribute{Type: nonce, Value: append([]byte{4, 16}, p.info.SenderNonce...)})
			}
		}, 400, 0, "occurs twice"},
		"no transaction": {func(p *post) {
			p.change = func(m *cms.Message) {
				for i, a := range m.Attributes {
					if a.Type[len(a.Type)-1] == 7 {
						m.Attributes[i].Type = asn1.ObjectIdentifier{1, 2, 3}
					}
				}
			}
		}, 400, 0, "no transactionID"},
		"changed signature": {func(p *post) { p.body = func(b []byte) []byte { b[len(b)-1] ^= 1; return b } }, 200, scep.BadMessageCheck, "signature"},
		"another signer":    {func(p *post) { p.key = key }, 200, scep.BadMessageCheck, "signature"},
		"signer not self-signed": {func(p *post) {
			c := *p.by
			c.Raw = bytes.Clone(c.Raw)
			c.Raw[len(c.Raw)-1] ^= 1
			p.by = &c
		}, 200, scep.BadMessageCheck, "not self-signed"},
		"old signer": {func(p *post) {
			c, err := scep.ProtocolCertificate(testKey(), nil, time.Now().AddDate(-2, 0, 0))
			if err != nil {
				t.Error(err)
			}
			p.by = c
		}, 200, scep.BadTime, "not valid now"},
		"wrong recipient": {func(p *post) { p.to = p.by }, 200, scep.BadMessageCheck, "cannot be decrypted"},
		"no envelope":     {func(p *post) { p.change = func(m *cms.Message) { m.Content = nil } }, 200, scep.BadMessageCheck, "envelope"},
		"content in clear": {func(p *post) {
			p.change = func(m *cms.Message) { m.Content = p.content }
		}, 200, scep.BadMessageCheck, "envelope"},
		"broken blocks": {func(p *post) {
			// This ciphertext makes the library panic.
			p.change = func(m *cms.Message) {
				m.Content = bytes.Clone(m.Content)
				m.Content[len(m.Content)-17] ^= 0xF0
			}
		}, 200, scep.BadMessageCheck, "cannot be decrypted"},
		"SHA-1":      {func(p *post) { p.hash = crypto.SHA1 }, 200, scep.BadAlg, "SHA-1"},
		"triple DES": {func(p *post) { p.cipher = cms.DES3CBC }, 200, scep.BadAlg, "3DES-CBC is not advertised"},
		"poll":       {func(p *post) { p.info.Type = pkimsg.CertPoll }, 200, scep.BadRequest, "IssuerAndSubject"},
		"answer":     {func(p *post) { p.info.Type = pkimsg.ChallengeAnswer }, 200, scep.BadRequest, "not supported"},
		"no CSR":     {func(p *post) { p.content = []byte{0x30, 0} }, 200, scep.BadRequest, "PKCS #10"},
		"CSR signature": {func(p *post) {
			p.content[len(p.content)-1] ^= 1
		}, 200, scep.BadMessageCheck, "CSR"},
	} {
		before := len(s.Refusals())
		p := newPost(t, s)
		tt.change(p)
		status, m := send(t, s, p.seal(t))
		if status != tt.status {
			t.Errorf("%s: HTTP status %d", name, status)
		}
		if m != nil {
			if err := m.Signed.Verify(s.Certificates()[0], false); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if m.FailInfo != int(tt.info)-1 || (m.Status == pkimsg.Failure) != (m.FailInfo != pkimsg.None) ||
				!bytes.Equal(m.RecipientNonce, p.info.SenderNonce) || m.TransactionID != "77" {
				t.Errorf("%s: got %+v", name, m.Info)
			}
		}
		refusals := s.Refusals()[before:]
		if tt.reason == "" && len(refusals) != 0 || tt.reason != "" && (len(refusals) != 1 || !strings.Contains(refusals[0], tt.reason)) {
			t.Errorf("%s: refusals %q", name, refusals)
		}
	}
}

func TestReplay(t *testing.T) {
	s := new(sceptest.Server)
	body := newPost(t, s).seal(t)
	if _, m := send(t, s, body); m.Status != pkimsg.Success {
		t.Fatalf("got %+v", m.Info)
	}
	if _, m := send(t, s, body); m.Status != pkimsg.Failure || !strings.Contains(m.FailText, "used before") {
		t.Errorf("the same again: %+v", m.Info)
	}
}

// TestLegacy uses a server that advertises legacy algorithms.
func TestLegacy(t *testing.T) {
	s := &sceptest.Server{Caps: scep.Caps{"SHA-1", "DES3"}}
	p := newPost(t, s)
	p.hash, p.cipher = crypto.SHA1, cms.DES3CBC
	_, m := send(t, s, p.seal(t))
	if m.Status != pkimsg.Success {
		t.Fatalf("got %+v", m.Info)
	}
	e, err := cms.ParseEnveloped(m.Envelope())
	if err != nil || e.Cipher != cms.DES3CBC {
		t.Fatalf("answered with %v, %v", e.Cipher, err)
	}
}

// TestOddExtra sends an extra certificate that cannot be parsed.
func TestOddExtra(t *testing.T) {
	var got *sceptest.Request
	s := &sceptest.Server{RA: true, Issue: func(r *sceptest.Request) (*x509.Certificate, error) {
		got = r
		return r.Certify(new(x509.Certificate))
	}}
	p := newPost(t, s)
	odd := &x509.Certificate{Raw: []byte{0x30, 3, 2, 1, 1}}
	p.extra = []*x509.Certificate{odd, s.Certificates()[0]}
	if _, m := send(t, s, p.seal(t)); m.Status != pkimsg.Success {
		t.Fatalf("got %+v", m.Info)
	}
	if len(got.Extra) != 1 || !got.Extra[0].Equal(s.Certificates()[0]) {
		t.Errorf("extra %v", got.Extra)
	}
}

func TestHooks(t *testing.T) {
	var checked, opened string
	s := &sceptest.Server{
		CheckCSR: func(r *sceptest.Request) error {
			checked = r.TransactionID
			inner, err := cms.Encrypt([]byte("for the CA"), r.Signer, cms.AES128CBC)
			if err != nil {
				return err
			}
			if _, err := r.Decrypt(inner); err == nil {
				return errors.New("opened what is for another")
			}
			return nil
		},
	}
	s.Issue = func(r *sceptest.Request) (*x509.Certificate, error) {
		inner, err := cms.Encrypt([]byte("for the CA"), s.Recipient(), cms.AES256CBC)
		if err != nil {
			return nil, err
		}
		content, err := r.Decrypt(inner)
		opened = string(content)
		if err != nil {
			return nil, err
		}
		return r.Certify(&x509.Certificate{Subject: pkix.Name{CommonName: "hooked"}})
	}
	p := newPost(t, s)
	p.content[len(p.content)-1] ^= 1 // the server leaves the signature to the hook
	if _, m := send(t, s, p.seal(t)); m.Status != pkimsg.Success || checked != "77" || opened != "for the CA" {
		t.Errorf("got %+v, %q, %q; %q", m.Info, checked, opened, s.Refusals())
	}

	s = &sceptest.Server{Issue: func(r *sceptest.Request) (*x509.Certificate, error) { return s.Recipient(), nil }}
	if status, _ := send(t, s, newPost(t, s).seal(t)); status != http.StatusInternalServerError {
		t.Errorf("a certificate for another key: HTTP status %d", status)
	}
}

func TestAuthority(t *testing.T) {
	root, err := sceptest.NewAuthority("my root", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := sceptest.NewAuthority("my CA", root, &x509.Certificate{MaxPathLenZero: true})
	if err != nil {
		t.Fatal(err)
	}
	s := &sceptest.Server{Authority: ca, RA: true}
	chain := s.Certificates()
	if len(chain) != 2 || chain[0].Subject.CommonName != "my CA" || !chain[1].Equal(root.Certificate) || !chain[0].MaxPathLenZero {
		t.Errorf("got %v", chain)
	}
	if _, err := s.Recipient().Verify(x509.VerifyOptions{
		Roots: s.Roots(), Intermediates: poolOf(chain[0]), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}); err != nil {
		t.Error(err)
	}
	s = &sceptest.Server{Authority: root} // a P-256 key cannot decrypt
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/?operation=GetCACert", nil))
	if w.Code != http.StatusInternalServerError || s.Certificates() != nil || s.Recipient() != nil {
		t.Errorf("HTTP status %d", w.Code)
	}
	s = &sceptest.Server{Authority: &sceptest.Authority{Certificate: ca.Certificate, Key: ca.Key}}
	w = httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/?operation=GetCACert", nil))
	if w.Header().Get("Content-Type") != "application/x-x509-ca-cert" || !bytes.Equal(w.Body.Bytes(), ca.Certificate.Raw) {
		t.Errorf("one certificate: %q", w.Header())
	}
}

func poolOf(certs ...*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c)
	}
	return p
}

func TestHTTP(t *testing.T) {
	s := &sceptest.Server{Fail: func(op string, w http.ResponseWriter) bool {
		if op != "GetCACaps" {
			return false
		}
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	}}
	// A plus sign that is not escaped is accepted.
	message := base64.StdEncoding.EncodeToString(newPost(t, s).seal(t))
	for target, want := range map[string]int{
		"POST /":                                          400,
		"GET /?operation=Else":                            400,
		"GET /?operation=GetCACaps":                       429,
		"GET /?operation=GetCACertChain":                  400,
		"POST /?operation=GetCACert":                      405,
		"PUT /?operation=PKIOperation":                    405,
		"GET /any/path?operation=PKIOperation&message=ab": 400,
		"GET /?operation=PKIOperation&message=!":          400,
		"GET /?operation=PKIOperation&message=" + message: 200,
		"GET /?operation=PKIOperation&message=" + url.QueryEscape(strings.Repeat("a", 300<<10)): 414,
	} {
		method, target, _ := strings.Cut(target, " ")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(method, target, nil))
		if w.Code != want {
			t.Errorf("%s %.80s: HTTP status %d", method, target, w.Code)
		}
		body, err := io.ReadAll(w.Body)
		if want >= 400 && want != 429 && (err != nil || !bytes.HasPrefix(body, []byte(`{"Message":"`))) {
			t.Errorf("%s %.80s: %s", method, target, body)
		}
	}
}

// TestParallel uses both ciphers of the library's global variable at the same
// time.
func TestParallel(t *testing.T) {
	s := &sceptest.Server{RA: true}
	s.Recipient()
	var wg sync.WaitGroup
	for i := range 8 {
		p := newPost(t, s)
		p.cipher = cms.Cipher(i % 2)
		body := p.seal(t)
		wg.Go(func() {
			_, m := send(t, s, body)
			if m == nil || m.Status != pkimsg.Success {
				t.Errorf("got %+v", m)
				return
			}
			if e, err := cms.ParseEnveloped(m.Envelope()); err != nil || e.Cipher != p.cipher {
				t.Errorf("asked with %v: %v", p.cipher, err)
			}
		})
	}
	wg.Wait()
}
