package scep

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // a key identifier, not a signature
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/internal/pkimsg"
	"github.com/whiteglove/whiteglove/internal/plain"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// A Request asks for a certificate. CSR and Signer are required, except that
// [Client.GetCert] and [Client.GetCRL] need no CSR. The client does not change a
// Request or what it refers to.
type Request struct {
	// CSR is the PKCS #10 request in DER (RFC 2986), such as [NewCSR] returns.
	// It is sent unchanged. Its signature is not checked, and its key may be
	// another than Signer's, of any kind.
	CSR []byte

	// Signer signs messages, and Decrypter decrypts replies, both with the same
	// RSA key. If Decrypter is nil, Signer must implement crypto.Decrypter, as
	// *rsa.PrivateKey does. A Decrypter must support
	// *rsa.PKCS1v15DecryptOptions and, for some CAs, *rsa.OAEPOptions.
	Signer    crypto.Signer
	Decrypter crypto.Decrypter

	// Certificate is the certificate of Signer's key. If nil, a self-signed one
	// with the subject of the CSR is made by [ProtocolCertificate] for each
	// transaction.
	Certificate *x509.Certificate

	// TransactionID identifies the transaction at the CA. It may have up to 256
	// letters, digits, spaces and characters of "'()+,-./:=?" (a
	// PrintableString). If empty, it is derived from the key of the CSR, so that
	// a CA recognizes a repeated request: the first 20 bytes of the SHA-256 of
	// the SubjectPublicKeyInfo, as 40 hexadecimal digits. Without a CSR it is
	// random.
	TransactionID string

	// Extra certificates are sent after Certificate in each message.
	Extra []*x509.Certificate

	// Attributes are signed in each message, in addition to those of SCEP and
	// CMS. None may have the Type of one of those or of another.
	Attributes []Attribute
}

// An Attribute is a signed attribute of a message, with one value.
type Attribute struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue // encoded with [asn1.Marshal]; FullBytes may hold DER
}

// A transaction is a Request with its defaults filled in.
type transaction struct {
	id          string
	csr         *pkimsg.CSR
	signer      crypto.Signer
	decrypter   crypto.Decrypter
	certificate *x509.Certificate
	extra       []*x509.Certificate
	attributes  []cms.Attribute
}

// errRequest is wrapped if the caller's arguments are wrong.
var errRequest = misuse.Errorf("invalid request")

// check checks the arguments of a method that talks to a CA. The caller may have filled
// them in, so nothing in them is certain.
func (r *Request) check(ca *CA) error {
	switch {
	case ca == nil:
		return fmt.Errorf("%w: no CA", errRequest)
	case slices.Contains(ca.Chain, nil):
		return fmt.Errorf("%w: Chain of the CA has a nil certificate", errRequest)
	case r == nil:
		return fmt.Errorf("%w: no Request", errRequest)
	case slices.Contains(r.Extra, nil):
		return fmt.Errorf("%w: Extra has a nil certificate", errRequest)
	}
	return nil
}

// transaction checks r and fills in its defaults. cert is the signer's
// certificate if r has none; if it is nil too, one is made. The CSR is read only
// for an enrollment.
func (r *Request) transaction(cert *x509.Certificate, enrollment bool, now time.Time) (*transaction, error) {
	t := &transaction{id: r.TransactionID, signer: r.Signer, decrypter: r.Decrypter, extra: r.Extra, csr: new(pkimsg.CSR)}
	var err error
	if enrollment {
		if t.csr, err = r.parseCSR(); err != nil {
			return nil, err
		}
	}
	if t.signer == nil {
		return nil, fmt.Errorf("%w: no Signer", errRequest)
	}
	if t.decrypter == nil {
		var ok bool
		if t.decrypter, ok = r.Signer.(crypto.Decrypter); !ok {
			return nil, fmt.Errorf("%w: no Decrypter, and Signer cannot decrypt", errRequest)
		}
	}
	if t.id == "" && !enrollment {
		t.id = rand.Text()
	} else if t.id == "" {
		sum := sha256.Sum256(t.csr.SPKI)
		t.id = hex.EncodeToString(sum[:20])
	}
	t.certificate = first(r.Certificate, cert)
	if t.certificate == nil {
		if t.certificate, err = ProtocolCertificate(r.Signer, t.csr.Subject, now); err != nil {
			return nil, err
		}
	}
	for what, key := range map[string]crypto.PublicKey{"Signer": t.signer.Public(), "Decrypter": t.decrypter.Public()} {
		pub, ok := key.(*rsa.PublicKey)
		if !ok {
			return nil, fmt.Errorf("%w: %s is %s: SCEP messages need an RSA key", errRequest, what, wire.KeyKind(key))
		}
		if !pub.Equal(t.certificate.PublicKey) {
			return nil, fmt.Errorf("%w: %s is not the key of Certificate", errRequest, what)
		}
	}
	for _, a := range r.Attributes {
		der, err := asn1.Marshal(a.Value)
		if err != nil {
			return nil, fmt.Errorf("%w: attribute %v: %w", errRequest, a.Type, err)
		}
		t.attributes = append(t.attributes, cms.Attribute{Type: a.Type, Value: der})
	}
	return t, nil
}

