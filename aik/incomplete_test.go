package aik_test

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"testing"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/aik/aiktest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/internal/wcce"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// TestPartOfAName has an endorsement certificate without the TPM's version, as
// some real ones are: what it says is what the CA is told, and has to say.
func TestPartOfAName(t *testing.T) {
	d := newDevice(t, isRSA, rsaAIK)
	ca, err := sceptest.NewAuthority("maker", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.Certificate)
	certify := func(name ...pkix.Extension) {
		t.Helper()
		cert, err := ca.Issue(&x509.Certificate{
			KeyUsage: x509.KeyUsageKeyEncipherment, BasicConstraintsValid: true,
			UnknownExtKeyUsage: []asn1.ObjectIdentifier{wcce.OIDKeyPurposeEK}, ExtraExtensions: name,
		}, d.EK)
		if err != nil {
			t.Fatal(err)
		}
		d.EKChain = []*x509.Certificate{cert, ca.Certificate}
	}
	s := &aiktest.Server{Makers: []*x509.Certificate{ca.Certificate}, EKRoots: ekcert.Roots{attesttest.Vendor: roots}}
	c := start(t, s, s.Roots())

	part, err := (&wcce.Device{Manufacturer: "id:53494D30", Model: "emulator"}).AltName(true)
	if err != nil {
		t.Fatal(err)
	}
	certify(part)
	chain, err := c.Enroll(t.Context(), d.Request)
	if err != nil {
		t.Fatalf("%v; refusals %q", err, s.Refusals())
	}
	for _, e := range chain[0].Extensions {
		if e.Id.Equal(wcce.OIDSubjectAltName) && string(e.Value) != string(part.Value) {
			t.Errorf("the certificate names %x", e.Value)
		}
	}

	certify(separate(t, part))
	if chain, err = c.Enroll(t.Context(), d.Request); err != nil {
		t.Fatalf("three relative names: %v; refusals %q", err, s.Refusals())
	}
	if i := indexOf(chain[0].Extensions, "2.5.29.17"); i < 0 || !bytes.Equal(chain[0].Extensions[i].Value, separate(t, part).Value) {
		t.Errorf("three relative names became %+v", chain[0].Extensions)
	}

	certify()
	if _, err := c.Enroll(t.Context(), d.Request); !errors.Is(err, aik.ErrRequest) {
		t.Errorf("without a name: %v", err)
	}
}

// separate returns a name in which each attribute has a relative name of its own, in
// the order of manufacturer and model.
func separate(t *testing.T, one pkix.Extension) pkix.Extension {
	d, err := wcce.ParseAltName(one.Value)
	if err != nil {
		t.Fatal(err)
	}
	var rdns pkix.RDNSequence
	for _, a := range []pkix.AttributeTypeAndValue{
		{Type: wcce.OIDTPMManufacturer, Value: asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte(d.Manufacturer)}},
		{Type: wcce.OIDTPMModel, Value: asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte(d.Model)}},
	} {
		rdns = append(rdns, pkix.RelativeDistinguishedNameSET{a})
	}
	name, err := asn1.Marshal(rdns)
	if err != nil {
		t.Fatal(err)
	}
	value, err := asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: 4, IsCompound: true, Bytes: name}})
	if err != nil {
		t.Fatal(err)
	}
	return pkix.Extension{Id: one.Id, Critical: one.Critical, Value: value}
}

// TestNothing leaves out what is required.
func TestNothing(t *testing.T) {
	s := server()
	c := start(t, s, s.Roots())
	passive := newDevice(t, isRSA, rsaAIK)
	passive.Activate = nil
	_, enroll := c.Enroll(t.Context(), passive.Request)
	_, enrollNil := c.Enroll(t.Context(), nil)
	_, begin := c.Begin(t.Context(), nil)
	_, complete := c.Complete(t.Context(), nil, []byte("secret"))
	for name, err := range map[string]error{"no function": enroll, "nothing": enrollNil, "no request": begin, "no challenge": complete} {
		var e *aik.Error
		if !errors.Is(err, aik.ErrRequest) || !errors.As(err, &e) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if urls := aik.URLs("SIM0", []*x509.Certificate{nil}); len(urls) != 0 {
		t.Errorf("addresses of nothing: %q", urls)
	}
}
