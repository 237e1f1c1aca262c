package ekcert

import (
	"bytes"
	"encoding/binary"
	"encoding/pem"
	"slices"
	"strings"
	"testing"

	"go.mozilla.org/pkcs7"
)

// The forms of a certificate at their limits.
func TestForms(t *testing.T) {
	cert, _ := signer(t, "x")
	bag := func(n int) []byte {
		b, err := pkcs7.DegenerateCertificate(bytes.Repeat(cert.Raw, n))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	stored := func(size int) []byte {
		return append([]byte{0x10, 0x01, 0x00, byte(size >> 8), byte(size)}, cert.Raw...)
	}
	record := func(property uint32, data []byte) []byte {
		b := binary.LittleEndian.AppendUint32(nil, property)
		b = binary.LittleEndian.AppendUint32(b, 1)
		return append(binary.LittleEndian.AppendUint32(b, uint32(len(data))), data...)
	}
	block := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
	for name, tt := range map[string]struct {
		in     []byte
		number int
		fails  string
	}{
		"the largest":                   {append(slices.Clone(cert.Raw), make([]byte, maxSize-len(cert.Raw))...), 1, ""},
		"too large":                     {append(slices.Clone(cert.Raw), make([]byte, maxSize+1-len(cert.Raw))...), 0, "too many"},
		"the largest bag":               {bag(maxCertificates), maxCertificates, ""},
		"too large a bag":               {bag(maxCertificates + 1), 0, "too many"},
		"a SEQUENCE of another OID":     {[]byte{0x30, 3, 6, 1, 42}, 0, "malformed tbs"},
		"a SEQUENCE without OID":        {[]byte{0x30, 2, 2, 0}, 0, "certificate"},
		"header and length":             {stored(len(cert.Raw)), 1, ""},
		"header, shorter by a byte":     {stored(len(cert.Raw) - 1), 0, "truncated"},
		"header, longer by a byte":      {stored(len(cert.Raw) + 1), 1, ""},
		"header alone":                  {stored(0)[:5], 0, "neither"},
		"a certificate and a SEQUENCE":  {append(slices.Clone(cert.Raw), 0x30, 0), 1, ""},
		"two certificates":              {append(slices.Clone(cert.Raw), cert.Raw...), 2, ""},
		"PEM without end":               {[]byte(strings.ReplaceAll(block, "END", "AND")), 0, "ends in the middle"},
		"PEM cut before its end":        {[]byte(block[:strings.Index(block, "-----END")]), 0, "ends in the middle"},
		"PEM without dashes":            {[]byte("-----BEGIN CERTIFICATE\nAAAA"), 0, "ends in the middle"},
		"PEM that is not base64":        {[]byte("-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----"), 0, "damaged"},
		"PEM with another end":          {[]byte(strings.ReplaceAll(block, "END CERT", "END KERT")), 0, "ends in the middle"},
		"a registry value":              {record(certificateProperty, cert.Raw), 1, ""},
		"a registry value, second":      {append(record(3, []byte("hash")), record(certificateProperty, cert.Raw)...), 1, ""},
		"a registry value without any":  {record(3, []byte("hash")), 0, "no certificate"},
		"an empty record":               {record(3, nil), 0, "no certificate"},
		"a registry value, a byte less": {record(3, []byte("hash"))[:15], 0, "registry value is truncated"},
	} {
		got, err := Parse(tt.in)
		if tt.fails != "" {
			if err == nil || !strings.Contains(err.Error(), tt.fails) {
				t.Errorf("%s: %v", name, err)
			}
		} else if err != nil || 1+len(got.Issuers) != tt.number {
			t.Errorf("%s: %v", name, err)
		}
	}
}
