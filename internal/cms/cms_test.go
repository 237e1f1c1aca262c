package cms_test

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
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/internal/cms"
)

// An identity is a key with a self-signed certificate.
type identity struct {
	key  crypto.Signer
	cert *x509.Certificate
}

func issue(t testing.TB, key crypto.Signer, template x509.Certificate) *identity {
	t.Helper()
	template.Subject = pkix.Name{CommonName: "peer"}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	template.SubjectKeyId = []byte("key identifier of it")
	if template.SerialNumber == nil {
		template.SerialNumber = big.NewInt(0x80)
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := cms.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &identity{key, cert}
}

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil
	}
	return key
})

func rsaIdentity(t testing.TB) *identity { return issue(t, rsaKey(), x509.Certificate{}) }

func ecIdentity(t testing.TB) *identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return issue(t, key, x509.Certificate{})
}

// opaque hides that a key is in software, as with a key in a TPM.
type opaque struct {
	crypto.Signer
	crypto.Decrypter
}

func (o opaque) Public() crypto.PublicKey { return o.Signer.Public() }

func TestSign(t *testing.T) {
	id := asn1.ObjectIdentifier{1, 2, 3, 4}
	for name, tt := range map[string]struct {
		who     *identity
		hash    crypto.Hash
		content []byte
	}{
		"RSA":        {rsaIdentity(t), 0, []byte("content")},
		"RSA opaque": {&identity{opaque{rsaKey(), rsaKey()}, rsaIdentity(t).cert}, crypto.SHA512, []byte("content")},
		"no content": {rsaIdentity(t), crypto.SHA384, nil},
		"empty":      {rsaIdentity(t), crypto.SHA256, []byte{}},
		"SHA-1":      {rsaIdentity(t), crypto.SHA1, []byte("content")},
		"ECDSA":      {ecIdentity(t), crypto.SHA384, []byte("content")},
	} {
		t.Run(name, func(t *testing.T) {
			other := ecIdentity(t)
			der, err := cms.Sign(&cms.Message{
				Content: tt.content, Hash: tt.hash, Certificate: tt.who.cert, Extra: []*x509.Certificate{other.cert},
				Attributes: []cms.Attribute{{Type: id, Value: []byte{4, 1, 7}}},
			}, tt.who.key)
			if err != nil {
				t.Fatal(err)
			}
			for form, in := range map[string][]byte{"DER": der, "BER": indefinite(der)} {
				s, err := cms.ParseSigned(in)
				if err != nil {
					t.Fatalf("%s: %v", form, err)
				}
				if !bytes.Equal(s.Content, tt.content) || (s.Content == nil) != (tt.content == nil) ||
					len(s.Certificates) != 2 || s.Signer() != s.Certificates[0] || !bytes.Equal(s.Attribute(id), []byte{4, 1, 7}) {
					t.Errorf("%s: got %+v", form, s)
				}
				if err := s.Verify(tt.who.cert, tt.hash == crypto.SHA1); err != nil {
					t.Errorf("%s: %v", form, err)
				}
				if err := s.Verify(other.cert, true); !errors.Is(err, cms.ErrSignature) && !errors.Is(err, cms.ErrAlgorithm) {
					t.Errorf("%s: by another: %v", form, err)
				}
			}
			s, err := cms.ParseSigned(der)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Verify(tt.who.cert, false); tt.hash == crypto.SHA1 && !errors.Is(err, cms.ErrAlgorithm) {
				t.Errorf("SHA-1: %v", err)
			}
			s.Content = append(s.Content, 'x')
			if err := s.Verify(tt.who.cert, true); !errors.Is(err, cms.ErrSignature) {
				t.Errorf("changed content: %v", err)
			}
		})
	}
	if _, err := cms.Sign(&cms.Message{Certificate: rsaIdentity(t).cert, Hash: crypto.MD5}, rsaKey()); !errors.Is(err, cms.ErrAlgorithm) {
		t.Errorf("MD5: %v", err)
	}
}

// TestSignedIsChecked changes each byte that the signature covers.
func TestSignedIsChecked(t *testing.T) {
	who := rsaIdentity(t)
	der, err := cms.Sign(&cms.Message{Content: []byte("content"), Certificate: who.cert}, who.key)
	if err != nil {
		t.Fatal(err)
	}
	from := bytes.LastIndex(der, who.cert.Raw) + len(who.cert.Raw)
	for i := from; i < len(der); i++ {
		bad := bytes.Clone(der)
		bad[i] ^= 1
		s, err := cms.ParseSigned(bad)
		if err == nil {
			err = s.Verify(who.cert, true)
		}
		if err == nil {
			t.Errorf("byte %d of %d may be %#x too", i, len(der), bad[i])
		}
	}
	i := bytes.Index(der, []byte("content"))
	der[i]++
	s, err := cms.ParseSigned(der)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(who.cert, false); !errors.Is(err, cms.ErrSignature) {
		t.Errorf("changed content: %v", err)
	}
}

