package cms_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/whiteglove/whiteglove/internal/cms"
)

// An element is one of DER.
type element struct {
	tag   cbasn1.Tag
	bytes []byte     // its content, if it is primitive
	parts []*element // its content, if it is constructed
}

func parseElements(t testing.TB, der cryptobyte.String) (all []*element) {
	t.Helper()
	for !der.Empty() {
		var content cryptobyte.String
		e := new(element)
		if !der.ReadAnyASN1(&content, &e.tag) {
			t.Fatalf("not DER: %x", der)
		}
		if e.bytes = bytes.Clone(content); e.tag&0x20 != 0 {
			e.bytes, e.parts = nil, parseElements(t, content)
		}
		all = append(all, e)
	}
	return all
}

func (e *element) add(b *cryptobyte.Builder) {
	b.AddASN1(e.tag, func(b *cryptobyte.Builder) {
		b.AddBytes(e.bytes)
		for _, p := range e.parts {
			p.add(b)
		}
	})
}

// changes calls f with each message that lacks one element of der, or has NULL at the
// end of one. The name is such as "without 1.0.2": the third part of the first part of
// the second.
func changes(t testing.TB, der []byte, f func(name string, der []byte)) {
	t.Helper()
	root := &element{parts: parseElements(t, der)}
	report := func(name string) {
		b := cryptobyte.NewBuilder(nil)
		root.parts[0].add(b)
		f(name, b.BytesOrPanic())
	}
	var walk func(e *element, path string)
	walk = func(e *element, path string) {
		for i, p := range e.parts {
			name, whole := strings.TrimPrefix(fmt.Sprint(path, ".", i), "."), e.parts
			e.parts = slices.Delete(slices.Clone(whole), i, i+1)
			report("without " + name)
			e.parts = whole
			if p.tag&0x20 != 0 {
				whole = p.parts
				p.parts = append(slices.Clone(whole), &element{tag: cbasn1.NULL})
				report("longer " + name)
				p.parts = whole
				walk(p, name)
			}
		}
	}
	walk(root.parts[0], "")
}

// Every element of a message is needed, and none is followed by another, except where
// that is said here.
func TestElements(t *testing.T) {
	who := rsaIdentity(t)
	signed, err := cms.Sign(&cms.Message{Content: []byte("content"), Certificate: who.cert}, who.key)
	if err != nil {
		t.Fatal(err)
	}
	enveloped, err := cms.Encrypt([]byte("content"), who.cert, cms.AES128CBC)
	if err != nil {
		t.Fatal(err)
	}
	decrypt := func(der []byte) error {
		got, err := cms.Decrypt(der, who.cert, rsaKey())
		if err == nil && string(got) != "content" {
			err = errors.New("another content")
		}
		return err
	}
	for name, tt := range map[string]struct {
		der  []byte
		read func(der []byte) error
		may  map[string]string // what may be changed, and why
	}{
		"SignedData": {signed, func(der []byte) error { _, err := ours(der, who); return err }, map[string]string{
			"without 1.0.1.0":     "the set of digests is not used",
			"without 1.0.1.0.0":   "the set of digests is not used",
			"without 1.0.1.0.1":   "the set of digests is not used",
			"longer 1.0.1":        "the set of digests is not used",
			"longer 1.0.1.0":      "the set of digests is not used",
			"without 1.0.3":       "certificates are optional",
			"certificates":        "they are only hints",
			"without 1.0.4.0.2.1": "parameters may be absent",
			"without 1.0.4.0.4.1": "parameters may be absent",
		}},
		"EnvelopedData": {enveloped, decrypt, map[string]string{
			"longer 1.0.1":        "other recipients are not looked at",
			"without 1.0.1.0.2.1": "parameters may be absent",
		}},
		"EnvelopedData with OAEP": {withOAEP(t, enveloped), decrypt, map[string]string{
			"longer 1.0.1":                "other recipients are not looked at",
			"without 1.0.1.0.2.1.0.0.1":   "parameters may be absent",
			"without 1.0.1.0.2.1.1.0.1.1": "parameters may be absent",
		}},
	} {
		if err := tt.read(tt.der); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		accepted := make(map[string]bool)
		changes(t, tt.der, func(change string, der []byte) {
			if name == "SignedData" && strings.HasPrefix(strings.Fields(change)[1], "1.0.3.") || change == "longer 1.0.3" {
				change = "certificates"
			}
			if err := tt.read(der); err == nil {
				accepted[change] = true
				if tt.may[change] == "" {
					t.Errorf("%s is read %s", name, change)
				}
			}
		})
		for change := range tt.may {
			if !accepted[change] {
				t.Errorf("%s is not read %s", name, change)
			}
		}
	}
}

