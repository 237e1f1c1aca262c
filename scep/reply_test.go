package scep_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/pkimsg"
	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// A forger is a CA whose replies have one fault.
type forger struct {
	t         testing.TB
	authority *sceptest.Authority

	caps   string
	info   func(*pkimsg.Info)                          // changes what the reply says
	leaf   func(*x509.Certificate) crypto.PublicKey    // changes the certificate, and its key if not nil
	bag    func([]*x509.Certificate) []byte            // makes the content
	fetch  func() []byte                               // makes the content of replies to GetCert and GetCRL
	to     *x509.Certificate                           // recipient, if not the client
	seal   func(content []byte) []byte                 // makes the envelope
	signer *sceptest.Authority                         // signs the reply, if not the CA
	sign   func(*pkimsg.Info, []byte) ([]byte, error)  // signs the reply
	body   func([]byte) []byte                         // changes the reply
	http   func(w http.ResponseWriter, r []byte) error // sends the reply
}

func newForger(t testing.TB) *forger {
	t.Helper()
	root, err := sceptest.NewAuthority("root", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := sceptest.NewAuthority("CA", root, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &forger{t: t, authority: ca}
}

func (f *forger) roots() *x509.CertPool { return pool(f.authority.Parents) }

func (f *forger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Query().Get("operation") {
	case "GetCACaps":
		_, _ = io.WriteString(w, f.caps)
	case "GetCACert":
		der, err := cms.Bag(append([]*x509.Certificate{f.authority.Certificate}, f.authority.Parents...))
		if err != nil {
			f.t.Error(err)
		}
		_, _ = w.Write(der)
	default:
		body, err := io.ReadAll(r.Body)
		if err == nil {
			body, err = f.reply(body)
		}
		if err != nil {
			f.t.Error(err)
		}
		if f.http != nil {
			err = f.http(w, body)
		} else {
			_, err = w.Write(body)
		}
		if err != nil {
			f.t.Log(err)
		}
	}
}

func (f *forger) reply(body []byte) ([]byte, error) {
	m, err := pkimsg.Parse(body)
	if err != nil {
		return nil, err
	}
	client := m.Signed.Signer()
	if err := m.Signed.Verify(client, false); err != nil {
		return nil, err
	}
	csr, err := cms.Decrypt(m.Envelope(), f.authority.Certificate, f.authority.Key.(crypto.Decrypter))
	if err != nil {
		return nil, err
	}
	info := &pkimsg.Info{
		Type: pkimsg.CertRep, TransactionID: m.TransactionID, RecipientNonce: m.SenderNonce,
		Status: pkimsg.Success, FailInfo: pkimsg.None,
	}
	if f.info != nil {
		f.info(info)
	}
	envelope, err := f.envelope(csr, client)
	if err != nil {
		return nil, err
	}
	if info.Status == pkimsg.Failure || info.Status == pkimsg.Pending {
		envelope = nil
	}
	sign := f.sign
	if sign == nil {
		sign = f.signWith
	}
	out, err := sign(info, envelope)
	if f.body != nil {
		out = f.body(out)
	}
	return out, err
}

func (f *forger) signWith(info *pkimsg.Info, envelope []byte) ([]byte, error) {
	by := f.signer
	if by == nil {
		by = f.authority
	}
	return pkimsg.Sign(info, envelope, crypto.SHA256, by.Key, by.Certificate, nil)
}

func (f *forger) envelope(csr []byte, client *x509.Certificate) ([]byte, error) {
	if f.fetch != nil {
		return cms.Encrypt(f.fetch(), client, cms.AES128CBC)
	}
	parsed, err := pkimsg.ParseCSR(csr)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "leaf"}}
	key := parsed.Key
	if f.leaf != nil {
		if other := f.leaf(template); other != nil {
			key = other
		}
	}
	leaf, err := f.authority.Issue(template, key)
	if err != nil {
		return nil, err
	}
	certs := []*x509.Certificate{f.authority.Certificate, leaf}
	content, err := cms.Bag(certs)
	if err != nil {
		return nil, err
	}
	if f.bag != nil {
		content = f.bag(certs)
	}
	if f.seal != nil {
		return f.seal(content), nil
	}
	if f.to != nil {
		client = f.to
	}
	return cms.Encrypt(content, client, cms.AES128CBC)
}