func TestEncrypt(t *testing.T) {
	who := rsaIdentity(t)
	for _, c := range []cms.Cipher{cms.AES128CBC, cms.AES256CBC, cms.DES3CBC} {
		for _, size := range []int{0, 1, 7, 8, 15, 16, 17, 5000} {
			content := bytes.Repeat([]byte{'x'}, size)
			der, err := cms.Encrypt(content, who.cert, c)
			if err != nil {
				t.Fatal(err)
			}
			for form, in := range map[string][]byte{"DER": der, "BER": indefinite(der)} {
				e, err := cms.ParseEnveloped(in)
				if err != nil {
					t.Fatalf("%v, %d, %s: %v", c, size, form, err)
				}
				got, err := e.Decrypt(who.cert, opaque{rsaKey(), rsaKey()}, true)
				if err != nil || !bytes.Equal(got, content) || e.Cipher != c {
					t.Errorf("%v, %d, %s: got %d bytes, %v", c, size, form, len(got), err)
				}
			}
			if _, err := cms.Decrypt(der, who.cert, rsaKey()); (c == cms.DES3CBC) != errors.Is(err, cms.ErrAlgorithm) {
				t.Errorf("%v by default: %v", c, err)
			}
			stranger := issue(t, rsaKey(), x509.Certificate{SerialNumber: big.NewInt(2)})
			if _, err := cms.Decrypt(der, stranger.cert, rsaKey()); c != cms.DES3CBC && !errors.Is(err, cms.ErrRecipient) {
				t.Errorf("%v by a stranger: %v", c, err)
			}
		}
	}
	if _, err := cms.Encrypt(nil, ecIdentity(t).cert, cms.AES128CBC); !errors.Is(err, cms.ErrAlgorithm) {
		t.Errorf("ECDSA recipient: %v", err)
	}
	if _, err := cms.Encrypt(nil, who.cert, cms.Cipher(9)); !errors.Is(err, cms.ErrAlgorithm) {
		t.Errorf("unknown cipher: %v", err)
	}
}

// TestDecryptSaysNothing checks that a wrong key, a damaged key and damaged
// padding give the same error.
func TestDecryptSaysNothing(t *testing.T) {
	who := rsaIdentity(t)
	wrong, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	want := "cms: " + cms.ErrDecrypt.Error()
	failures := 0
	for range 8 {
		der, err := cms.Encrypt(make([]byte, 100), who.cert, cms.AES128CBC)
		if err != nil {
			t.Fatal(err)
		}
		padding := bytes.Clone(der)
		padding[len(padding)-17] ^= 0x55 // last byte of the block before: flips the padding
		wrapped := bytes.Clone(der)
		wrapped[bytes.Index(der, []byte{4, 0x82, 1, 0})+9] ^= 1
		for name, try := range map[string]func() ([]byte, error){
			"padding":     func() ([]byte, error) { return cms.Decrypt(padding, who.cert, rsaKey()) },
			"wrapped key": func() ([]byte, error) { return cms.Decrypt(wrapped, who.cert, rsaKey()) },
			"wrong key":   func() ([]byte, error) { return cms.Decrypt(der, who.cert, wrong) },
			"short key":   func() ([]byte, error) { return cms.Decrypt(der, who.cert, short) },
		} {
			got, err := try()
			if err == nil {
				// A random key gives good padding once in 256 times.
				if bytes.Equal(got, make([]byte, 100)) {
					t.Errorf("%s: decrypted", name)
				}
				continue
			}
			failures++
			if err.Error() != want || !errors.Is(err, cms.ErrDecrypt) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if failures < 16 {
		t.Errorf("%d failures", failures)
	}
}

func TestBag(t *testing.T) {
	a, b := rsaIdentity(t), ecIdentity(t)
	der, err := cms.Bag([]*x509.Certificate{b.cert, a.cert})
	if err != nil {
		t.Fatal(err)
	}
	certs, bad, err := cms.ParseBag(indefinite(der))
	if err != nil || len(bad) != 0 || len(certs) != 2 || !certs[0].Equal(b.cert) {
		t.Errorf("got %d, %v, %v", len(certs), bad, err)
	}
	broken := *a.cert
	broken.Raw = []byte{0x30, 0}
	if der, err = cms.Bag([]*x509.Certificate{&broken, b.cert}); err != nil {
		t.Fatal(err)
	}
	certs, bad, err = cms.ParseBag(der)
	if err != nil || len(bad) != 1 || len(certs) != 1 {
		t.Errorf("one bad: got %d, %v, %v", len(certs), bad, err)
	}
	if der, err = cms.Bag([]*x509.Certificate{&broken}); err != nil {
		t.Fatal(err)
	}
	if _, bad, err = cms.ParseBag(der); !errors.Is(err, cms.ErrMalformed) || len(bad) != 1 {
		t.Errorf("all bad: %v, %v", bad, err)
	}
	many := make([]*x509.Certificate, 65)
	for i := range many {
		many[i] = b.cert
	}
	if der, err = cms.Bag(many); err != nil {
		t.Fatal(err)
	}
	if _, _, err = cms.ParseBag(der); !errors.Is(err, cms.ErrMalformed) {
		t.Errorf("65 certificates: %v", err)
	}
	signed, err := cms.Sign(&cms.Message{Certificate: a.cert}, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := cms.ParseBag(signed); !errors.Is(err, cms.ErrMalformed) {
		t.Errorf("a signed bag: %v", err)
	}
	if _, err := cms.ParseSigned(der); !errors.Is(err, cms.ErrMalformed) {
		t.Errorf("an unsigned message: %v", err)
	}
}

// TestCriticalKeyID reads a certificate like those that Windows makes for SCEP.
func TestCriticalKeyID(t *testing.T) {
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "w"}, NotBefore: time.Now(), NotAfter: time.Now(),
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 35}, Critical: true, Value: []byte{0x30, 3, 0x80, 1, 7}}},
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, rsaKey().Public(), rsaKey())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x509.ParseCertificate(der); err == nil {
		t.Skip("crypto/x509 reads a critical authority key identifier by itself")
	}
	cert, err := cms.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	if err := cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature); err != nil {
		t.Error(err)
	}
	if !bytes.Equal(cert.Raw, der) || !bytes.Equal(cert.AuthorityKeyId, []byte{7}) {
		t.Errorf("got %x", cert.AuthorityKeyId)
	}
	for i := range der {
		if _, err := cms.ParseCertificate(der[:i]); err == nil {
			t.Errorf("the first %d bytes will do", i)
		}
	}
}