// OAEP's mask generation function is MGF1.
func TestOtherMask(t *testing.T) {
	who := rsaIdentity(t)
	enveloped, err := cms.Encrypt([]byte("content"), who.cert, cms.AES128CBC)
	if err != nil {
		t.Fatal(err)
	}
	mgf1 := []byte("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08")
	other := bytes.Clone(mgf1)
	other[8] = 0x7F
	der := bytes.Replace(withOAEP(t, enveloped), mgf1, other, 1)
	if _, err := cms.Decrypt(der, who.cert, rsaKey()); !errors.Is(err, cms.ErrMalformed) {
		t.Errorf("another mask: %v", err)
	}
}

// withOAEP returns an EnvelopedData whose content key is encrypted with OAEP by SHA-256.
func withOAEP(t *testing.T, der []byte) []byte {
	t.Helper()
	root := parseElements(t, der)[0]
	info := root.parts[1].parts[0].parts[1].parts[0]
	wrapped := info.parts[3]
	//lint:ignore SA1019 it is what Encrypt writes
	key, err := rsa.DecryptPKCS1v15(nil, rsaKey(), wrapped.bytes)
	if err != nil {
		t.Fatal(err)
	}
	if wrapped.bytes, err = rsa.EncryptOAEP(sha256.New(), rand.Reader, &rsaKey().PublicKey, key, nil); err != nil {
		t.Fatal(err)
	}
	hash := "\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00"
	info.parts[2] = parseElements(t, cryptobyte.String("\x30\x3c\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x07\x30\x2f\xa0\x0f"+hash+
		"\xa1\x1c\x30\x1a\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08"+hash))[0]
	b := cryptobyte.NewBuilder(nil)
	root.add(b)
	return b.BytesOrPanic()
}

// edited returns a message after f has changed its element at a path.
func edited(t testing.TB, der []byte, f func(e *element), path ...int) []byte {
	t.Helper()
	root := parseElements(t, der)[0]
	e := root
	for _, i := range path {
		e = e.parts[i]
	}
	f(e)
	b := cryptobyte.NewBuilder(nil)
	root.add(b)
	return b.BytesOrPanic()
}

