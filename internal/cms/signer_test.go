package cms_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/whiteglove/whiteglove/internal/cms"
)

// resign changes the signed attributes of a message, signs them again and repeats
// the SignerInfo n times. change gets and returns the contents of the SET.
func resign(t *testing.T, der []byte, who *identity, n int, change func([]byte) []byte) []byte {
	t.Helper()
	tag0 := cbasn1.Tag(0).Constructed().ContextSpecific()
	in := cryptobyte.String(der)
	var outer, explicit, body, head, signers, info, infoHead, attributes, scheme cryptobyte.String
	var id asn1.ObjectIdentifier
	if !in.ReadASN1(&outer, cbasn1.SEQUENCE) || !outer.ReadASN1ObjectIdentifier(&id) || !outer.ReadASN1(&explicit, tag0) ||
		!explicit.ReadASN1(&body, cbasn1.SEQUENCE) {
		t.Fatal("not a SignedData")
	}
	head = body
	for !body.PeekASN1Tag(tag0) {
		body.ReadAnyASN1Element(new(cryptobyte.String), new(cbasn1.Tag))
	}
	if !body.SkipASN1(tag0) {
		t.Fatal("no certificates")
	}
	head = head[:len(head)-len(body)]
	if !body.ReadASN1(&signers, cbasn1.SET) || !signers.ReadASN1(&info, cbasn1.SEQUENCE) {
		t.Fatal("no signer")
	}
	infoHead = info
	info.SkipASN1(cbasn1.INTEGER)
	info.SkipASN1(cbasn1.SEQUENCE)
	info.SkipASN1(cbasn1.SEQUENCE)
	infoHead = infoHead[:len(infoHead)-len(info)]
	if !info.ReadASN1(&attributes, tag0) || !info.ReadASN1Element(&scheme, cbasn1.SEQUENCE) {
		t.Fatal("no attributes")
	}
	changed := change(bytes.Clone(attributes))
	set := cryptobyte.NewBuilder(nil)
	set.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(changed) })
	digest := sha256.Sum256(set.BytesOrPanic())
	signature, err := who.key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(id)
		b.AddASN1(tag0, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddBytes(head)
				b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
					for range n {
						b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
							b.AddBytes(infoHead)
							b.AddASN1(tag0, func(b *cryptobyte.Builder) { b.AddBytes(changed) })
							b.AddBytes(scheme)
							b.AddASN1OctetString(signature)
						})
					}
				})
			})
		})
	})
	return b.BytesOrPanic()
}

// TestSignerIsChecked checks messages that must be refused although their
// signatures are good.
func TestSignerIsChecked(t *testing.T) {
	who := rsaIdentity(t)
	der, err := cms.Sign(&cms.Message{Content: []byte("content"), Certificate: who.cert}, who.key)
	if err != nil {
		t.Fatal(err)
	}
	same := func(b []byte) []byte { return b }
	replace := func(from, to string) func([]byte) []byte {
		return func(b []byte) []byte {
			if !bytes.Contains(b, []byte(from)) {
				t.Errorf("no %x", from)
			}
			return bytes.Replace(b, []byte(from), []byte(to), 1)
		}
	}
	attribute := func(b []byte) []byte { return b[:2+int(b[1])] } // the first one, which is contentType
	for name, tt := range map[string]struct {
		n      int
		change func([]byte) []byte
		good   bool
	}{
		"unchanged":           {1, same, true},
		"no signer":           {0, same, false},
		"two signers":         {2, same, false},
		"no attributes":       {1, func([]byte) []byte { return nil }, false},
		"contentType alone":   {1, attribute, false},
		"messageDigest alone": {1, func(b []byte) []byte { return b[len(attribute(b)):] }, false},
		"contentType twice":   {1, func(b []byte) []byte { return append(attribute(bytes.Clone(b)), b...) }, false},
		"another contentType": {1, replace("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01", "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"), false},
		"contentType, and more in it": {1, replace("\x30\x18\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03\x31\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01",
			"\x30\x1a\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03\x31\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01\x05\x00"), false},
		"contentType in octets": {1, replace("\x31\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01", "\x31\x0b\x04\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"), false},
		"messageDigest as text": {1, replace("\x31\x22\x04\x20", "\x31\x22\x0c\x20"), false},
		"no value":              {1, func(b []byte) []byte { return append(b, "\x30\x06\x06\x02\x2a\x03\x31\x00"...) }, false},
		"two values":            {1, func(b []byte) []byte { return append(b, "\x30\x0a\x06\x02\x2a\x03\x31\x04\x05\x00\x05\x00"...) }, false},
		"one more":              {1, func(b []byte) []byte { return append(b, "\x30\x08\x06\x02\x2a\x03\x31\x02\x05\x00"...) }, true},
		"65 more": {1, func(b []byte) []byte {
			for i := range byte(65) {
				b = append(b, 0x30, 8, 6, 2, 0x2a, i, 0x31, 2, 5, 0)
			}
			return b
		}, false},
	} {
		s, err := cms.ParseSigned(resign(t, der, who, tt.n, tt.change))
		if err == nil {
			err = s.Verify(who.cert, false)
		}
		if tt.good != (err == nil) || (err != nil && !errors.Is(err, cms.ErrMalformed)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
