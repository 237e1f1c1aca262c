package cms_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/whiteglove/whiteglove/internal/cms"
)

// The limits of RSA keys are those that are stated, and only RSA keys have them.
func TestCheckKey(t *testing.T) {
	key := func(bits uint, e int) *rsa.PublicKey {
		return &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), int(bits)-1, 1), E: e}
	}
	for name, c := range map[string]struct {
		key any
		ok  bool
	}{
		"nil":                 {nil, true},
		"a nil key":           {(*rsa.PublicKey)(nil), true},
		"no modulus":          {&rsa.PublicKey{E: 65537}, true},
		"P-256":               {&ecdsa.PublicKey{}, true},
		"8192 bits":           {key(8192, 65537), true},
		"8193 bits":           {key(8193, 65537), false},
		"exponent of 32 bits": {key(2048, 1<<32-1), true},
		"exponent of 33 bits": {key(2048, 1<<32), false},
	} {
		if err := cms.CheckKey(c.key); (err == nil) != c.ok || err != nil && !errors.Is(err, cms.ErrKeySize) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An object of the largest size and a tag of the largest number of octets are read.
func TestLimitsOfBER(t *testing.T) {
	largest := append([]byte{4, 0x83, 0x0F, 0xFF, 0xFB}, make([]byte, cms.MaxSize-5)...)
	if der, err := cms.DER(largest); err != nil || len(der) != cms.MaxSize {
		t.Errorf("%d bytes: %v", len(largest), err)
	}
	for _, ber := range [][]byte{append(largest, 0), {0x1F, 0x81, 0x81, 0x81, 0x81, 1, 0}, {0x1F, 0x81, 0x81, 0x81, 0x81}} {
		if _, err := cms.DER(ber); !errors.Is(err, cms.ErrMalformed) {
			t.Errorf("%.8x: %v", ber, err)
		}
	}
	if _, err := cms.DER([]byte{0x1F, 0x81, 0x81, 0x81, 1, 0}); err != nil {
		t.Errorf("a tag of five octets: %v", err)
	}
}

// Of the critical extensions only the authority key identifier loses its mark.
func TestOtherCriticalExtensions(t *testing.T) {
	keyID := pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 35}, Critical: true, Value: []byte{0x30, 3, 0x80, 1, 7}}
	odd := pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}
	for name, list := range map[string][]pkix.Extension{"before": {odd, keyID}, "after": {keyID, odd}} {
		template := x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "w"}, ExtraExtensions: list}
		der, err := x509.CreateCertificate(rand.Reader, &template, &template, rsaKey().Public(), rsaKey())
		if err != nil {
			t.Fatal(err)
		}
		cert, err := cms.ParseCertificate(der)
		if err != nil || !bytes.Equal(cert.AuthorityKeyId, []byte{7}) || len(cert.UnhandledCriticalExtensions) != 1 {
			t.Errorf("%s: %v, %+v", name, err, cert)
		}
		for _, more := range []string{"\x00", "\x30\x00"} {
			if _, err := cms.ParseCertificate(append(bytes.Clone(der), more...)); err == nil {
				t.Errorf("%s, with %x after it: no error", name, more)
			}
		}
	}
}

