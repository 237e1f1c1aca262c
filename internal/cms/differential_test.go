package cms_test

import (
	"bytes"
	"crypto/x509"
	"errors"
	"testing"

	"go.mozilla.org/pkcs7"

	"github.com/whiteglove/whiteglove/internal/cms"
)

// TestDifferential compares this package with another implementation: each reads
// what the other writes.
func TestDifferential(t *testing.T) {
	who, other := rsaIdentity(t), ecIdentity(t)
	for _, signer := range []*identity{who, other} {
		for _, content := range [][]byte{{}, []byte("content"), make([]byte, 5000)} {
			ours, err := cms.Sign(&cms.Message{Content: content, Certificate: signer.cert, Extra: []*x509.Certificate{other.cert}}, signer.key)
			if err != nil {
				t.Fatal(err)
			}
			p7, err := pkcs7.Parse(ours)
			if err != nil {
				t.Fatal(err)
			}
			if err := p7.Verify(); err != nil || !bytes.Equal(p7.Content, content) || !p7.GetOnlySigner().Equal(signer.cert) {
				t.Errorf("they read %d bytes: %v", len(p7.Content), err)
			}
			signed, err := pkcs7.NewSignedData(content)
			if err != nil {
				t.Fatal(err)
			}
			signed.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA384)
			if err := signed.AddSigner(signer.cert, signer.key, pkcs7.SignerInfoConfig{}); err != nil {
				t.Fatal(err)
			}
			theirs, err := signed.Finish()
			if err != nil {
				t.Fatal(err)
			}
			s, err := cms.ParseSigned(theirs)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Verify(signer.cert, false); err != nil || !bytes.Equal(s.Content, content) {
				t.Errorf("we read %d bytes: %v", len(s.Content), err)
			}
		}
	}
	for c, alg := range map[cms.Cipher]int{
		cms.AES128CBC: pkcs7.EncryptionAlgorithmAES128CBC,
		cms.AES256CBC: pkcs7.EncryptionAlgorithmAES256CBC,
	} {
		content := make([]byte, 100)
		ours, err := cms.Encrypt(content, who.cert, c)
		if err != nil {
			t.Fatal(err)
		}
		p7, err := pkcs7.Parse(ours)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p7.Decrypt(who.cert, rsaKey()); err != nil || !bytes.Equal(got, content) {
			t.Errorf("they open %v: %v", c, err)
		}
		pkcs7.ContentEncryptionAlgorithm = alg
		theirs, err := pkcs7.Encrypt(bytes.Clone(content), []*x509.Certificate{who.cert})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := cms.Decrypt(theirs, who.cert, rsaKey()); err != nil || !bytes.Equal(got, content) {
			t.Errorf("we open %v: %v", c, err)
		}
	}
	bag, err := pkcs7.DegenerateCertificate(append(bytes.Clone(who.cert.Raw), other.cert.Raw...))
	if err != nil {
		t.Fatal(err)
	}
	if certs, bad, err := cms.ParseBag(bag); err != nil || len(bad) != 0 || len(certs) != 2 {
		t.Errorf("we read a bag: %v, %v", bad, err)
	}
	if bag, err = cms.Bag([]*x509.Certificate{who.cert, other.cert}); err != nil {
		t.Fatal(err)
	}
	if p7, err := pkcs7.Parse(bag); err != nil || len(p7.Certificates) != 2 {
		t.Errorf("they read a bag: %v", err)
	}
	// Single DES is their default; this package reads it if it is permitted, and never writes it.
	pkcs7.ContentEncryptionAlgorithm = pkcs7.EncryptionAlgorithmDESCBC
	des, err := pkcs7.Encrypt(make([]byte, 8), []*x509.Certificate{who.cert})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cms.Decrypt(des, who.cert, rsaKey()); err == nil {
		t.Error("we open single DES")
	}
	e, err := cms.ParseEnveloped(des)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := e.Decrypt(who.cert, rsaKey(), true); err != nil || len(got) != 8 || e.Cipher != cms.DESCBC {
		t.Errorf("single DES, permitted: %v, %d bytes, %v", err, len(got), e.Cipher)
	}
	if _, err := cms.Encrypt(make([]byte, 8), who.cert, cms.DESCBC); !errors.Is(err, cms.ErrAlgorithm) {
		t.Errorf("single DES, written: %v", err)
	}
}
