package drs_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/drs"
)

// Identifiers of a device, as text and as in the certificate.
const (
	deviceID    = "9d53c6fa-b38e-4509-8fb1-51dedb421aac"
	deviceBytes = "\xfa\xc6\x53\x9d\x8e\xb3\x09\x45\x8f\xb1\x51\xde\xdb\x42\x1a\xac"
	tenantID    = "19479dd1-b670-7d47-9394-d829cd102726"
	tenantBytes = "\xd1\x9d\x47\x19\x70\xb6\x47\x7d\x93\x94\xd8\x29\xcd\x10\x27\x26"
)

// sample returns a sample of [MS-DVRJ] 4.1.
func sample(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/ms-dvrj-" + name + ".b64")
	if err != nil {
		t.Fatal(err)
	}
	b, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(string(text), "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParseDeviceSample(t *testing.T) {
	der := sample(t, "certificate")
	if got := fmt.Sprintf("%X", sha1.Sum(der)); got != "D09A73223D16855752C5E820A70540BA6450103E" {
		t.Fatalf("the sample's thumbprint is %s", got)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	dev, err := drs.ParseDevice(cert)
	if err != nil {
		t.Fatal(err)
	}
	if dev.ID != deviceID || dev.ObjectID != deviceID || !dev.Joined || dev.TenantID != "" || dev.Region != "" {
		t.Errorf("got %+v", *dev)
	}
}

var testKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func key(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	k, err := testKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// oid returns an object identifier below that of device certificates.
func oid(last int) asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 2, 840, 113556, 1, 5, 284, last}
}

// long returns an OCTET STRING with its length in the long form.
func long(s string) []byte { return append([]byte{0x04, 0x81, byte(len(s))}, s...) }

// entraCertificate returns the template of a certificate like those of Entra.
func entraCertificate() *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: deviceID},
		NotBefore: clock.Add(-time.Hour), NotAfter: clock.AddDate(10, 0, 0),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		ExtraExtensions: []pkix.Extension{
			{Id: oid(2), Value: long(deviceBytes)},
			{Id: oid(3), Value: long(deviceBytes)},
			{Id: oid(5), Value: long(tenantBytes)},
			{Id: oid(8), Value: long("EU")},
			{Id: oid(7), Value: long("1")},
		},
	}
}

// clock is the current time in the tests of this package.
var clock = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func sign(t testing.TB, template *x509.Certificate, pub *rsa.PublicKey) *x509.Certificate {
	t.Helper()
	issuer := &x509.Certificate{Subject: pkix.Name{CommonName: "MS-Organization-Access"}}
	switch {
	case template.Issuer.CommonName == template.Subject.CommonName:
		issuer = template
	case len(template.Issuer.Organization) > 0:
		issuer.Subject = template.Issuer
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, pub, key(t))
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestParseDevice(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*x509.Certificate)
		wrong  bool
	}{
		{"as Entra does", func(*x509.Certificate) {}, false},
		{"in DER", func(c *x509.Certificate) {
			c.ExtraExtensions[0].Value = append([]byte{0x04, 0x10}, deviceBytes...)
		}, false},
		{"bare", func(c *x509.Certificate) { c.ExtraExtensions[0].Value = []byte(deviceBytes) }, false},
		{"no name", func(c *x509.Certificate) { c.Subject.CommonName = "" }, true},
		{"another name", func(c *x509.Certificate) { c.Subject.CommonName = tenantID }, true},
		{"name in braces", func(c *x509.Certificate) { c.Subject.CommonName = "{" + deviceID + "}" }, true},
		{"no identifier", func(c *x509.Certificate) { c.ExtraExtensions = c.ExtraExtensions[1:] }, true},
		{"identifier of 15 bytes", func(c *x509.Certificate) { c.ExtraExtensions[0].Value = long(deviceBytes[:15]) }, true},
		{"length that lies", func(c *x509.Certificate) { c.ExtraExtensions[0].Value[2] = 0x11 }, true},
	} {
		template := entraCertificate()
		c.change(template)
		dev, err := drs.ParseDevice(sign(t, template, &key(t).PublicKey))
		if c.wrong {
			if !errors.Is(err, drs.ErrCertificate) {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if err != nil || dev.ID != deviceID || dev.TenantID != tenantID || dev.Region != "EU" || !dev.Joined {
			t.Errorf("%s: %+v, %v", c.name, dev, err)
		}
	}
}

// A region is two letters; extensions come in any order and with lengths in two forms.
func TestParseDeviceRegion(t *testing.T) {
	device := pkix.Extension{Id: oid(2), Value: long(deviceBytes)}
	for value, want := range map[string]string{
		"\x04\x02EU": "EU", "\x04\x81\x02eu": "eu", "EU": "EU", "\x04\x02AZ": "AZ", "\x04\x02az": "az", "\x04\x02@A": "", "\x04\x02A[": "", "\x04\x02`a": "",
		"\x04\x02a{": "", "\x04\x02A": "", "\x04\x01A": "", "\x04\x03EUR": "", "\x04\x81\x00": "", "\x04\x00": "", "\x04\x81": "", "": "",
	} {
		region := pkix.Extension{Id: oid(8), Value: []byte(value)}
		for _, list := range [][]pkix.Extension{{device, region}, {region, device}} {
			dev, err := drs.ParseDevice(&x509.Certificate{Subject: pkix.Name{CommonName: deviceID}, Extensions: list})
			if err != nil || dev.Region != want {
				t.Errorf("%q: %+v, %v", value, dev, err)
			}
		}
	}
	joined := pkix.Extension{Id: oid(7), Value: []byte{0x04, 0x81, 0}}
	if dev, err := drs.ParseDevice(&x509.Certificate{Subject: pkix.Name{CommonName: deviceID}, Extensions: []pkix.Extension{device, joined}}); err != nil || dev.Joined {
		t.Errorf("an empty mark: %+v, %v", dev, err)
	}
}

func FuzzParseDevice(f *testing.F) {
	for _, v := range [][]byte{long(deviceBytes), append([]byte{0x04, 0x10}, deviceBytes...), []byte(deviceBytes), {0x04, 0x81}, {0x04}, nil} {
		f.Add(v, long(tenantBytes), long("EU"))
	}
	f.Fuzz(func(t *testing.T, device, tenant, region []byte) {
		cert := &x509.Certificate{Subject: pkix.Name{CommonName: deviceID}, Extensions: []pkix.Extension{
			{Id: oid(2), Value: device}, {Id: oid(5), Value: tenant}, {Id: oid(8), Value: region},
		}}
		dev, err := drs.ParseDevice(cert)
		if err != nil {
			if !errors.Is(err, drs.ErrCertificate) {
				t.Error(err)
			}
			return
		}
		if dev.ID != deviceID || len(dev.TenantID) != 36 || dev.Region != "" && len(dev.Region) != 2 {
			t.Errorf("got %+v", *dev)
		}
	})
}