// parseCSR parses the CSR.
func (r *Request) parseCSR() (*pkimsg.CSR, error) {
	if len(r.CSR) == 0 {
		return nil, fmt.Errorf("%w: Request.CSR is not set", errRequest)
	}
	csr, err := pkimsg.ParseCSR(r.CSR)
	if err != nil {
		return nil, plain.Because(fmt.Errorf("%w: %w", errRequest, err), "%v: Request.CSR is no PKCS #10 request in DER", errRequest)
	}
	return csr, nil
}

// NewCSR returns a PKCS #10 request in DER (RFC 2986) for key, an RSA key or an
// ECDSA key on P-256, P-384 or P-521. Subject, names and extensions are those
// that [x509.CreateCertificateRequest] takes from template; its signature
// algorithm is ignored. The signature uses SHA-256, or SHA-384 or SHA-512 for the
// larger curves. password becomes the challengePassword (RFC 2985, section
// 5.4.1) unless it is empty; it has at most 255 bytes of UTF-8.
//
// The error is not an [*Error]. It says that the template or the key is nil, that
// the kind of key, the password or the template cannot be used, or wraps the error
// of key.
func NewCSR(template *x509.CertificateRequest, key crypto.Signer, password string) ([]byte, error) {
	switch {
	case template == nil:
		return nil, fmt.Errorf("scep: NewCSR: %w: template is nil", errRequest)
	case key == nil:
		return nil, fmt.Errorf("scep: NewCSR: %w: key is nil", errRequest)
	}
	der, err := pkimsg.NewCSR(template, key, password)
	if err != nil {
		return nil, fmt.Errorf("scep: %w", err)
	}
	return der, nil
}

// ProtocolCertificate returns a self-signed certificate of signer, which must be
// an RSA key. A client that has no other certificate signs its messages with one
// (RFC 8894, section 2.3). It is valid from five minutes before now for a year
// and has the key usages digitalSignature and keyEncipherment. subject is a Name
// in DER. If it is nil or the empty name, the certificate is as Windows makes it:
// the subject is "CN=SCEP Protocol Certificate", and there is no extension but
// the two key identifiers.
//
// The error is not an [*Error]. It says that signer is nil, that its key is not an
// RSA key or that subject is not a Name, or wraps the error of signer.
func ProtocolCertificate(signer crypto.Signer, subject []byte, now time.Time) (*x509.Certificate, error) {
	if signer == nil {
		return nil, fmt.Errorf("%w: no signer", errRequest)
	}
	pub, ok := signer.Public().(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%w: Signer is %s: SCEP messages need an RSA key; give one of its own for the messages if the CSR is for another kind of key", errRequest, wire.KeyKind(signer.Public()))
	}
	id := sha1.Sum(x509.MarshalPKCS1PublicKey(pub))
	serial := make([]byte, 16)
	_, _ = rand.Read(serial)
	serial[0] = serial[0]&0x7F | 0x40 // positive, and of full length
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial),
		NotBefore:    now.Add(-clockSkew),
		NotAfter:     now.AddDate(1, 0, 0),
		Subject:      pkix.Name{CommonName: "SCEP Protocol Certificate"},
		SubjectKeyId: id[:], AuthorityKeyId: id[:],
		SignatureAlgorithm: x509.SHA256WithRSA,
	}
	if len(subject) > 0 && !bytes.Equal(subject, []byte{0x30, 0}) {
		template.RawSubject = subject
		template.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, pub, signer)
	if err != nil {
		return nil, fmt.Errorf("protocol certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}
