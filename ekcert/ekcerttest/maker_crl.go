package ekcerttest

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	oidCRLPoints    = asn1.ObjectIdentifier{2, 5, 29, 31}
	oidDelta        = asn1.ObjectIdentifier{2, 5, 29, 27}
	oidIssuingPoint = asn1.ObjectIdentifier{2, 5, 29, 28}
	oidEntryIssuer  = asn1.ObjectIdentifier{2, 5, 29, 29}
)

func context(n uint8) cbasn1.Tag { return cbasn1.Tag(n).ContextSpecific() }

// indirectPoint returns a CRL distribution point that names the CRL signer as the CRL's
// issuer.
func (m *Maker) indirectPoint() pkix.Extension {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(context(0).Constructed(), func(b *cryptobyte.Builder) {
				b.AddASN1(context(0).Constructed(), func(b *cryptobyte.Builder) {
					b.AddASN1(context(6), func(b *cryptobyte.Builder) {
						b.AddBytes([]byte(m.BaseURL + "/crl/indirect.crl"))
					})
				})
			})
			b.AddASN1(context(2).Constructed(), func(b *cryptobyte.Builder) {
				b.AddASN1(context(4).Constructed(), func(b *cryptobyte.Builder) { b.AddBytes(m.signer.RawSubject) })
			})
		})
	})
	return pkix.Extension{Id: oidCRLPoints, Value: encode(&b)}
}

// crl returns a CRL. name is "root", "issuing" or "indirect".
func (m *Maker) crl(name string) ([]byte, error) {
	by := map[string]*issuer{"root": m.root, "issuing": m.ca, "indirect": m.signer}[name]
	tmpl := &x509.RevocationList{
		Number: big.NewInt(7), ThisUpdate: m.now().Add(-time.Hour), NextUpdate: m.now().AddDate(0, 1, 0),
		ExtraExtensions: m.scope(name),
	}
	if m.has("crl-stale") {
		tmpl.NextUpdate = m.now().Add(-time.Minute)
	}
	m.mu.Lock()
	for _, serial := range m.revoked {
		tmpl.RevokedCertificateEntries = append(tmpl.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: serial, RevocationTime: m.now().Add(-2 * time.Hour), ReasonCode: 1,
		})
	}
	m.mu.Unlock()
	if m.has("crl-entry") {
		tmpl.RevokedCertificateEntries = append(tmpl.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: big.NewInt(1), RevocationTime: m.now(),
			ExtraExtensions: []pkix.Extension{{Id: oidNobodys, Critical: true, Value: []byte{5, 0}}},
		})
	}
	if name == "indirect" {
		m.addIssuers(tmpl)
	}
	key := by.key
	if m.has("crl-forged") {
		key = m.otherKey(by)
	}
	return x509.CreateRevocationList(rand.Reader, tmpl, &x509.Certificate{
		RawSubject: by.RawSubject, SubjectKeyId: by.SubjectKeyId, KeyUsage: by.KeyUsage, PublicKey: key.Public(),
	}, key)
}

// encode returns the bytes of b. The lengths are small, so there is no error.
func encode(b *cryptobyte.Builder) []byte {
	der, err := b.Bytes()
	if err != nil {
		return nil
	}
	return der
}

// otherKey returns a key that is not that of by.
func (m *Maker) otherKey(by *issuer) *ecdsa.PrivateKey {
	if by == m.root {
		return m.ca.key
	}
	return m.root.key
}

// addIssuers changes the entries to those of an indirect CRL: first one for a certificate
// of the root, then those for certificates of the CA, of which only the first names the
// CA.
func (m *Maker) addIssuers(tmpl *x509.RevocationList) {
	if len(tmpl.RevokedCertificateEntries) == 0 {
		return
	}
	other := tmpl.RevokedCertificateEntries[0]
	other.SerialNumber = new(big.Int).Add(other.SerialNumber, big.NewInt(1))
	other.ExtraExtensions = []pkix.Extension{entryIssuer(m.root)}
	own := tmpl.RevokedCertificateEntries
	own[0].ExtraExtensions = []pkix.Extension{entryIssuer(m.ca)}
	tmpl.RevokedCertificateEntries = append([]x509.RevocationListEntry{other}, own...)
}

// entryIssuer returns the extension certificateIssuer of an entry.
func entryIssuer(by *issuer) pkix.Extension {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(context(4).Constructed(), func(b *cryptobyte.Builder) { b.AddBytes(by.RawSubject) })
	})
	return pkix.Extension{Id: oidEntryIssuer, Critical: true, Value: encode(&b)}
}

// scope returns the extension of a CRL that limits what it covers.
func (m *Maker) scope(name string) []pkix.Extension {
	var fields []byte
	switch {
	case m.has("crl-delta"):
		return []pkix.Extension{{Id: oidDelta, Critical: true, Value: []byte{0x02, 0x01, 0x01}}}
	case m.has("crl-reasons"):
		fields = []byte{0x83, 0x02, 0x01, 0x40}
	case m.has("crl-ca-only"):
		fields = []byte{0x82, 0x01, 0xFF}
	case name == "indirect":
		fields = []byte{0x84, 0x01, 0xFF}
	default:
		return nil
	}
	value := append([]byte{0x30, byte(len(fields))}, fields...)
	return []pkix.Extension{{Id: oidIssuingPoint, Critical: true, Value: value}}
}
