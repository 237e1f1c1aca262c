package pkimsg_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"testing"

	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/pkimsg"
)

func TestNames(t *testing.T) {
	issuer, subject := []byte{0x30, 0}, []byte{0x30, 2, 5, 0}
	der, err := pkimsg.IssuerAndSubject(issuer, subject)
	if err != nil {
		t.Fatal(err)
	}
	i, s, err := pkimsg.ParseIssuerAndSubject(der)
	if err != nil || !bytes.Equal(i, issuer) || !bytes.Equal(s, subject) {
		t.Errorf("got %x, %x, %v", i, s, err)
	}
	numbered, err := pkimsg.IssuerAndSerial(issuer, big.NewInt(0x1234))
	if err != nil {
		t.Fatal(err)
	}
	i, n, err := pkimsg.ParseIssuerAndSerial(numbered)
	if err != nil || !bytes.Equal(i, issuer) || n.Int64() != 0x1234 {
		t.Errorf("got %x, %v, %v", i, n, err)
	}
	for _, bad := range [][]byte{nil, der[:5], append(der, 0), numbered} {
		if _, _, err := pkimsg.ParseIssuerAndSubject(bad); !errors.Is(err, cms.ErrMalformed) {
			t.Errorf("%x: %v", bad, err)
		}
	}
	for _, bad := range [][]byte{nil, numbered[:5], append(numbered, 0), der} {
		if _, _, err := pkimsg.ParseIssuerAndSerial(bad); !errors.Is(err, cms.ErrMalformed) {
			t.Errorf("%x: %v", bad, err)
		}
	}
}

// A once is a key that counts its signatures, and fails if told to.
type once struct {
	crypto.Signer
	n    int
	fail error
}

func (o *once) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	o.n++
	if o.fail != nil {
		return nil, o.fail
	}
	return o.Signer.Sign(r, digest, opts)
}

func TestPassword(t *testing.T) {
	key, _ := identity(t)
	signer := &once{Signer: key}
	for _, password := range []string{"", "secret", "zu spät", "a_b"} {
		der, err := pkimsg.NewCSR(&x509.CertificateRequest{DNSNames: []string{"a.test"}}, signer, password)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := pkimsg.Password(der); err != nil || got != password {
			t.Errorf("got %q, %v", got, err)
		}
	}
	if signer.n != 4 {
		t.Errorf("%d signatures for 4 requests", signer.n)
	}
	signer.fail = io.ErrUnexpectedEOF
	if _, err := pkimsg.NewCSR(&x509.CertificateRequest{}, signer, ""); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a key that fails: %v", err)
	}
	der, err := pkimsg.NewCSR(&x509.CertificateRequest{}, key, "secret")
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(der, []byte("\x13\x06secret"))
	for _, tag := range []byte{0x02, 0x30, 0x04} {
		der[at] = tag
		if _, err := pkimsg.Password(der); !errors.Is(err, cms.ErrMalformed) {
			t.Errorf("tag %#x: %v", tag, err)
		}
	}
	if _, err := pkimsg.Password(nil); !errors.Is(err, cms.ErrMalformed) {
		t.Errorf("nothing: %v", err)
	}
}

// FuzzContent calls the parsers of the contents of messages.
func FuzzContent(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	csr, err := pkimsg.NewCSR(&x509.CertificateRequest{DNSNames: []string{"a"}}, key, "secret")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(csr)
	f.Add([]byte{0x30, 4, 0x30, 0, 0x30, 0})
	f.Add([]byte{0x30, 5, 0x30, 0, 2, 1, 7})
	f.Fuzz(func(t *testing.T, der []byte) {
		if i, s, err := pkimsg.ParseIssuerAndSubject(der); err == nil {
			if again, err := pkimsg.IssuerAndSubject(i, s); err != nil || !bytes.Equal(again, der) {
				t.Errorf("%x became %x", der, again)
			}
		}
		if i, n, err := pkimsg.ParseIssuerAndSerial(der); err == nil {
			if again, err := pkimsg.IssuerAndSerial(i, n); err != nil || !bytes.Equal(again, der) {
				t.Errorf("%x became %x", der, again)
			}
		}
		if csr, err := pkimsg.ParseCSR(der); err == nil {
			if again, err := x509.MarshalPKIXPublicKey(csr.Key); err != nil || !bytes.Equal(again, csr.SPKI) {
				t.Errorf("key %x became %x, %v", csr.SPKI, again, err)
			}
		}
		if password, err := pkimsg.Password(der); err == nil && len(password) > 255 {
			t.Errorf("a password of %d bytes", len(password))
		}
	})
}
