package attesttest_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"testing"

	x509ext "github.com/google/go-attestation/x509"

	"github.com/whiteglove/whiteglove/attest/attesttest"
)

// keysOf makes the public keys that endorsement keys can have.
func keysOf(t *testing.T) map[string]any {
	t.Helper()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	check(t, err)
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	check(t, err)
	return map[string]any{"RSA": &r.PublicKey, "P-256": &p256.PublicKey, "P-384": &p384.PublicKey}
}

func TestEKCertificate(t *testing.T) {
	t.Parallel()
	for name, pub := range keysOf(t) {
		cert, err := attesttest.EKCertificate(pub)
		check(t, err)
		again, err := attesttest.EKCertificate(pub)
		check(t, err)
		if !cert.Equal(again) {
			t.Errorf("%s: two certificates of a key", name)
		}
		profile, err := x509ext.ParseEKCertificate(cert.Raw) // checks the TCG's profile
		check(t, err)
		if profile.TpmManufacturer != "id:53494D30" || profile.TpmVersion != "id:00010000" {
			t.Errorf("%s: %+v", name, profile)
		}
		san, err := x509ext.ParseSubjectAltName(critical(t, cert, asn1.ObjectIdentifier{2, 5, 29, 17}, true))
		check(t, err)
		if len(san.DirectoryNames) != 1 {
			t.Fatalf("%s: alternative name %+v", name, san)
		}
		var got []string
		for _, a := range san.DirectoryNames[0].Names {
			v, ok := a.Value.(string)
			if !ok {
				t.Errorf("%s: %v", name, a)
			}
			got = append(got, a.Type.String()+"="+v)
		}
		want := []string{"2.23.133.2.1=id:53494D30", "2.23.133.2.2=whiteglove soft TPM", "2.23.133.2.3=id:00010000"}
		if len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
		critical(t, cert, asn1.ObjectIdentifier{2, 5, 29, 15}, true)
		critical(t, cert, asn1.ObjectIdentifier{2, 5, 29, 19}, true)
		critical(t, cert, asn1.ObjectIdentifier{2, 5, 29, 37}, false)
		spec := critical(t, cert, asn1.ObjectIdentifier{2, 5, 29, 9}, false)
		if want, _ := hex.DecodeString("3019301706056781050210310e300c0c03322e300201000202009f"); !bytes.Equal(spec.Value, want) {
			t.Errorf("%s: directory attributes %x", name, spec.Value)
		}
		if cert.IsCA || !cert.BasicConstraintsValid || !bytes.Equal(cert.AuthorityKeyId, attesttest.Certificates()[0].SubjectKeyId) {
			t.Errorf("%s: CA %v, issuer key %x", name, cert.IsCA, cert.AuthorityKeyId)
		}
		usage := x509.KeyUsageKeyAgreement
		if name == "RSA" {
			usage = x509.KeyUsageKeyEncipherment
		}
		if cert.KeyUsage != usage {
			t.Errorf("%s: key usage %v", name, cert.KeyUsage)
		}
		verifyChain(t, cert)
	}
	if _, err := attesttest.EKCertificate("a key"); err == nil {
		t.Error("certificate of no key")
	}
	if _, err := attesttest.New(attesttest.Config{Maker: &attesttest.Maker{}}); err == nil {
		t.Error("TPM by a maker without keys")
	}
}

// critical returns an extension and checks that it is critical or not.
func critical(t *testing.T, cert *x509.Certificate, id asn1.ObjectIdentifier, want bool) (value pkix.Extension) {
	t.Helper()
	for _, e := range cert.Extensions {
		if e.Id.Equal(id) {
			if e.Critical != want {
				t.Errorf("extension %v: critical %v", id, e.Critical)
			}
			return e
		}
	}
	t.Errorf("no extension %v", id)
	return value
}

// verifyChain checks that a certificate chains up to Roots, and that the other
// maker's does not.
func verifyChain(t *testing.T, cert *x509.Certificate) {
	t.Helper()
	inter := x509.NewCertPool()
	inter.AddCert(attesttest.Certificates()[0])
	cert.UnhandledCriticalExtensions = nil // the name, which Go does not read
	opts := x509.VerifyOptions{Roots: attesttest.Roots(), Intermediates: inter, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	chains, err := cert.Verify(opts)
	check(t, err)
	if len(chains) != 1 || len(chains[0]) != 3 {
		t.Errorf("%d chains", len(chains))
	}
	other := attesttest.OtherMaker()
	cert, err = other.EKCertificate(cert.PublicKey)
	check(t, err)
	cert.UnhandledCriticalExtensions = nil
	opts.Intermediates.AddCert(other.Certificates()[0])
	if _, err := cert.Verify(opts); err == nil {
		t.Error("the other maker's certificate passes")
	}
	opts.Roots = other.Roots()
	if _, err := cert.Verify(opts); err != nil {
		t.Error(err)
	}
}

// Two processes must agree on the root: these bytes must not change.
func TestFixedRoot(t *testing.T) {
	t.Parallel()
	sum := sha256.Sum256(attesttest.Root().Raw)
	if got := hex.EncodeToString(sum[:]); got != "d53c8fedca2b97aa9a3b5407e635da80581911b5ddda40f94316c2fab9867531" {
		t.Errorf("root %s", got)
	}
}
