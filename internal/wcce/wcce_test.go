package wcce_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/whiteglove/whiteglove/internal/wcce"
)

// spki returns the SubjectPublicKeyInfo of the base point of P-256.
func spki(t testing.TB) []byte {
	t.Helper()
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), append(make([]byte, 31), 1))
	if err != nil {
		t.Fatal(err)
	}
	out, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func request(t testing.TB) []byte {
	t.Helper()
	key := spki(t)
	client := wcce.Client{OSVersion: "10.0.19043.2", Machine: "PC", User: `WORKGROUP\PC$`, Process: "taskhostw.exe", Provider: "Microsoft Platform Crypto Provider"}
	attrs, err := client.Attributes([]byte("signer"))
	if err != nil {
		t.Fatal(err)
	}
	device := wcce.Device{Manufacturer: "id:4E544300", Model: "NPCT75x", Version: "id:00070002"}
	san, err := device.AltName(true)
	if err != nil {
		t.Fatal(err)
	}
	ski, err := wcce.SubjectKeyID(key)
	if err != nil {
		t.Fatal(err)
	}
	exts, err := wcce.ExtensionsAttribute([]pkix.Extension{san, wcce.KeyAffinity(), ski})
	if err != nil {
		t.Fatal(err)
	}
	attrs = append(attrs, exts, wcce.OctetAttribute(wcce.OIDAttestation, []byte("kast")), wcce.EKInfoAttribute([]byte{0x30, 0x00}))
	csr, err := wcce.MarshalCSR(key, attrs)
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

func TestCSR(t *testing.T) {
	raw := request(t)
	csr, err := wcce.ParseCSR(raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := csr.VerifyNull(); err != nil {
		t.Error(err)
	}
	if !csr.EmptySubject() || !bytes.Equal(csr.PublicKey, spki(t)) {
		t.Error("subject or key differs")
	}
	want := []string{
		"1.3.6.1.4.1.311.13.2.3", "1.3.6.1.4.1.311.21.42", "1.3.6.1.4.1.311.21.20", "1.3.6.1.4.1.311.21.25",
		"1.3.6.1.4.1.311.13.2.2", "1.2.840.113549.1.9.14", "1.3.6.1.4.1.311.21.24", "1.3.6.1.4.1.311.21.23",
	}
	for i, a := range csr.Attributes {
		if i >= len(want) || a.Type.String() != want[i] {
			t.Errorf("attribute %d is %v", i+1, a.Type)
		}
	}
	sum := sha1.Sum([]byte("signer"))
	if got, err := csr.Octets(wcce.OIDSignerHash); err != nil || !bytes.Equal(got, sum[:]) {
		t.Errorf("signer hash %x, %v", got, err)
	}
	exts, err := csr.Extensions()
	if err != nil || len(exts) != 3 {
		t.Fatalf("extensions %v, %v", exts, err)
	}
	// crypto/x509 reads the same bytes, as far as it can.
	std, err := x509.ParseCertificateRequest(raw)
	if err != nil {
		t.Fatal(err)
	}
	if len(std.Extensions) != 3 || !std.Extensions[0].Id.Equal(wcce.OIDSubjectAltName) {
		t.Errorf("crypto/x509 sees %v", std.Extensions)
	}
}

func TestNullSignature(t *testing.T) {
	raw := request(t)
	t.Run("changed info", func(t *testing.T) {
		other := bytes.Replace(raw, []byte("10.0.19043.2"), []byte("10.0.19043.3"), 1)
		csr, err := wcce.ParseCSR(other)
		if err != nil {
			t.Fatal(err)
		}
		if err := csr.VerifyNull(); !errors.Is(err, wcce.ErrSignature) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("another algorithm", func(t *testing.T) {
		csr, err := wcce.ParseCSR(raw)
		if err != nil {
			t.Fatal(err)
		}
		csr.Algorithm = []byte{0x30, 0x00}
		if err := csr.VerifyNull(); !errors.Is(err, wcce.ErrSignature) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("digest is of the info", func(t *testing.T) {
		csr, _ := wcce.ParseCSR(raw)
		sum := sha256.Sum256(csr.Info)
		if !bytes.Equal(sum[:], csr.Signature) {
			t.Error("signature is not the digest")
		}
	})
}

func TestCSRValue(t *testing.T) {
	double := wcce.OctetAttribute(wcce.OIDAttestation, []byte("a"))
	raw, err := wcce.MarshalCSR(spki(t), []wcce.Attribute{double, double, wcce.EKInfoAttribute([]byte{0x30, 0x00})})
	if err != nil {
		t.Fatal(err)
	}
	csr, err := wcce.ParseCSR(raw)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := csr.Value(wcce.OIDAttestation); !errors.Is(err, wcce.ErrFormat) {
		t.Errorf("a double attribute: %v", err)
	}
	if _, err := csr.Value(wcce.OIDKSPName); !errors.Is(err, wcce.ErrFormat) {
		t.Errorf("a missing attribute: %v", err)
	}
	if _, err := csr.Octets(wcce.OIDEKInfo); !errors.Is(err, wcce.ErrFormat) {
		t.Errorf("no octet string: %v", err)
	}
	if _, err := wcce.MarshalCSR(spki(t), []wcce.Attribute{{Type: wcce.OIDEKInfo}}); err == nil {
		t.Error("an attribute without a value is marshalled")
	}
	if _, err := (&wcce.Client{OSVersion: "é"}).Attributes(nil); err == nil {
		t.Error("a version beyond ASCII is marshalled")
	}
}

func TestAltName(t *testing.T) {
	want := wcce.Device{Manufacturer: "id:4E544300", Model: "NPCT75x", Version: "id:00070002"}
	one, err := want.AltName(true)
	if err != nil {
		t.Fatal(err)
	}
	// Three relative names, as in most EK certificates; made by hand.
	three := unhex(t, "304aa4483046"+
		"31163014060567810502010c0b69643a3445353434333030"+
		"31123010060567810502020c074e504354373578"+
		"31163014060567810502030c0b69643a3030303730303032")
	three[1], three[3], three[5] = byte(len(three)-2), byte(len(three)-4), byte(len(three)-6)
	for name, value := range map[string][]byte{"one": one.Value, "three": three} {
		got, err := wcce.ParseAltName(value)
		if err != nil || *got != want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		again, err := want.AltNameLike(value, true)
		if err != nil || !bytes.Equal(again.Value, value) {
			t.Errorf("in the form of %s: %x, %v", name, again.Value, err)
		}
	}
	// This value is from a certificate of the real service.
	genuine := unhex(t, "3044a4423040313e3010060567810502020c074e5043543735783014060567810502010c"+
		"0b69643a34453534343330303014060567810502030c0b69643a3030303730303032")
	if !bytes.Equal(one.Value, genuine) {
		t.Errorf("got %x", one.Value)
	}
	for _, part := range []wcce.Device{{Manufacturer: "id:4E544300"}, {Model: "NPCT75x", Version: "id:13"}} {
		ext, err := part.AltName(true)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := wcce.ParseAltName(ext.Value); err != nil || *got != part {
			t.Errorf("in part: %+v, %v", got, err)
		}
	}
	if _, err := new(wcce.Device).AltName(true); err == nil {
		t.Error("nothing has a name")
	}
	for name, bad := range map[string][]byte{
		"empty":    {},
		"no names": {0x30, 0x00},
		"another":  unhex(t, "3010a40e300c310a300806035504030c0161"), // CN=a
		"trailing": append(bytes.Clone(one.Value), 0),
		"twice":    append([]byte{0x30, byte(2 * (len(one.Value) - 2))}, append(bytes.Clone(one.Value[2:]), bytes.Replace(one.Value[2:], []byte("75x"), []byte("75y"), 1)...)...),
	} {
		if d, err := wcce.ParseAltName(bad); !errors.Is(err, wcce.ErrFormat) {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
}

func TestEKInfo(t *testing.T) {
	key := spki(t)
	cert := []byte{0x30, 0x03, 0x02, 0x01, 0x05}
	for n := range 5 {
		want := wcce.EKInfo{PublicKey: key}
		for range n {
			want.Certificates = append(want.Certificates, cert)
		}
		raw, err := want.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		got, err := wcce.ParseEKInfo(raw)
		if err != nil || !bytes.Equal(got.PublicKey, key) || len(got.Certificates) != n {
			t.Errorf("%d certificates: %+v, %v", n, got, err)
		}
	}
	if _, err := (&wcce.EKInfo{PublicKey: key, Certificates: make([][]byte, 5)}).Marshal(); err == nil {
		t.Error("five certificates are marshalled")
	}
	for name, bad := range map[string]string{
		"empty": "", "no certificate": "30023000", "after NULL": "3006300005003000", "NULL with contents": "30053000050100",
		"six": "300c300030003000300030003000", "trailing": "3004300005000000",
	} {
		if _, err := wcce.ParseEKInfo(unhex(t, bad)); !errors.Is(err, wcce.ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKAST(t *testing.T) {
	want := wcce.KAST{IDBinding: []byte{1, 2}, KeyAttestation: []byte{3}, AIKOpaque: []byte{4, 5, 6}}
	raw := want.Marshal()
	if known := unhex(t, "4b4153540100000002000000"+"1c000000"+"020000000100000003000000"+"010203040506"); !bytes.Equal(raw, known) {
		t.Errorf("got %x", raw)
	}
	got, err := wcce.ParseKAST(raw)
	if err != nil || got.Platform != 2 || !bytes.Equal(got.IDBinding, want.IDBinding) ||
		!bytes.Equal(got.KeyAttestation, want.KeyAttestation) || !bytes.Equal(got.AIKOpaque, want.AIKOpaque) {
		t.Errorf("got %+v, %v", got, err)
	}
	for name, change := range map[string]func([]byte) []byte{
		"short":      func(b []byte) []byte { return b[:27] },
		"magic":      func(b []byte) []byte { b[0]++; return b },
		"version":    func(b []byte) []byte { b[4]++; return b },
		"platform":   func(b []byte) []byte { b[8] = 3; return b },
		"header":     func(b []byte) []byte { b[12]++; return b },
		"length":     func(b []byte) []byte { b[16]++; return b },
		"big length": func(b []byte) []byte { b[19] = 0xff; return b },
		"trailing":   func(b []byte) []byte { return append(b, 0) },
	} {
		if _, err := wcce.ParseKAST(change(bytes.Clone(raw))); !errors.Is(err, wcce.ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestIDBinding(t *testing.T) {
	want := wcce.IDBinding{PublicArea: []byte{1}, CreationData: []byte{2, 2}, Attest: []byte{3}, Signature: unhex(t, "0014000b0002aabb")}
	raw, err := want.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got, err := wcce.ParseIDBinding(raw)
	if err != nil || !bytes.Equal(got.PublicArea, want.PublicArea) || !bytes.Equal(got.CreationData, want.CreationData) ||
		!bytes.Equal(got.Attest, want.Attest) || !bytes.Equal(got.Signature, want.Signature) {
		t.Errorf("got %+v, %v", got, err)
	}
	parts := "00010100020202000103"
	for sig, ok := range map[string]bool{
		"0014000b0001aa": true, "0016000b0001aa": true, "0018000b0001aa0001bb": true,
		"0018000b0001aa": false, "0014000b0001aa00": false, "0005000b0001aa": false, "0014": false, "": false,
	} {
		if _, err := wcce.ParseIDBinding(unhex(t, parts+sig)); (err == nil) != ok {
			t.Errorf("signature %q: %v", sig, err)
		}
	}
	if _, err := (&wcce.IDBinding{PublicArea: make([]byte, 1<<16)}).Marshal(); err == nil {
		t.Error("64 KiB fit a TPM structure")
	}
}

func TestTACH(t *testing.T) {
	want := wcce.TACH{Blob: []byte{1, 2}, EncryptedSecret: []byte{3}, Opaque: []byte{9}}
	raw, err := want.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if known := unhex(t, "5441434801000000020000001800000007000000010000000002010200010309"); !bytes.Equal(raw, known) {
		t.Errorf("got %x", raw)
	}
	for _, platform := range []byte{1, 2} {
		raw[8] = platform
		got, err := wcce.ParseTACH(raw)
		if err != nil || !bytes.Equal(got.Blob, want.Blob) || !bytes.Equal(got.EncryptedSecret, want.EncryptedSecret) || !bytes.Equal(got.Opaque, want.Opaque) {
			t.Errorf("platform %d: %+v, %v", platform, got, err)
		}
	}
	for name, bad := range map[string]string{
		"version":  "544143480200000002000000180000000600000000000000" + "000101000103",
		"platform": "544143480100000003000000180000000600000000000000" + "000101000103",
		"no blob":  "544143480100000002000000180000000500000000000000" + "0000000103",
		"more":     "544143480100000002000000180000000700000000000000" + "00010100010300",
	} {
		if _, err := wcce.ParseTACH(unhex(t, bad)); !errors.Is(err, wcce.ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestChallenge(t *testing.T) {
	context, err := wcce.MarshalContext([]byte("state"))
	if err != nil {
		t.Fatal(err)
	}
	if state, err := wcce.ParseContext(context); err != nil || string(state) != "state" {
		t.Errorf("state %q, %v", state, err)
	}
	raw, err := (&wcce.Challenge{TACH: []byte("tach"), Context: context}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	tachMember := raw[2 : len(raw)-len(context)]
	other := bytes.Clone(tachMember) // with an unknown type
	other[12]++
	for name, in := range map[string][]byte{
		"as made":      raw,
		"sorted":       set(context, tachMember),
		"unknown type": set(other, context),
	} {
		got, err := wcce.ParseChallenge(in)
		if err != nil || string(got.TACH) != "tach" || !bytes.Equal(got.Context, context) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for name, bad := range map[string][]byte{
		"empty": {}, "one member": set(tachMember), "three": set(tachMember, context, context), "trailing": append(raw, 0),
		"no octet string": set([]byte{0x30, 0x00}, context),
	} {
		if _, err := wcce.ParseChallenge(bad); !errors.Is(err, wcce.ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnswer(t *testing.T) {
	context := []byte{0x04, 0x82, 0x00, 0x01, 0x61} // not DER; it must not change
	want := wcce.Answer{Secret: []byte{0x30, 0x03, 0x02, 0x01, 0x07}, Context: []byte{0x04, 0x01, 0x61}}
	raw, err := want.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got, err := wcce.ParseAnswer(raw)
	if err != nil || !bytes.Equal(got.Secret, want.Secret) || !bytes.Equal(got.Context, want.Context) {
		t.Errorf("got %+v, %v", got, err)
	}
	want.Context = context
	raw, err = want.Marshal()
	if err != nil || !bytes.HasSuffix(raw, context) {
		t.Errorf("context is changed: %x, %v", raw, err)
	}
	if _, err := wcce.ParseAnswer(set(context[:0], []byte{0x30, 0x00}, []byte{0x30, 0x00})); !errors.Is(err, wcce.ErrFormat) {
		t.Errorf("no secret: %v", err)
	}
}

func set(members ...[]byte) []byte {
	all := bytes.Join(members, nil)
	return append([]byte{0x31, byte(len(all))}, all...)
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
