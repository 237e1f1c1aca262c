package pkimsg_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/pkimsg"
)

func identity(t testing.TB) (crypto.Signer, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, cert
}

func TestRoundTrip(t *testing.T) {
	key, cert := identity(t)
	nonce, other := bytes.Repeat([]byte{1}, 16), bytes.Repeat([]byte{2}, 16)
	extra := []cms.Attribute{{Type: asn1.ObjectIdentifier{1, 2, 3}, Value: []byte{5, 0}}}
	for name, info := range map[string]pkimsg.Info{
		"request":   {Type: pkimsg.PKCSReq, TransactionID: "a b/c=?", SenderNonce: nonce, Status: pkimsg.None, FailInfo: pkimsg.None, Other: extra},
		"answer":    {Type: pkimsg.ChallengeAnswer, TransactionID: "1", SenderNonce: nonce, Status: pkimsg.None, FailInfo: pkimsg.None},
		"success":   {Type: pkimsg.CertRep, TransactionID: "1", SenderNonce: nonce, RecipientNonce: other, Status: pkimsg.Success, FailInfo: pkimsg.None},
		"challenge": {Type: pkimsg.CertRep, TransactionID: "1", RecipientNonce: other, Status: pkimsg.Challenge, FailInfo: pkimsg.None},
		"failure":   {Type: pkimsg.CertRep, TransactionID: "1", RecipientNonce: other, Status: pkimsg.Failure, FailInfo: 0, FailText: "zu spät"},
	} {
		for _, envelope := range [][]byte{nil, []byte("envelope")} {
			der, err := pkimsg.Sign(&info, envelope, crypto.SHA256, key, cert, nil)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			m, err := pkimsg.Parse(der)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if !reflect.DeepEqual(m.Info, info) || !bytes.Equal(m.Envelope(), envelope) {
				t.Errorf("%s: got %+v, want %+v", name, m.Info, info)
			}
			if err := m.Signed.Verify(cert, false); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	long := pkimsg.Info{
		Type: pkimsg.CertRep, TransactionID: "1", RecipientNonce: nonce, Status: pkimsg.Failure, FailInfo: 2,
		FailText: "x" + strings.Repeat("ä", 3000),
	}
	der, err := pkimsg.Sign(&long, []byte{}, crypto.SHA256, key, cert, nil)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := pkimsg.Parse(der); err != nil || len(m.FailText) != 4095 || m.Envelope() != nil {
		t.Errorf("long text, empty content: %v", err)
	}
	for _, id := range []string{"", "a_b", "ä", strings.Repeat("a", 257)} {
		if _, err := pkimsg.Sign(&pkimsg.Info{TransactionID: id}, nil, crypto.SHA256, key, cert, nil); !errors.Is(err, cms.ErrMalformed) {
			t.Errorf("transaction %q: %v", id, err)
		}
	}
}

func TestAttributes(t *testing.T) {
	key, cert := identity(t)
	oid := func(last int) asn1.ObjectIdentifier {
		return asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, last}
	}
	text := asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 24, 1}
	windows := asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 21, 33}
	printable := func(s string) []byte { return append([]byte{19, byte(len(s))}, s...) }
	octets := func(n int) []byte { return append([]byte{4, byte(n)}, make([]byte, n)...) }
	base := func() map[string]cms.Attribute {
		return map[string]cms.Attribute{
			"type":   {Type: oid(2), Value: printable("3")},
			"status": {Type: oid(3), Value: printable("2")},
			"reason": {Type: oid(4), Value: printable("2")},
			"nonce":  {Type: oid(6), Value: octets(16)},
			"id":     {Type: oid(7), Value: printable("77")},
		}
	}
	for name, tt := range map[string]struct {
		key   string
		value cms.Attribute
		good  bool
	}{
		"right":               {"none", cms.Attribute{Type: asn1.ObjectIdentifier{1, 2}, Value: []byte{5, 0}}, true},
		"PrintableString":     {"text", cms.Attribute{Type: text, Value: printable("tpm-revoked")}, true},
		"UTF8String":          {"text", cms.Attribute{Type: text, Value: append([]byte{12, 11}, "tpm-revoked"...)}, true},
		"no UTF-8":            {"text", cms.Attribute{Type: text, Value: []byte{12, 1, 0xff}}, false},
		"text in octets":      {"text", cms.Attribute{Type: text, Value: octets(3)}, false},
		"INTEGER":             {"code", cms.Attribute{Type: windows, Value: []byte{2, 4, 0x80, 0x09, 0x48, 0x1b}}, true},
		"INTEGER, unsigned":   {"code", cms.Attribute{Type: windows, Value: []byte{2, 5, 0, 0x80, 0x09, 0x48, 0x1b}}, true},
		"code of other form":  {"code", cms.Attribute{Type: windows, Value: octets(4)}, true},
		"signed number":       {"type", cms.Attribute{Type: oid(2), Value: printable("+3")}, false},
		"leading zero":        {"type", cms.Attribute{Type: oid(2), Value: printable("03")}, false},
		"number with a tail":  {"type", cms.Attribute{Type: oid(2), Value: printable("3x")}, false},
		"number as INTEGER":   {"type", cms.Attribute{Type: oid(2), Value: []byte{2, 1, 3}}, false},
		"number zero":         {"type", cms.Attribute{Type: oid(2), Value: printable("0")}, false},
		"large number":        {"status", cms.Attribute{Type: oid(3), Value: printable("4294967296")}, false},
		"empty number":        {"reason", cms.Attribute{Type: oid(4), Value: printable("")}, false},
		"empty nonce":         {"nonce", cms.Attribute{Type: oid(6), Value: octets(0)}, false},
		"long nonce":          {"nonce", cms.Attribute{Type: oid(6), Value: octets(65)}, false},
		"nonce as a string":   {"nonce", cms.Attribute{Type: oid(6), Value: printable("1234567890123456")}, false},
		"transaction as UTF8": {"id", cms.Attribute{Type: oid(7), Value: []byte{12, 1, 'a'}}, false},
		"empty transaction":   {"id", cms.Attribute{Type: oid(7), Value: printable("")}, false},
		"underscore":          {"id", cms.Attribute{Type: oid(7), Value: printable("_")}, false},
		"request, no nonce":   {"type", cms.Attribute{Type: oid(2), Value: printable("19")}, false},
	} {
		m := &cms.Message{Certificate: cert}
		attributes := base()
		attributes[tt.key] = tt.value
		for _, a := range attributes {
			m.Attributes = append(m.Attributes, a)
		}
		der, err := cms.Sign(m, key)
		if err != nil {
			t.Fatal(err)
		}
		got, err := pkimsg.Parse(der)
		switch {
		case !tt.good && !errors.Is(err, cms.ErrMalformed):
			t.Errorf("%s: %v", name, err)
		case tt.good && err != nil:
			t.Errorf("%s: %v", name, err)
		case tt.good && tt.key == "text" && got.FailText != "tpm-revoked":
			t.Errorf("%s: text %q", name, got.FailText)
		case strings.HasPrefix(name, "INTEGER") && got.Code != 0x8009481b:
			t.Errorf("%s: code %#x", name, got.Code)
		}
	}
}

