package attesttest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Object identifiers of the TCG's EK credential profile.
var (
	oidManufacturer  = asn1.ObjectIdentifier{2, 23, 133, 2, 1}
	oidModel         = asn1.ObjectIdentifier{2, 23, 133, 2, 2}
	oidVersion       = asn1.ObjectIdentifier{2, 23, 133, 2, 3}
	oidSpecification = asn1.ObjectIdentifier{2, 23, 133, 2, 16}
	oidEKCertificate = asn1.ObjectIdentifier{2, 23, 133, 8, 1}
	oidSAN           = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidSDA           = asn1.ObjectIdentifier{2, 5, 29, 9}
)

// EKCertificate returns the certificate of an endorsement key. The key is
// an [*rsa.PublicKey], or an [*ecdsa.PublicKey] on P-256 or P-384. The certificate
// follows the TCG EK Credential Profile for TPM 2.0; it is the same in every
// process. The caller owns it.
//
// The error says that the key is of another type, that m is a zero Maker, or is
// that of crypto/x509.
func (m *Maker) EKCertificate(pub crypto.PublicKey) (*x509.Certificate, error) {
	if m.err != nil {
		return nil, m.err
	}
	if m.issuing == nil {
		return nil, errors.New("attesttest: EK certificate: a Maker comes from DefaultMaker or OtherMaker")
	}
	usage, err := ekUsage(pub)
	if err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("attesttest: EK certificate: %w", err)
	}
	san, err := tpmName(m.vendor)
	if err != nil {
		return nil, fmt.Errorf("attesttest: EK certificate: %w", err)
	}
	sda, err := tpmSpecification()
	if err != nil {
		return nil, fmt.Errorf("attesttest: EK certificate: %w", err)
	}
	return issue(&x509.Certificate{
		SerialNumber:          serial(spki),
		NotBefore:             notBefore,
		NotAfter:              noExpiry,
		KeyUsage:              usage,
		UnknownExtKeyUsage:    []asn1.ObjectIdentifier{oidEKCertificate},
		BasicConstraintsValid: true,
		ExtraExtensions:       []pkix.Extension{{Id: oidSAN, Critical: true, Value: san}, {Id: oidSDA, Value: sda}},
	}, m.issuing, pub, m.key)
}

func ekUsage(pub crypto.PublicKey) (x509.KeyUsage, error) {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		return x509.KeyUsageKeyEncipherment, nil
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() || k.Curve == elliptic.P384() {
			return x509.KeyUsageKeyAgreement, nil
		}
	}
	return 0, fmt.Errorf("attesttest: EK certificate: a %T of this kind cannot be an endorsement key", pub)
}

// tpmName returns the subject alternative name: one directory name of
// manufacturer, model and version.
func tpmName(vendor string) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.Tag(4).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				addRDN(b, oidManufacturer, fmt.Sprintf("id:%X", vendor))
				addRDN(b, oidModel, model)
				addRDN(b, oidVersion, fmt.Sprintf("id:%08X", firmware))
			})
		})
	})
	return b.Bytes()
}

func addRDN(b *cryptobyte.Builder, oid asn1.ObjectIdentifier, value string) {
	b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oid)
			b.AddASN1(cbasn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(value)) })
		})
	})
}

// tpmSpecification returns the subject directory attributes: the version of
// the specification, 2.0 level 0 revision 1.59.
func tpmSpecification() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidSpecification)
			b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1(cbasn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte("2.0")) })
					b.AddASN1Int64(0)
					b.AddASN1Int64(revision)
				})
			})
		})
	})
	return b.Bytes()
}
