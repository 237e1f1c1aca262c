package sceptest_test

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.mozilla.org/pkcs7"

	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/pkimsg"
	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// answer returns the reply to a good message.
func answer(t testing.TB, s *sceptest.Server) []byte {
	t.Helper()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/?operation=PKIOperation", bytes.NewReader(newPost(t, s).seal(t))))
	if w.Code != http.StatusOK {
		t.Fatalf("HTTP status %d: %q", w.Code, s.Refusals())
	}
	return w.Body.Bytes()
}

// TestQuirks checks the bytes of replies with each quirk.
func TestQuirks(t *testing.T) {
	ca, err := sceptest.NewAuthority("CA", mustRoot(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	server := func(q sceptest.Quirk) *sceptest.Server { return &sceptest.Server{Authority: ca, Quirks: q} }
	size := ca.Key.Public().(*rsa.PublicKey).Size()
	// Algorithm rsaEncryption with NULL, then the header of the signature.
	plain := []byte{0x30, 0x0D, 6, 9, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 1, 5, 0, 4, 0x82, 1, 0}
	for _, q := range []sceptest.Quirk{0, sceptest.QuirkPlainRSA} {
		body := answer(t, server(q))
		if end := body[:len(body)-size]; bytes.HasSuffix(end, plain) != (q == sceptest.QuirkPlainRSA) {
			t.Errorf("quirk %x: before the signature: %x", q, end[len(end)-30:])
		}
	}
	body := answer(t, server(sceptest.QuirkBER))
	if body[1] != 0x80 || !bytes.Contains(body, []byte{0x24, 0x80, 4, 0x82, 3, 0xE8}) {
		t.Error("BER: definite lengths, or no segments of 1000 bytes")
	}
	der, err := cms.DER(body)
	if err != nil {
		t.Fatal(err)
	}
	m, err := pkimsg.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Signed.Verify(ca.Certificate, false); err != nil {
		t.Error(err)
	}
	for _, q := range []sceptest.Quirk{0, sceptest.QuirkEmptyContent} {
		s := server(q)
		s.Pending = func(*sceptest.Request) bool { return true }
		m, err := pkimsg.Parse(answer(t, s))
		if err != nil || m.Status != pkimsg.Pending || (m.Signed.Content != nil) != (q == sceptest.QuirkEmptyContent) {
			t.Errorf("quirk %x: content %v, %v", q, m.Signed.Content, err)
		}
	}
}

func mustRoot(t testing.TB) *sceptest.Authority {
	t.Helper()
	root, err := sceptest.NewAuthority("root", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// FuzzMessage sends bytes to the server. It must answer all of them without an
// internal error, and certify no message but the good one.
func FuzzMessage(f *testing.F) {
	s := new(sceptest.Server)
	s.Issue = func(r *sceptest.Request) (*x509.Certificate, error) {
		if r.TransactionID != "77" {
			f.Error("a certificate for a changed message")
		}
		return r.Certify(new(x509.Certificate))
	}
	f.Add(newPost(f, s).seal(f))
	poll := newPost(f, s)
	poll.info.Type, poll.content = pkimsg.CertPoll, []byte{0x30, 4, 0x30, 0, 0x30, 0}
	f.Add(poll.seal(f))
	for _, name := range []string{"certmonger-request", "step-ca-reply", "openssl-encrypted"} {
		der, err := os.ReadFile(filepath.Join("..", "..", "internal", "cms", "testdata", "peers", name+".der"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/?operation=PKIOperation", bytes.NewReader(body)))
		if w.Code >= http.StatusInternalServerError {
			t.Errorf("HTTP status %d: %s", w.Code, w.Body)
		}
	})
}

// TestSingleDES sends a request in single DES, which is refused whatever is advertised.
func TestSingleDES(t *testing.T) {
	s := &sceptest.Server{Caps: scep.Caps{"DES3", "SHA-1"}}
	p := newPost(t, s)
	before := pkcs7.ContentEncryptionAlgorithm
	pkcs7.ContentEncryptionAlgorithm = pkcs7.EncryptionAlgorithmDESCBC
	der, err := pkcs7.Encrypt(slices.Clone(p.content), []*x509.Certificate{s.Recipient()})
	pkcs7.ContentEncryptionAlgorithm = before
	if err != nil {
		t.Fatal(err)
	}
	p.change = func(m *cms.Message) { m.Content = der }
	if _, m := send(t, s, p.seal(t)); m.Status != pkimsg.Failure || !strings.Contains(m.FailText, "single DES") {
		t.Errorf("got %+v", m.Info)
	}
}