// An initialization vector has the size of a block, and encrypted content whole blocks.
func TestSizes(t *testing.T) {
	who := rsaIdentity(t)
	good, err := cms.Encrypt([]byte("content"), who.cert, cms.AES128CBC)
	if err != nil {
		t.Fatal(err)
	}
	iv, sealed, recipient := []int{1, 0, 2, 1, 1}, []int{1, 0, 2, 2}, []int{1, 0, 1, 0, 1}
	for name, tt := range map[string]struct {
		path []int
		with *element
	}{
		"shorter vector":          {iv, &element{tag: cbasn1.OCTET_STRING, bytes: make([]byte, 15)}},
		"longer vector":           {iv, &element{tag: cbasn1.OCTET_STRING, bytes: make([]byte, 17)}},
		"no content":              {sealed, &element{tag: 0x80}},
		"half a block":            {sealed, &element{tag: 0x80, bytes: make([]byte, 8)}},
		"a block and a half":      {sealed, &element{tag: 0x80, bytes: make([]byte, 24)}},
		"no segments":             {sealed, &element{tag: 0xA0}},
		"a segment that is none":  {sealed, &element{tag: 0xA0, parts: []*element{{tag: cbasn1.INTEGER, bytes: make([]byte, 16)}}}},
		"a recipient of no name":  {recipient, &element{tag: 0x80}},
		"a recipient of one part": {recipient, &element{tag: cbasn1.SEQUENCE, parts: []*element{{tag: cbasn1.SEQUENCE}}}},
	} {
		der := edited(t, good, func(e *element) { *e = *tt.with }, tt.path...)
		if _, err := cms.ParseEnveloped(der); !errors.Is(err, cms.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// In segments, and something after them.
	der := edited(t, good, func(e *element) {
		whole := e.parts[2].bytes
		e.parts[2] = &element{tag: 0xA0, parts: []*element{{tag: cbasn1.OCTET_STRING, bytes: whole[:5]}, {tag: cbasn1.OCTET_STRING, bytes: whole[5:]}}}
	}, 1, 0, 2)
	if got, err := cms.Decrypt(der, who.cert, rsaKey()); err != nil || string(got) != "content" {
		t.Errorf("segments: %q, %v", got, err)
	}
	der = edited(t, der, func(e *element) { e.parts = append(e.parts, &element{tag: cbasn1.NULL}) }, 1, 0, 2)
	if _, err := cms.ParseEnveloped(der); !errors.Is(err, cms.ErrMalformed) {
		t.Errorf("after segments: %v", err)
	}
	// Without recipients it is no EnvelopedData, whoever may read it.
	der = edited(t, good, func(e *element) { e.parts = slices.Delete(e.parts, 1, 2) }, 1, 0)
	if _, err := cms.ParseEnveloped(der); !errors.Is(err, cms.ErrMalformed) {
		t.Errorf("no set of recipients: %v", err)
	}
}

// A content key that is longer than the cipher's is not cut.
func TestLongContentKey(t *testing.T) {
	who := rsaIdentity(t)
	good, err := cms.Encrypt([]byte("content"), who.cert, cms.AES128CBC)
	if err != nil {
		t.Fatal(err)
	}
	key := func(e *element) []byte {
		//lint:ignore SA1019 it is what Encrypt writes
		key, err := rsa.DecryptPKCS1v15(nil, rsaKey(), e.bytes)
		if err != nil {
			t.Fatal(err)
		}
		return append(key, 1, 2, 3)
	}
	der := edited(t, withOAEP(t, good), func(e *element) {
		long := key(parseElements(t, good)[0].parts[1].parts[0].parts[1].parts[0].parts[3])
		if e.bytes, err = rsa.EncryptOAEP(sha256.New(), rand.Reader, &rsaKey().PublicKey, long, nil); err != nil {
			t.Fatal(err)
		}
	}, 1, 0, 1, 0, 3)
	if got, err := cms.Decrypt(der, who.cert, rsaKey()); err == nil && string(got) == "content" {
		t.Errorf("%q", got)
	}
}

// The algorithm of an ECDSA signature is that of the digest.
func TestOtherScheme(t *testing.T) {
	who := ecIdentity(t)
	good, err := cms.Sign(&cms.Message{Content: []byte("content"), Certificate: who.cert}, who.key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ours(good, who); err != nil {
		t.Fatal(err)
	}
	der := edited(t, good, func(e *element) { e.bytes[len(e.bytes)-1]++ }, 1, 0, 4, 0, 4, 0)
	if _, err := ours(der, who); !errors.Is(err, cms.ErrAlgorithm) {
		t.Errorf("ecdsa-with-SHA384: %v", err)
	}
}

// Versions are those of RFC 5652, and none else.
func TestVersions(t *testing.T) {
	who := rsaIdentity(t)
	signed, err := cms.Sign(&cms.Message{Content: []byte("content"), Certificate: who.cert}, who.key)
	if err != nil {
		t.Fatal(err)
	}
	enveloped, err := cms.Encrypt([]byte("content"), who.cert, cms.AES128CBC)
	if err != nil {
		t.Fatal(err)
	}
	at := func(der []byte, path ...int) func(byte) []byte {
		return func(v byte) []byte { return edited(t, der, func(e *element) { e.bytes = []byte{v} }, path...) }
	}
	for name, tt := range map[string]struct {
		set  func(byte) []byte
		read func(der []byte) error
		want []byte
	}{
		"SignedData":            {at(signed, 1, 0, 0), func(der []byte) error { _, err := ours(der, who); return err }, []byte{1, 2, 3, 4, 5}},
		"SignerInfo":            {at(signed, 1, 0, 4, 0, 0), func(der []byte) error { _, err := ours(der, who); return err }, []byte{1, 3}},
		"EnvelopedData":         {at(enveloped, 1, 0, 0), func(der []byte) error { _, err := cms.ParseEnveloped(der); return err }, []byte{0, 1, 2, 3, 4}},
		"KeyTransRecipientInfo": {at(enveloped, 1, 0, 1, 0, 0), func(der []byte) error { _, err := cms.ParseEnveloped(der); return err }, []byte{0, 2}},
	} {
		for _, v := range []byte{0, 1, 2, 3, 4, 5, 6, 0x7F, 0xFF} {
			if err := tt.read(tt.set(v)); (err == nil) != bytes.Contains(tt.want, []byte{v}) {
				t.Errorf("%s, version %d: %v", name, int8(v), err)
			}
		}
	}
}
