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
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/pkimsg"
)

// A Request asks for a certificate. CSR and Signer are required, but that
// [Client.GetCert] and [Client.GetCRL] do without a CSR.
type Request struct {
	// CSR is the PKCS #10 request, in DER, as [NewCSR] makes it. It is sent as
	// it is, and its own signature is not looked at. Its key need not be
	// Signer, nor an RSA key.
	CSR []byte

	// Signer signs messages, and Decrypter opens replies. Their key is an RSA
	// key. If Decrypter is nil, Signer must implement it too.
	Signer    crypto.Signer
	Decrypter crypto.Decrypter

	// Certificate is Signer's. If nil, one is made with
	// [ProtocolCertificate], for the CSR's subject.
	Certificate *x509.Certificate

	// TransactionID is made of letters, digits and "'()+,-./:=? ". If "", it is
	// derived from the CSR's key: the first 20 bytes of the SHA-256 of its
	// SubjectPublicKeyInfo, as 40 hexadecimal digits. It is the same again
	// whenever the same key is asked for, which lets a CA recognize a repeated
	// request.
	TransactionID string

	// Extra certificates are sent along, and Attributes signed along.
	Extra      []*x509.Certificate
	Attributes []Attribute
}

// An Attribute is a signed attribute of a message.
type Attribute struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue // for writing, as [asn1.Marshal] takes it
}

// A transaction is a request with its defaults filled in.
type transaction struct {
	id          string
	csr         *pkimsg.CSR
	signer      crypto.Signer
	decrypter   crypto.Decrypter
	certificate *x509.Certificate
	extra       []*x509.Certificate
	attributes  []cms.Attribute
}

var errRequest = errors.New("bad request")

// transaction checks r. cert is what to sign with if r has no certificate; if
// it is nil too, one is made. The CSR counts only in an enrollment.
func (r *Request) transaction(cert *x509.Certificate, enrollment bool, now time.Time) (*transaction, error) {
	t := &transaction{id: r.TransactionID, signer: r.Signer, decrypter: r.Decrypter, extra: r.Extra, csr: new(pkimsg.CSR)}
	var err error
	if enrollment {
		if t.csr, err = pkimsg.ParseCSR(r.CSR); err != nil {
			return nil, fmt.Errorf("%w: %w", errRequest, err)
		}
	}
	if t.signer == nil {
		return nil, fmt.Errorf("%w: no Signer", errRequest)
	}
	if t.decrypter == nil {
		var ok bool
		if t.decrypter, ok = r.Signer.(crypto.Decrypter); !ok {
			return nil, fmt.Errorf("%w: no Decrypter, and Signer is none", errRequest)
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
		if !ok || !pub.Equal(t.certificate.PublicKey) {
			return nil, fmt.Errorf("%w: %s is not the RSA key of Certificate", errRequest, what)
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

// NewCSR makes a PKCS #10 request for key, an RSA key or one on a NIST curve,
// with the subject and the names of template, and with password as its
// challengePassword (RFC 2985, section 5.4.1) unless that is "".
func NewCSR(template *x509.CertificateRequest, key crypto.Signer, password string) ([]byte, error) {
	der, err := pkimsg.NewCSR(template, key, password)
	if err != nil {
		return nil, fmt.Errorf("scep: %w", err)
	}
	return der, nil
}

// ProtocolCertificate makes the self-signed certificate that a client without
// any other signs its messages with (RFC 8894, section 2.3), valid for a year.
// subject is a Name in DER; if it is nil or the empty name, "CN=SCEP Protocol
// Certificate" is taken, as Windows does.
func ProtocolCertificate(signer crypto.Signer, subject []byte, now time.Time) (*x509.Certificate, error) {
	pub, ok := signer.Public().(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%w: the signer of messages has a key %T, not RSA", errRequest, signer.Public())
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
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		SubjectKeyId: id[:], AuthorityKeyId: id[:],
		SignatureAlgorithm: x509.SHA256WithRSA,
	}
	if len(subject) > 0 && !bytes.Equal(subject, []byte{0x30, 0}) {
		template.RawSubject = subject
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, pub, signer)
	if err != nil {
		return nil, fmt.Errorf("protocol certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}
