package cms_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/internal/cms"
)

// seeds adds small messages, because the fuzzer's work grows with their size. So
// the signer's key is on P-256, and the recipient's has 1024 bits.
func seeds(f *testing.F) (signer, recipient *identity) {
	f.Helper()
	signer = issue(f, fuzzKey(f), x509.Certificate{SerialNumber: big.NewInt(1), KeyUsage: x509.KeyUsageCRLSign, IsCA: true, BasicConstraintsValid: true})
	weak, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // see above
	if err != nil {
		f.Fatal(err)
	}
	recipient = issue(f, weak, x509.Certificate{})
	signed, err := cms.Sign(&cms.Message{Content: []byte("content"), Certificate: signer.cert}, signer.key)
	if err != nil {
		f.Fatal(err)
	}
	enveloped, err := cms.Encrypt([]byte("content"), recipient.cert, cms.AES128CBC)
	if err != nil {
		f.Fatal(err)
	}
	bag, err := cms.Bag([]*x509.Certificate{signer.cert}, crl(f, signer))
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range []string{
		"certmonger-request", "micromdm-des-reply", "micromdm-refusal-reply", "step-ca-bag", "step-ca-reply",
		"openssl-signed", "openssl-encrypted", "openssl-oaep", "openssl-gcm",
	} {
		f.Add(peerFile(f, name))
	}
	for _, der := range [][]byte{signed, enveloped, bag, signer.cert.Raw} {
		f.Add(der)
		f.Add(indefinite(der))
	}
	return signer, recipient
}

func fuzzKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// crl returns a revocation list that who issued.
func crl(t testing.TB, who *identity) *x509.RevocationList {
	t.Helper()
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour),
	}, who.cert, who.key)
	if err != nil {
		t.Fatal(err)
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestCRLs(t *testing.T) {
	who := issue(t, fuzzKey(t), x509.Certificate{SerialNumber: big.NewInt(1), KeyUsage: x509.KeyUsageCRLSign, IsCA: true, BasicConstraintsValid: true})
	list := crl(t, who)
	many := make([]*x509.RevocationList, 17)
	for i := range many {
		many[i] = list
	}
	for name, tt := range map[string]struct {
		certs []*x509.Certificate
		lists []*x509.RevocationList
		want  int
	}{
		"one":                {nil, many[:1], 1},
		"with a certificate": {[]*x509.Certificate{who.cert}, many[:2], 2},
		"none":               {[]*x509.Certificate{who.cert}, nil, 0},
		"at the limit":       {nil, many[:16], 16},
		"over the limit":     {nil, many, 0},
		"not a list":         {nil, []*x509.RevocationList{{Raw: who.cert.Raw}}, 0},
		"not a SEQUENCE":     {nil, []*x509.RevocationList{{Raw: []byte{4, 0}}}, 0},
	} {
		der, err := cms.Bag(tt.certs, tt.lists...)
		if err != nil {
			t.Fatal(err)
		}
		got, err := cms.ParseCRLs(der)
		if len(got) != tt.want || (tt.want == 0) != errors.Is(err, cms.ErrMalformed) {
			t.Errorf("%s: %d lists, %v", name, len(got), err)
		}
		if tt.want > 0 && got[0].CheckSignatureFrom(who.cert) != nil {
			t.Errorf("%s: another list", name)
		}
	}
	signed, err := cms.Sign(&cms.Message{Certificate: who.cert}, who.key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cms.ParseCRLs(signed); !errors.Is(err, cms.ErrMalformed) {
		t.Errorf("a bag with a signer: %v", err)
	}
}

// FuzzDER checks that the output of DER is DER, and that rewriting it again does
// not change it.
func FuzzDER(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, ber []byte) {
		der, err := cms.DER(ber)
		if err != nil {
			return
		}
		again, err := cms.DER(der)
		if err != nil || !bytes.Equal(again, der) || (len(der) > 0 && &again[0] != &der[0]) {
			t.Errorf("%x became %x and then %x, %v", ber, der, again, err)
		}
	})
}

// FuzzParse calls every parser, and checks that nothing unsigned passes Verify.
func FuzzParse(f *testing.F) {
	signer, recipient := seeds(f)
	f.Fuzz(func(t *testing.T, ber []byte) {
		if certs, _, err := cms.ParseBag(ber); err == nil && len(certs) == 0 {
			t.Error("a bag without certificates")
		} else if more, _, second := cms.ParseCertificates(ber); err == nil && (second != nil || len(more) != len(certs)) {
			t.Errorf("a bag of %d certificates, or of %d, %v", len(certs), len(more), second)
		}
		if lists, err := cms.ParseCRLs(ber); err == nil && len(lists) == 0 {
			t.Error("a bag without revocation lists")
		}
		if s, err := cms.ParseSigned(ber); err == nil {
			if s.Verify(signer.cert, false) == nil && string(s.Content) != "content" {
				t.Errorf("verified %q", s.Content)
			}
		}
		if e, err := cms.ParseEnveloped(ber); err == nil {
			_, _ = e.Decrypt(recipient.cert, recipient.key.(crypto.Decrypter), true)
		}
		if c, err := cms.ParseCertificate(ber); err == nil && !bytes.Equal(c.Raw, ber) {
			t.Error("another certificate")
		}
	})
}