func otherKey(t testing.TB) crypto.PublicKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key.Public()
}

// raw returns the DER of v for an attribute.
func raw(t testing.TB, v any, params string) []byte {
	t.Helper()
	der, err := asn1.MarshalWithParams(v, params)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestReplyIsChecked(t *testing.T) {
	base := newForger(t)
	foreign := newForger(t)
	// Another key under the CA's own name and serial number.
	namesake := &sceptest.Authority{Certificate: base.authority.Certificate, Key: foreign.authority.Key}
	weeks := func(n int) time.Time { return time.Now().AddDate(0, 0, 7*n) }
	// signed signs content that need not be a message.
	signed := func(mutate func(*cms.Message)) func(*pkimsg.Info, []byte) ([]byte, error) {
		return func(info *pkimsg.Info, envelope []byte) ([]byte, error) {
			attributes, err := info.Attributes()
			if err != nil {
				return nil, err
			}
			m := &cms.Message{Content: envelope, Attributes: attributes, Certificate: base.authority.Certificate}
			mutate(m)
			return cms.Sign(m, base.authority.Key)
		}
	}
	drop := func(id ...int) func(*cms.Message) {
		return func(m *cms.Message) {
			var kept []cms.Attribute
			for _, a := range m.Attributes {
				if !a.Type.Equal(id) {
					kept = append(kept, a)
				}
			}
			m.Attributes = kept
		}
	}
	self := func(key *rsa.PrivateKey) *x509.Certificate {
		c, err := scep.ProtocolCertificate(key, nil, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}

	for name, tt := range map[string]struct {
		forge func(*forger)
		want  error
	}{
		"nothing wrong":      {func(f *forger) {}, nil},
		"wrong nonce":        {func(f *forger) { f.info = func(i *pkimsg.Info) { i.RecipientNonce = make([]byte, 16) } }, scep.ErrMismatch},
		"short nonce":        {func(f *forger) { f.info = func(i *pkimsg.Info) { i.RecipientNonce = i.RecipientNonce[:15] } }, scep.ErrMismatch},
		"no nonce":           {func(f *forger) { f.info = func(i *pkimsg.Info) { i.RecipientNonce = nil } }, scep.ErrMalformed},
		"wrong transaction":  {func(f *forger) { f.info = func(i *pkimsg.Info) { i.TransactionID += "0" } }, scep.ErrMismatch},
		"part of the ID":     {func(f *forger) { f.info = func(i *pkimsg.Info) { i.TransactionID = i.TransactionID[:39] } }, scep.ErrMismatch},
		"a request":          {func(f *forger) { f.info = func(i *pkimsg.Info) { i.Type, i.SenderNonce = 19, i.RecipientNonce } }, scep.ErrMismatch},
		"undefined status":   {func(f *forger) { f.info = func(i *pkimsg.Info) { i.Status = 1 } }, scep.ErrMalformed},
		"challenge":          {func(f *forger) { f.info = func(i *pkimsg.Info) { i.Status = 11 } }, scep.ErrCapability},
		"failure, no reason": {func(f *forger) { f.info = func(i *pkimsg.Info) { i.Status = 2 } }, scep.ErrMalformed},
		"failure, reason 9":  {func(f *forger) { f.info = func(i *pkimsg.Info) { i.Status, i.FailInfo = 2, 9 } }, scep.ErrMalformed},
		"success, reason":    {func(f *forger) { f.info = func(i *pkimsg.Info) { i.FailInfo = 2 } }, scep.ErrMalformed},
		"foreign signer":     {func(f *forger) { f.signer = foreign.authority }, scep.ErrUntrusted},
		"namesake signer":    {func(f *forger) { f.signer = namesake }, scep.ErrUntrusted},
		"client's own signature": {func(f *forger) {
			f.signer = &sceptest.Authority{Certificate: self(testKey()), Key: testKey()}
		}, scep.ErrUntrusted},
		"wrong recipient": {func(f *forger) { f.to = foreign.authority.Certificate }, scep.ErrDecrypt},
		"no envelope":     {func(f *forger) { f.seal = func([]byte) []byte { return nil } }, scep.ErrMalformed},
		"empty envelope":  {func(f *forger) { f.seal = func([]byte) []byte { return []byte{} } }, scep.ErrMalformed},
		"content in the clear": {func(f *forger) {
			f.seal = func(content []byte) []byte { return content }
		}, scep.ErrMalformed},
		"pending with content": {func(f *forger) {
			f.sign = signed(func(m *cms.Message) { m.Content = []byte{0x30, 0} })
			f.info = func(i *pkimsg.Info) { i.Status = 3 }
		}, scep.ErrMalformed},
		"failure with content": {func(f *forger) {
			f.sign = signed(func(m *cms.Message) { m.Content = []byte{0x30, 0} })
			f.info = func(i *pkimsg.Info) { i.Status, i.FailInfo = 2, 2 }
		}, scep.ErrMalformed},
		"trailing bytes": {func(f *forger) { f.body = func(b []byte) []byte { return append(b, 0) } }, scep.ErrMalformed},
		"cut off":        {func(f *forger) { f.body = func(b []byte) []byte { return b[:len(b)-1] } }, scep.ErrMalformed},
		"signature bit": {func(f *forger) {
			f.body = func(b []byte) []byte { b[len(b)-1] ^= 1; return b }
		}, scep.ErrUntrusted},
		"content bit": {func(f *forger) {
			f.body = func(b []byte) []byte {
				// The first AES OID is that of the envelope; its IV follows.
				i := bytes.Index(b, []byte{0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 2, 4, 16})
				b[i+12] ^= 1
				return b
			}
		}, scep.ErrUntrusted},
		"oversized":      {func(f *forger) { f.body = func(b []byte) []byte { return append(b, make([]byte, 256<<10)...) } }, scep.ErrMalformed},
		"empty":          {func(f *forger) { f.body = func([]byte) []byte { return nil } }, scep.ErrMalformed},
		"HTML":           {func(f *forger) { f.body = func([]byte) []byte { return []byte("<html>") } }, scep.ErrMalformed},
		"no messageType": {func(f *forger) { f.sign = signed(drop(2, 16, 840, 1, 113733, 1, 9, 2)) }, scep.ErrMalformed},
		"no pkiStatus":   {func(f *forger) { f.sign = signed(drop(2, 16, 840, 1, 113733, 1, 9, 3)) }, scep.ErrMalformed},
		"no transaction": {func(f *forger) { f.sign = signed(drop(2, 16, 840, 1, 113733, 1, 9, 7)) }, scep.ErrMalformed},
		"two nonces": {func(f *forger) {
			f.sign = signed(func(m *cms.Message) {
				m.Attributes = append(m.Attributes, cms.Attribute{
					Type: asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 6}, Value: raw(t, make([]byte, 16), ""),
				})
			})
		}, scep.ErrMalformed},
		"two content types": {func(f *forger) {
			f.sign = signed(func(m *cms.Message) {
				m.Attributes = append(m.Attributes, cms.Attribute{
					Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}, Value: raw(t, asn1.ObjectIdentifier{1, 2, 3}, ""),
				})
			})
		}, scep.ErrMalformed},
		"nonce of another type": {func(f *forger) {
			f.sign = signed(func(m *cms.Message) {
				drop(2, 16, 840, 1, 113733, 1, 9, 6)(m)
				m.Attributes = append(m.Attributes, cms.Attribute{
					Type: asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 6}, Value: raw(t, strings.Repeat("a", 16), "utf8"),
				})
			})
		}, scep.ErrMalformed},
		"SHA-1": {func(f *forger) { f.sign = signed(func(m *cms.Message) { m.Hash = crypto.SHA1 }) }, scep.ErrLegacy},
		"triple DES": {func(f *forger) {
			f.seal = func(content []byte) []byte {
				der, err := cms.Encrypt(content, f.to, cms.DES3CBC)
				if err != nil {
					t.Error(err)
				}
				return der
			}
		}, scep.ErrLegacy},
		"another key": {func(f *forger) {
			f.leaf = func(*x509.Certificate) crypto.PublicKey { return otherKey(t) }
		}, scep.ErrMismatch},
		"no certificate": {func(f *forger) {
			f.bag = func(c []*x509.Certificate) []byte { return bag(t, c[:1]) }
		}, scep.ErrMismatch},
		"empty bag":       {func(f *forger) { f.bag = func([]*x509.Certificate) []byte { return bag(t, nil) } }, scep.ErrMalformed},
		"bag with a tail": {func(f *forger) { f.bag = func(c []*x509.Certificate) []byte { return append(bag(t, c), 0) } }, scep.ErrMalformed},
		"certificate twice": {func(f *forger) {
			f.bag = func(c []*x509.Certificate) []byte { return bag(t, append(c, c[1])) }
		}, scep.ErrMismatch},
		"somebody's certificate too": {func(f *forger) {
			f.bag = func(c []*x509.Certificate) []byte {
				other, err := f.authority.Issue(&x509.Certificate{Subject: pkix.Name{CommonName: "other"}}, otherKey(t))
				if err != nil {
					t.Error(err)
				}
				return bag(t, append(c, other))
			}
		}, scep.ErrMismatch},
		"issued by another CA": {func(f *forger) {
			f.bag = func(c []*x509.Certificate) []byte {
				leaf, err := foreign.authority.Issue(&x509.Certificate{Subject: pkix.Name{CommonName: "leaf"}}, c[1].PublicKey)
				if err != nil {
					t.Error(err)
				}
				return bag(t, append([]*x509.Certificate{leaf, foreign.authority.Certificate}, foreign.authority.Parents...))
			}
		}, scep.ErrUntrusted},
		"expired": {func(f *forger) {
			f.leaf = func(c *x509.Certificate) crypto.PublicKey {
				c.NotBefore, c.NotAfter = weeks(-2), weeks(-1)
				return nil
			}
		}, scep.ErrUntrusted},
		"not yet valid": {func(f *forger) {
			f.leaf = func(c *x509.Certificate) crypto.PublicKey {
				c.NotBefore = weeks(1)
				return nil
			}
		}, scep.ErrUntrusted},
		"clock a minute ahead": {func(f *forger) {
			f.leaf = func(c *x509.Certificate) crypto.PublicKey {
				c.NotBefore = time.Now().Add(time.Minute)
				return nil
			}
		}, nil},
		"other capabilities": {func(f *forger) { f.caps = "AES\nPOSTPKIOperation" }, scep.ErrCapability},
		"other ciphers":      {func(f *forger) { f.caps = "DES3\nSHA-256\nPOSTPKIOperation" }, scep.ErrCapability},
	} {
		t.Run(name, func(t *testing.T) {
			f := &forger{t: t, authority: base.authority, caps: "SCEPStandard", to: self(testKey())}
			req := &scep.Request{CSR: newCSR(t, testKey()), Signer: testKey(), Certificate: f.to}
			tt.forge(f)
			c := start(t, f, base.roots())
			ca, err := c.CA(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			reply, err := c.Enroll(t.Context(), ca, req)
			if tt.want == nil {
				if err != nil || reply.Certificates[0].Subject.CommonName != "leaf" {
					t.Fatalf("got %v", err)
				}
				return
			}
			var e *scep.Error
			if !errors.As(err, &e) || !errors.Is(err, tt.want) || reply != nil {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			for _, other := range []error{scep.ErrUntrusted, scep.ErrMalformed, scep.ErrMismatch, scep.ErrDecrypt, scep.ErrCapability} {
				if other != tt.want && errors.Is(err, other) {
					t.Errorf("%v is also %v", err, other)
				}
			}
			if e.Op != "PKCSReq" || e.Retryable() || e.FailInfo != scep.NoFailInfo || strings.Contains(e.URL, "?") {
				t.Errorf("got %#v", e)
			}
		})
	}
}

func bag(t testing.TB, certs []*x509.Certificate) []byte {
	t.Helper()
	der, err := cms.Bag(certs)
	if err != nil {
		t.Error(err)
	}
	return der
}

func TestPending(t *testing.T) {
	f := newForger(t)
	f.caps = "SCEPStandard"
	f.info = func(i *pkimsg.Info) { i.Status = 3 }
	c := start(t, f, f.roots())
	ca, err := c.CA(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	reply, err := c.Enroll(t.Context(), ca, &scep.Request{CSR: newCSR(t, testKey()), Signer: testKey()})
	if err != nil || reply.Status != scep.StatusPending || reply.Certificates != nil {
		t.Fatalf("got %+v, %v", reply, err)
	}
}

func TestLegacyReply(t *testing.T) {
	f := newForger(t)
	f.caps = "DES3"
	protocol, err := scep.ProtocolCertificate(testKey(), nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ca := &scep.CA{
		Caps: scep.Caps{"SCEPStandard"}, Chain: []*x509.Certificate{f.authority.Certificate},
		Recipient: f.authority.Certificate, Signer: f.authority.Certificate,
	}
	f.seal = func(content []byte) []byte {
		der, err := cms.Encrypt(content, protocol, cms.DES3CBC)
		if err != nil {
			t.Error(err)
		}
		return der
	}
	f.sign = func(i *pkimsg.Info, envelope []byte) ([]byte, error) {
		return pkimsg.Sign(i, envelope, crypto.SHA1, f.authority.Key, f.authority.Certificate, nil)
	}
	c := start(t, f, f.roots())
	c.AllowLegacy = true
	if _, err := c.Enroll(t.Context(), ca, &scep.Request{CSR: newCSR(t, testKey()), Signer: testKey(), Certificate: protocol}); err != nil {
		t.Fatal(err)
	}
}

// TestWhoSigns checks replies that different certificates of a CA signed.
func TestWhoSigns(t *testing.T) {
	f := newForger(t)
	ra := func(name string, usage x509.KeyUsage) *sceptest.Authority {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := f.authority.Issue(&x509.Certificate{Subject: pkix.Name{CommonName: name}, KeyUsage: usage}, key.Public())
		if err != nil {
			t.Fatal(err)
		}
		return &sceptest.Authority{Certificate: cert, Key: key}
	}
	signing, encryption := ra("S", x509.KeyUsageDigitalSignature), ra("E", x509.KeyUsageKeyEncipherment)
	ca := &scep.CA{
		Caps: scep.Caps{"SCEPStandard"}, Recipient: f.authority.Certificate, Signer: signing.Certificate,
		Chain: []*x509.Certificate{signing.Certificate, encryption.Certificate, f.authority.Certificate},
	}
	c := start(t, f, f.roots())
	req := &scep.Request{CSR: newCSR(t, testKey()), Signer: testKey()}
	for _, tt := range []struct {
		signer *sceptest.Authority
		years  int // from now
		good   bool
	}{
		{signing, 0, true},
		{f.authority, 0, true},
		{encryption, 0, false},
		{signing, 2, false},
		{signing, -1, false},
	} {
		f.signer = tt.signer
		c.Now = func() time.Time { return time.Now().AddDate(tt.years, 0, 0) }
		f.leaf = func(leaf *x509.Certificate) crypto.PublicKey {
			leaf.NotBefore = c.Now().Add(-time.Minute)
			return nil
		}
		if _, err := c.Enroll(t.Context(), ca, req); (err == nil) != tt.good || err != nil && !errors.Is(err, scep.ErrUntrusted) {
			t.Errorf("signed by %s, %d years from now: %v", tt.signer.Certificate.Subject, tt.years, err)
		}
	}
}
