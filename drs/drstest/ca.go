package drstest

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/whiteglove/whiteglove/internal/rsapool"
)

// Object identifiers of extensions of a device certificate ([MS-DVRJ], and those that Entra
// adds) and of their values.
var (
	oidDeviceID   = asn1.ObjectIdentifier{1, 2, 840, 113556, 1, 5, 284, 2}
	oidUserID     = asn1.ObjectIdentifier{1, 2, 840, 113556, 1, 5, 284, 3}
	oidTenantID   = asn1.ObjectIdentifier{1, 2, 840, 113556, 1, 5, 284, 5}
	oidJoinType   = asn1.ObjectIdentifier{1, 2, 840, 113556, 1, 5, 284, 7}
	oidRegion     = asn1.ObjectIdentifier{1, 2, 840, 113556, 1, 5, 284, 8}
	oidBasic      = asn1.ObjectIdentifier{2, 5, 29, 19}
	oidEKU        = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidClientAuth = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 2}
)

// region is the region of the tenant: one of AF, AP, AS, EU, ME, NA, OC, SA.
const region = "EU"

// issuerUnit is the organizational unit in the name of Microsoft's CA of device
// certificates.
const issuerUnit = "82dbaca4-3e81-46ca-9c73-0950c1eaca97"

// An authority is the CA of device certificates.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// newKey makes an RSA key of the server. Tests replace it.
var newKey = rsapool.ServerKey

func newAuthority(now time.Time) (*authority, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	name, err := issuerName()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		RawSubject: name, SerialNumber: serial(), NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(20, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &authority{cert: cert, key: key}, nil
}

// issuerName returns the name of the CA in the form of Microsoft's: one relative
// distinguished name with four values, in the order that DER requires for a set.
func issuerName() ([]byte, error) {
	dc := asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 25}
	var parts [][]byte
	for _, v := range []struct {
		id   asn1.ObjectIdentifier
		tag  cbasn1.Tag
		text string
	}{
		{dc, cbasn1.IA5String, "net"},
		{dc, cbasn1.IA5String, "windows"},
		{asn1.ObjectIdentifier{2, 5, 4, 3}, cbasn1.PrintableString, "MS-Organization-Access"},
		{asn1.ObjectIdentifier{2, 5, 4, 11}, cbasn1.PrintableString, issuerUnit},
	} {
		var b cryptobyte.Builder
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(v.id)
			b.AddASN1(v.tag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(v.text)) })
		})
		der, err := b.Bytes()
		if err != nil {
			return nil, err
		}
		parts = append(parts, der)
	}
	slices.SortFunc(parts, bytes.Compare)
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(bytes.Join(parts, nil)) })
	})
	return b.Bytes()
}

// issue issues a device certificate for an object. u is the user who joins the device, or
// nil.
func (s *Server) issue(o *Object, pub crypto.PublicKey, u *User) (*x509.Certificate, error) {
	ca, err := s.authority()
	if err != nil {
		return nil, err
	}
	extensions, err := s.extensions(o, u)
	if err != nil {
		return nil, err
	}
	now := s.now()
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: o.DeviceID}, SignatureAlgorithm: x509.SHA256WithRSA,
		NotBefore: now.Add(-30 * time.Minute), NotAfter: now.AddDate(10, 0, 0), ExtraExtensions: extensions,
	}
	// Certificates of Microsoft's CA have no key identifiers.
	issuer := *ca.cert
	issuer.SubjectKeyId = nil
	der, err := x509.CreateCertificate(rand.Reader, template, &issuer, pub, ca.key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// extensions returns the extensions of a device certificate, in Entra's order.
func (s *Server) extensions(o *Object, u *User) ([]pkix.Extension, error) {
	basic, err := asn1.Marshal(struct{}{})
	if err != nil {
		return nil, err
	}
	usage, err := asn1.Marshal([]asn1.ObjectIdentifier{oidClientAuth})
	if err != nil {
		return nil, err
	}
	out := []pkix.Extension{{Id: oidBasic, Critical: true, Value: basic}, {Id: oidEKU, Critical: true, Value: usage}}
	// who is the object that authenticated the join: the user or the device itself.
	who, joined := o.ObjectID, "1"
	if o.Registered {
		joined = "0"
	}
	if u != nil {
		who = u.ObjectID
	}
	for _, v := range []struct {
		id   asn1.ObjectIdentifier
		guid string
	}{{oidDeviceID, o.DeviceID}, {oidUserID, who}, {oidTenantID, s.tenantID()}} {
		b, err := guidBytes(v.guid)
		if err != nil {
			return nil, fmt.Errorf("extension %v: %w", v.id, err)
		}
		out = append(out, longForm(v.id, b))
	}
	return append(out, longForm(oidRegion, []byte(region)), longForm(oidJoinType, []byte(joined))), nil
}

// longForm returns an extension whose value is an OCTET STRING with its length in the long
// form. That is not DER, but certificates of the real CA have it.
func longForm(id asn1.ObjectIdentifier, content []byte) pkix.Extension {
	return pkix.Extension{Id: id, Value: append([]byte{0x04, 0x81, byte(len(content))}, content...)}
}

// serial returns a random serial number of 16 bytes.
func serial() *big.Int {
	b := make([]byte, 16)
	// crypto/rand.Read does not fail: it ends the program first.
	_, _ = rand.Read(b)
	b[0] = b[0]&0x7F | 0x40
	return new(big.Int).SetBytes(b)
}
