package aik_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/internal/wcce"
)

// windowsProfile has the extensions of an attestation key's certificate by the
// CA of Windows that are the same for every TPM. What a subject alternative name
// holds follows the TPM: one multi-valued RDN.
var windowsProfile = []struct {
	id       string
	critical bool
	value    string // hexadecimal; "" differs by certificate
}{
	{"2.5.29.15", true, "03020780"},
	{"2.5.29.19", true, "3000"},
	{"2.5.29.32", true, "3061305f06092b0601040182371" + "51f3052305006082b0601050507020230441e4200540043005000410020002000540072007500730074006500640020002000" +
		"50006c006100740066006f0072006d00200020004900640065006e0074006900740079"},
	{"2.5.29.37", false, "300706056781050803"},
	{"2.5.29.17", true, ""},
	{"2.5.29.35", false, ""},
	{"2.5.29.14", false, ""},
}

// The key identifier is that of a real issuing CA.
func TestURLOfNuvoton(t *testing.T) {
	id, err := hex.DecodeString("37ca302d497ae769234eb73cb53c45f138ed5950")
	if err != nil {
		t.Fatal(err)
	}
	if got := aik.URLs("NTC ", []*x509.Certificate{{AuthorityKeyId: id}}); len(got) != 1 ||
		got[0] != "https://NTC-KeyId-37ca302d497ae769234eb73cb53c45f138ed5950.microsoftaik.azure.net/templates/Aik/scep" {
		t.Errorf("URLs: %v", got)
	}
}

func TestCertificateProfile(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	san, err := (&wcce.Device{Manufacturer: "id:53494D30", Model: "m", Version: "id:1"}).AltName(true)
	if err != nil {
		t.Fatal(err)
	}
	purpose := []asn1.ObjectIdentifier{wcce.OIDKeyPurposeAIK}
	good := func() *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			KeyUsage: x509.KeyUsageDigitalSignature, UnknownExtKeyUsage: purpose,
			BasicConstraintsValid: true, ExtraExtensions: []pkix.Extension{san}, Policies: policies(t, wcce.OIDEKVerifyCert),
		}
	}
	authority := func() *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, UnknownExtKeyUsage: purpose,
		}
	}
	tests := []struct {
		name   string
		change func(leaf, ca *x509.Certificate)
		want   string // in the error; "": none
	}{
		{"good", func(*x509.Certificate, *x509.Certificate) {}, ""},
		{"CA with the policy", func(_, ca *x509.Certificate) { ca.Policies = policies(t, wcce.OIDEKVerifyCert) }, ""},
		{"CA with any policy", func(_, ca *x509.Certificate) { ca.Policies = policies(t, asn1.ObjectIdentifier{2, 5, 29, 32, 0}) }, ""},
		{"CA with another policy", func(_, ca *x509.Certificate) { ca.Policies = policies(t, wcce.OIDEKVerifyCreds) }, "may not say"},
		{"more trust than the CA", func(l, ca *x509.Certificate) {
			l.Policies, ca.Policies = policies(t, wcce.OIDEKVerifyCert, wcce.OIDEKVerifyKey), policies(t, wcce.OIDEKVerifyCert)
		}, "endorsement key verified"},
		{"subject", func(l, _ *x509.Certificate) { l.Subject.CommonName = "somebody" }, "has a subject"},
		{"name that may be ignored", func(l, _ *x509.Certificate) { l.ExtraExtensions[0].Critical = false }, "is not critical"},
		{"for TLS too", func(l, _ *x509.Certificate) { l.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }, "2.23.133.8.3 alone"},
		{"CA for anything", func(_, ca *x509.Certificate) { ca.UnknownExtKeyUsage = nil }, ""},
		{"is a CA", func(l, _ *x509.Certificate) { l.IsCA = true }, "that of a CA"},
		{"signs certificates", func(l, _ *x509.Certificate) { l.KeyUsage |= x509.KeyUsageCertSign }, "digital signature"},
		{"decrypts", func(l, _ *x509.Certificate) { l.KeyUsage = x509.KeyUsageKeyEncipherment }, "digital signature"},
		{"no purpose", func(l, _ *x509.Certificate) { l.UnknownExtKeyUsage = nil }, "2.23.133.8.3"},
		{"CA for TLS", func(_, ca *x509.Certificate) {
			ca.UnknownExtKeyUsage, ca.ExtKeyUsage = nil, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}, "not for attestation keys"},
		{"no name", func(l, _ *x509.Certificate) { l.ExtraExtensions = nil }, "no subject alternative name"},
		{"expired", func(l, _ *x509.Certificate) { l.NotAfter = time.Now().Add(-time.Minute) }, "expired"},
		{"unknown critical extension", func(l, _ *x509.Certificate) {
			l.ExtraExtensions = append(l.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}})
		}, "unhandled critical extension"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			leaf, ca, root := good(), authority(), authority()
			root.Subject.CommonName, root.UnknownExtKeyUsage = "root", nil
			tt.change(leaf, ca)
			root = create(t, root, root, key)
			ca = create(t, ca, root, key)
			leaf = create(t, leaf, ca, key)
			roots := x509.NewCertPool()
			roots.AddCert(root)
			_, err := aik.Check(&aik.Client{Roots: roots}, key.Public(), leaf, []*x509.Certificate{ca})
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if _, err := aik.Check(&aik.Client{Roots: roots}, other.Public(), leaf, []*x509.Certificate{ca}); err == nil {
				t.Error("a certificate for another key is taken")
			}
			if _, err := aik.Check(&aik.Client{Roots: x509.NewCertPool()}, key.Public(), leaf, []*x509.Certificate{ca}); err == nil {
				t.Error("a chain to no root is taken")
			}
		})
	}
}

