package cms_test

import (
	"bytes"
	"crypto/x509"
	"testing"

	"github.com/whiteglove/whiteglove/internal/cms"
)

func seeds(f *testing.F) *identity {
	f.Helper()
	who := rsaIdentity(f)
	signed, err := cms.Sign(&cms.Message{Content: []byte("content"), Certificate: who.cert}, who.key)
	if err != nil {
		f.Fatal(err)
	}
	enveloped, err := cms.Encrypt([]byte("content"), who.cert, cms.AES128CBC)
	if err != nil {
		f.Fatal(err)
	}
	bag, err := cms.Bag([]*x509.Certificate{who.cert})
	if err != nil {
		f.Fatal(err)
	}
	for _, der := range [][]byte{signed, enveloped, bag, who.cert.Raw} {
		f.Add(der)
		f.Add(indefinite(der))
	}
	return who
}

// FuzzDER checks that what was rewritten is DER, and stays as it is.
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

// FuzzParse feeds every parser, and checks that nothing unsigned is verified.
func FuzzParse(f *testing.F) {
	who := seeds(f)
	f.Fuzz(func(t *testing.T, ber []byte) {
		if certs, _, err := cms.ParseBag(ber); err == nil && len(certs) == 0 {
			t.Error("a bag without certificates")
		}
		if s, err := cms.ParseSigned(ber); err == nil {
			if s.Verify(who.cert, false) == nil && string(s.Content) != "content" {
				t.Errorf("verified %q", s.Content)
			}
		}
		if e, err := cms.ParseEnveloped(ber); err == nil {
			_, _ = e.Decrypt(who.cert, rsaKey(), true)
		}
		if c, err := cms.ParseCertificate(ber); err == nil && !bytes.Equal(c.Raw, ber) {
			t.Error("another certificate")
		}
	})
}