// Only CA certificates that lead to a root come between, each certificate is checked once
// it leads, and the context is looked at before each check.
func TestLeading(t *testing.T) {
	cert := func(name string, ca bool) *x509.Certificate {
		return &x509.Certificate{Raw: []byte(name), RawSubject: []byte(name), IsCA: ca}
	}
	given, first, second, leaf, stray := cert("given", true), cert("first", true), cert("second", true), cert("leaf", false), cert("stray", true)
	// second leads by first, and leaf by second: each is found in a round of its own.
	needs := map[*x509.Certificate]*x509.Certificate{first: given, second: first, leaf: second}
	with := func(pool *x509.CertPool, c *x509.Certificate) bool {
		same := pool.Clone()
		same.AddCert(c)
		return same.Equal(pool)
	}
	checks := map[*x509.Certificate]int{}
	verify := func(c *x509.Certificate, between *x509.CertPool) error {
		checks[c]++
		if by := needs[c]; by != nil && with(between, by) {
			return nil
		}
		return errors.New("no path")
	}
	between := x509.NewCertPool()
	between.AddCert(given)
	trusted, why, err := cms.Leading(t.Context(), []*x509.Certificate{leaf, stray, second, first}, between, verify)
	if err != nil || why[0] != nil || why[1] == nil || why[2] != nil || why[3] != nil {
		t.Fatal(why, err)
	}
	if !with(trusted, given) || !with(trusted, first) || !with(trusted, second) || with(trusted, leaf) || with(trusted, stray) || with(between, first) {
		t.Error("the pool is not that of the CA certificates that lead")
	}
	if checks[first] != 1 || checks[second] != 2 || checks[leaf] != 3 || checks[stray] != 3 {
		t.Errorf("checks: first %d, second %d, leaf %d, stray %d", checks[first], checks[second], checks[leaf], checks[stray])
	}
	if trusted, why, err := cms.Leading(t.Context(), []*x509.Certificate{first}, nil, verify); err != nil || trusted == nil || why[0] == nil {
		t.Errorf("nothing between: %v, %v", why, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	clear(checks)
	_, _, err = cms.Leading(ctx, []*x509.Certificate{first, second, leaf}, between, func(c *x509.Certificate, between *x509.CertPool) error {
		cancel()
		return verify(c, between)
	})
	if !errors.Is(err, context.Canceled) || len(checks) != 1 {
		t.Errorf("canceled: %v after %d checks", err, len(checks))
	}
}

// A bag without certificates is refused, and one without revocation lists has no field
// for them.
func TestBagWithout(t *testing.T) {
	empty, err := cms.Bag(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := cms.ParseBag(empty); !errors.Is(err, cms.ErrMalformed) {
		t.Errorf("no certificate: %v", err)
	}
	if bytes.Contains(empty, []byte{0xA1, 0}) {
		t.Errorf("an empty field of revocation lists: %x", empty)
	}
}

// A ContentInfo has a type and one content, and nothing else.
func TestContentInfoParts(t *testing.T) {
	good, err := cms.Bag([]*x509.Certificate{{Raw: []byte{0x30, 0}}})
	if err != nil {
		t.Fatal(err)
	}
	var info, oid, explicit cryptobyte.String
	in := cryptobyte.String(good)
	tag := cbasn1.Tag(0).Constructed().ContextSpecific()
	if !in.ReadASN1(&info, cbasn1.SEQUENCE) || !info.ReadASN1Element(&oid, cbasn1.OBJECT_IDENTIFIER) || !info.ReadASN1(&explicit, tag) {
		t.Fatal("not a ContentInfo")
	}
	build := func(content []byte, after ...byte) []byte {
		b := cryptobyte.NewBuilder(nil)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(oid)
			if content != nil {
				b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes(content) })
			}
			b.AddBytes(after)
		})
		return b.BytesOrPanic()
	}
	if !bytes.Equal(build(explicit), good) {
		t.Fatal("the parts are not those of the bag")
	}
	for name, der := range map[string][]byte{
		"no content": build(nil), "another field": build(explicit, 5, 0), "only another field": build(nil, 5, 0), "empty content": build([]byte{}),
		"two contents": build(append(bytes.Clone(explicit), 5, 0)), "content of another type": build([]byte{5, 0}), "empty and another": build([]byte{}, 5, 0),
	} {
		if _, _, err := cms.ParseBag(der); !errors.Is(err, cms.ErrMalformed) || !strings.Contains(err.Error(), "ContentInfo") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Key transport is RSA with PKCS #1 v1.5 and no parameters, or OAEP.
func TestKeyTransport(t *testing.T) {
	who := rsaIdentity(t)
	good, err := cms.Encrypt([]byte("content"), who.cert, cms.AES128CBC)
	if err != nil {
		t.Fatal(err)
	}
	plain := []byte("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00")
	for name, c := range map[string]struct {
		with []byte
		ok   bool
	}{
		"as it is":              {plain, true},
		"with other NULL":       {[]byte("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x30\x00"), false},
		"OAEP, but not in it":   {[]byte("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x07\x30\x00"), false},
		"OAEP with NULL":        {[]byte("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x07\x05\x00"), false},
		"another key transport": {[]byte("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x05\x00"), false},
	} {
		der := bytes.Replace(good, plain, c.with, 1)
		if got, err := cms.Decrypt(der, who.cert, rsaKey()); (err == nil) != c.ok || c.ok && string(got) != "content" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