func TestParseCSR(t *testing.T) {
	key, _ := identity(t)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := pkimsg.ParseCSR(der)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(csr.SPKI, spki) || !bytes.Equal(csr.Subject, []byte{0x30, 0}) || !key.Public().(*ecdsa.PublicKey).Equal(csr.Key) {
		t.Errorf("got %+v", csr)
	}
	for i := range der {
		if _, err := pkimsg.ParseCSR(der[:i]); !errors.Is(err, cms.ErrMalformed) {
			t.Errorf("the first %d bytes: %v", i, err)
		}
	}
	if _, err := pkimsg.ParseCSR(append(der, 0)); !errors.Is(err, cms.ErrMalformed) {
		t.Errorf("with a tail: %v", err)
	}
}

// FuzzParse checks that a message that was read can be written and read again.
func FuzzParse(f *testing.F) {
	key, cert := identity(f)
	nonce := make([]byte, 16)
	for _, info := range []*pkimsg.Info{
		{Type: pkimsg.PKCSReq, TransactionID: "1", SenderNonce: nonce, Status: pkimsg.None, FailInfo: pkimsg.None},
		{Type: pkimsg.CertRep, TransactionID: "1", RecipientNonce: nonce, Status: pkimsg.Failure, FailInfo: 2, FailText: "text"},
	} {
		der, err := pkimsg.Sign(info, nil, crypto.SHA256, key, cert, nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(csr)
	f.Fuzz(func(t *testing.T, der []byte) {
		if csr, err := pkimsg.ParseCSR(der); err == nil && csr.Key == nil {
			t.Error("a CSR without a key")
		}
		m, err := pkimsg.Parse(der)
		if err != nil {
			return
		}
		again, err := pkimsg.Sign(&m.Info, m.Envelope(), crypto.SHA256, key, cert, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := pkimsg.Parse(again)
		if err != nil || !reflect.DeepEqual(got.Info, m.Info) {
			t.Errorf("%+v became %+v, %v", m.Info, got, err)
		}
	})
}
