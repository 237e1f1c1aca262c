package aiktest

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"time"
	"unicode/utf16"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/whiteglove/whiteglove/internal/wcce"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// backdate is how long before its issue a certificate becomes valid.
const backdate = 5 * time.Minute

// issue makes the certificate with the profile of the real service: an empty subject,
// the name of the TPM as a critical alternative name in the form of the endorsement
// certificate's, one critical policy and one
// extended key usage. It is valid as long as the authority.
func (a *authority) issue(req *sceptest.Request) (*x509.Certificate, error) {
	p, ok := req.Data.(*pending)
	if !ok {
		return nil, refuse("certificate", badAnswer, errUnchallenged)
	}
	device := p.device
	if a.server.commits(AnotherTPM) {
		device.Model += " (another)"
	}
	san, err := device.AltNameLike(p.name, true)
	if err != nil {
		return nil, err
	}
	policies, err := policiesExtension()
	if err != nil {
		return nil, err
	}
	csr, err := wcce.ParseCSR(req.CSR)
	if err != nil {
		return nil, err
	}
	keyID, err := wcce.KeyID(csr.PublicKey)
	if err != nil {
		return nil, err
	}
	serial := make([]byte, 16)
	_, _ = rand.Read(serial)          // never fails
	serial[0] = serial[0]&0x7f | 0x40 // positive, and of full length
	template := &x509.Certificate{
		SerialNumber:          new(big.Int).SetBytes(serial),
		NotBefore:             a.server.now().Add(-backdate),
		NotAfter:              a.ca.Certificate.NotAfter,
		SubjectKeyId:          keyID,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		UnknownExtKeyUsage:    []asn1.ObjectIdentifier{wcce.OIDKeyPurposeAIK},
		BasicConstraintsValid: true,
		ExtraExtensions:       []pkix.Extension{san, policies},
	}
	if a.server.commits(AnotherKey) {
		return a.anotherKey(template, req.PublicKey)
	}
	return a.ca.Issue(template, req.PublicKey)
}

var (
	oidPolicies   = asn1.ObjectIdentifier{2, 5, 29, 32}
	oidUserNotice = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 2, 2}
)

// notice is the text that the real service adds to its policy.
const notice = "TCPA  Trusted  Platform  Identity"

// policiesExtension returns the critical policy "endorsement certificate
// verified" with its user notice (RFC 5280, section 4.2.1.4).
func policiesExtension() (pkix.Extension, error) {
	const bmpString = der.Tag(30)
	var b cryptobyte.Builder
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) { // certificatePolicies
		b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) { // PolicyInformation
			b.AddASN1ObjectIdentifier(wcce.OIDEKVerifyCert)
			b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) { // qualifiers
				b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(oidUserNotice)
					b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) { // UserNotice
						b.AddASN1(bmpString, func(b *cryptobyte.Builder) {
							for _, u := range utf16.Encode([]rune(notice)) {
								b.AddUint16(u)
							}
						})
					})
				})
			})
		})
	})
	value, err := b.Bytes()
	return pkix.Extension{Id: oidPolicies, Critical: true, Value: value}, err
}