func policies(t *testing.T, ids ...asn1.ObjectIdentifier) (out []x509.OID) {
	t.Helper()
	for _, id := range ids {
		oid, err := x509.ParseOID(id.String())
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, oid)
	}
	return out
}

func create(t *testing.T, template, parent *x509.Certificate, key *rsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestTrust(t *testing.T) {
	for want, ids := range map[aik.TrustLevel][]asn1.ObjectIdentifier{
		aik.TrustNone:        {{1, 2, 3}},
		aik.TrustOnUse:       {wcce.OIDEKVerifyCreds},
		aik.TrustCertificate: {wcce.OIDEKVerifyCreds, wcce.OIDEKVerifyCert},
		aik.TrustKey:         {wcce.OIDEKVerifyCert, wcce.OIDEKVerifyKey},
	} {
		if got := aik.Trust(&x509.Certificate{PolicyIdentifiers: ids}); got != want {
			t.Errorf("%v: got %v, want %v", ids, got, want)
		}
	}
}

func TestURLs(t *testing.T) {
	leaf := &x509.Certificate{AuthorityKeyId: []byte{0xab}}
	issuer := &x509.Certificate{AuthorityKeyId: []byte{0xcd}}
	root := &x509.Certificate{AuthorityKeyId: []byte{0xcd}}
	bare := &x509.Certificate{}
	for _, tt := range []struct {
		vendor string
		chain  []*x509.Certificate
		want   []string // names of authorities
	}{
		{"INTC", []*x509.Certificate{leaf, issuer, root}, []string{"INTC-KeyId-ab", "INTC-KeyId-cd"}},
		{"id:414D4400", []*x509.Certificate{leaf}, []string{"AMD-KeyId-ab"}},
		{"IFX\x00", []*x509.Certificate{bare, issuer}, []string{"IFX-KeyId-cd"}},
		{"id:00001014", []*x509.Certificate{leaf}, []string{"00001014-KeyId-ab"}},
		{"INTC", []*x509.Certificate{bare}, nil},
		{"INTC", nil, nil},
	} {
		var got []string
		for _, u := range aik.URLs(tt.vendor, tt.chain) {
			host, ok := strings.CutPrefix(u, "https://")
			name, path, _ := strings.Cut(host, ".")
			if !ok || path != "microsoftaik.azure.net/templates/Aik/scep" {
				t.Errorf("URL %q", u)
			}
			got = append(got, name)
		}
		if strings.Join(got, " ") != strings.Join(tt.want, " ") {
			t.Errorf("%q: got %v, want %v", tt.vendor, got, tt.want)
		}
	}
}
