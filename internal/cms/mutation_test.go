package cms_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"go.mozilla.org/pkcs7"

	"github.com/whiteglove/whiteglove/internal/cms"
)

// theirs reads and verifies a SignedData with the other library, which may panic.
func theirs(der []byte, who *identity) (content []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			content, err = nil, fmt.Errorf("panic: %v", v)
		}
	}()
	p7, err := pkcs7.Parse(der)
	if err != nil {
		return nil, err
	}
	if only := p7.GetOnlySigner(); only == nil {
		return nil, errors.New("not one signer")
	} else if !only.Equal(who.cert) {
		return nil, errors.New("another signer")
	}
	return p7.Content, p7.Verify()
}

func ours(der []byte, who *identity) ([]byte, error) {
	s, err := cms.ParseSigned(der)
	if err != nil {
		return nil, err
	}
	return s.Content, s.Verify(who.cert, true)
}

// TestDifferences checks known inputs on which the two libraries differ, with the
// reason.
func TestDifferences(t *testing.T) {
	who, stranger := rsaIdentity(t), ecIdentity(t)
	sign := func(m cms.Message) []byte {
		m.Certificate = who.cert
		der, err := cms.Sign(&m, who.key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	content := []byte("content")
	good := sign(cms.Message{Content: content})
	attribute := cms.Attribute{Type: asn1.ObjectIdentifier{1, 2, 3}, Value: []byte{5, 0}}
	contentType := append([]byte{6, 9}, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 9)
	odd := &x509.Certificate{Raw: []byte{0x30, 3, 2, 1, 1}}
	for name, tt := range map[string]struct {
		der    []byte
		ours   bool
		theirs bool
		why    string
	}{
		"plain":           {good, true, true, ""},
		"no content":      {sign(cms.Message{}), true, true, ""},
		"with attributes": {sign(cms.Message{Content: content, Attributes: []cms.Attribute{attribute}}), true, true, ""},
		"another certificate too": {
			sign(cms.Message{Content: content, Extra: []*x509.Certificate{stranger.cert}}), true, true, "",
		},
		"SHA-1": {sign(cms.Message{Content: content, Hash: crypto.SHA1}), true, true, ""},
		"trailing byte": {
			append(bytes.Clone(good), 0), false, true, "they ignore bytes after the object",
		},
		"two content types": {
			sign(cms.Message{Content: content, Attributes: []cms.Attribute{{
				Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}, Value: append(contentType, 7, 2),
			}}}), false, false, "they cannot read the second one either",
		},
		"attribute twice": {
			sign(cms.Message{Content: content, Attributes: []cms.Attribute{attribute, attribute}}), false, true,
			"they use the first of several attributes of a type",
		},
		"attribute of two values": {
			sign(cms.Message{Content: content, Attributes: []cms.Attribute{{Type: attribute.Type, Value: []byte{5, 0, 5, 0}}}}), false, true,
			"they use the first of several values",
		},
		"content type of another": {
			replaceOID(t, who, good), false, true, "they ignore contentType",
		},
		"a certificate that cannot be parsed": {
			sign(cms.Message{Content: content, Extra: []*x509.Certificate{odd}}), true, false,
			"they refuse the message if one certificate is odd",
		},
		"content in segments": {
			indefinite(sign(cms.Message{Content: bytes.Repeat(content, 100)})), true, false, "they keep only the first segment",
		},
		"nothing signed": {mustBag(t, who.cert), false, false, "no signer"},
	} {
		got, err := ours(tt.der, who)
		if (err == nil) != tt.ours {
			t.Errorf("%s: we say %v", name, err)
		}
		other, failed := theirs(tt.der, who)
		if (failed == nil) != tt.theirs {
			t.Errorf("%s: they say %v, so this no longer holds: %s", name, failed, tt.why)
		}
		if err == nil && failed == nil && !bytes.Equal(got, other) {
			t.Errorf("%s: we read %q, they %q", name, got, other)
		}
	}
}

func mustBag(t *testing.T, certs ...*x509.Certificate) []byte {
	t.Helper()
	der, err := cms.Bag(certs)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// replaceOID returns a message whose signed attribute contentType differs from the
// type of the content.
func replaceOID(t *testing.T, who *identity, good []byte) []byte {
	t.Helper()
	s, err := cms.ParseSigned(good)
	if err != nil {
		t.Fatal(err)
	}
	id := []byte{0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 9, 3}
	set := attributesOf(t, good)
	other := bytes.Clone(set)
	at := bytes.Index(other, id) + len(id) + 4
	other[at+8] ^= 3 // data becomes signedData
	digest := crypto.SHA256.New()
	other[0] = 0x31
	digest.Write(other)
	other[0] = 0xA0
	signature, err := who.key.Sign(nil, digest.Sum(nil), crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	der := bytes.Replace(good, set, other, 1)
	copy(der[len(der)-len(signature):], signature)
	if bytes.Equal(der, good) || len(s.Attributes) != 2 {
		t.Fatal("nothing was replaced")
	}
	return der
}

// attributesOf returns the signed attributes of a message, with their header.
func attributesOf(t *testing.T, der []byte) []byte {
	t.Helper()
	id := []byte{0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 9, 3}
	at := bytes.Index(der, id)
	for begin := at; begin > 0; begin-- {
		if der[begin] == 0xA0 && int(der[begin+1]) > at-begin && der[begin+1] < 0x80 {
			return der[begin : begin+2+int(der[begin+1])]
		}
	}
	t.Fatal("no signed attributes")
	return nil
}

// reason explains, from the two errors and the message, why one library accepts a
// changed message and the other does not. It returns "" if it knows no reason.
func reason(der []byte, err, failed error) string {
	s, _ := cms.ParseSigned(der)
	text := fmt.Sprint(err, failed)
	for _, r := range []struct {
		holds bool
		text  string
	}{
		{strings.Contains(text, "panic"), "they panic"},
		{err != nil && strings.Contains(text, "after the object"), "they ignore bytes after the object"},
		{err != nil && strings.Contains(text, "ContentInfo"), "they ignore further elements in ContentInfo"},
		{err != nil && strings.Contains(text, "SignedData"), "they accept any version, and elements that are not sets"},
		{err != nil && strings.Contains(text, "SignerInfo"), "they accept any version of SignerInfo"},
		{err != nil && strings.Contains(text, "parameters"), "they ignore the parameters of an algorithm"},
		{err != nil && strings.Contains(text, "algorithm not permitted"), "they take the digest from the signature's algorithm"},
		{err != nil && strings.Contains(text, "more than one"), "they use the first"},
		{failed != nil && s != nil && len(s.Bad) > 0, "they refuse the message if one certificate is odd"},
		{failed != nil && s != nil && !slices.ContainsFunc(s.Certificates, s.SignedBy), "the signer's certificate in the message, which we do not use, is changed"},
		{failed != nil && strings.Contains(text, "another signer"), "the signer's certificate in the message, which we do not use, is changed"},
		{failed != nil && strings.Contains(text, "x509"), "they refuse the message if one certificate is odd"},
		{failed != nil && (strings.Contains(text, "asn1") || strings.Contains(text, "ber2der")), "encoding/asn1 is stricter with unsigned parts"},
		{failed != nil && strings.Contains(text, "not one signer"), "they skip a signer that they cannot parse"},
		{err != nil && strings.Contains(text, "is not data"), "they accept content of any type"},
		{err != nil && strings.Contains(text, "encapsulated content"), "they accept content that is not an OCTET STRING"},
		{
			err != nil && (strings.Contains(text, "truncated") || strings.Contains(text, "primitive type") ||
				strings.Contains(text, "end-of-contents") || strings.Contains(text, "bad length") || strings.Contains(text, "tag too long")),
			"they do not parse elements that they do not use",
		},
	} {
		if r.holds {
			return r.text
		}
	}
	return ""
}

// TestDifferentialCampaign changes messages and reads each result with both
// libraries. If both accept it, they must read the same; if only one does, the
// reason must be known.
func TestDifferentialCampaign(t *testing.T) {
	who := issue(t, fuzzKey(t), x509.Certificate{})
	var bases [][]byte
	for _, m := range []cms.Message{
		{Content: []byte("content")},
		{},
		{Content: []byte("content"), Attributes: []cms.Attribute{{Type: asn1.ObjectIdentifier{1, 2, 3}, Value: []byte{5, 0}}}},
	} {
		m.Certificate = who.cert
		der, err := cms.Sign(&m, who.key)
		if err != nil {
			t.Fatal(err)
		}
		bases = append(bases, der)
	}
	random := rand.New(rand.NewPCG(5652, 1))
	counts := make(map[string]int)
	for i := range 10000 {
		der := bytes.Clone(bases[i%len(bases)])
		if i%5 == 0 {
			der = slices.Insert(der, random.IntN(len(der)+1), byte(random.Uint32()))
		} else {
			der[random.IntN(len(der))] ^= 1 << random.IntN(8)
		}
		got, err := ours(der, who)
		other, failed := theirs(der, who)
		switch {
		case err == nil && failed == nil:
			counts["both take it"]++
			if !bytes.Equal(got, other) {
				t.Fatalf("we read %q, they %q: %x", got, other, der)
			}
		case err != nil && failed != nil:
			counts["neither takes it"]++
		default:
			why := reason(der, err, failed)
			if why == "" {
				t.Fatalf("case %d: we say %v, they say %v: %x", i, err, failed, der)
			}
			counts[why]++
		}
	}
	t.Logf("%v", counts)
	if counts["both take it"] == 0 || counts["neither takes it"] == 0 {
		t.Errorf("got %v", counts)
	}
}
