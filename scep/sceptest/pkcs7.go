package sceptest

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"sync"

	"go.mozilla.org/pkcs7"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/pkimsg"
)

// The library may panic, is quadratic on nested BER, takes several signers and
// ignores what follows the object. So input is parsed strictly by our own
// package first, which bounds it, and every call is guarded.

// guard turns a panic into an error.
func guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("pkcs7: %v", v)
		}
	}()
	return f()
}

// verify checks the signature of a message with the certificate that the
// signer sent along, and returns that.
func verify(der []byte, m *pkimsg.Message) (*x509.Certificate, error) {
	cert := m.Signed.Signer()
	if cert == nil {
		return nil, errors.New("the signer's certificate is not sent along")
	}
	der, err := onlySigner(der, cert)
	if err != nil {
		return nil, err
	}
	return cert, guard(func() error {
		p7, err := pkcs7.Parse(der)
		if err != nil {
			return err
		}
		if only := p7.GetOnlySigner(); only == nil || !only.Equal(cert) {
			return errors.New("no signer, or not one")
		}
		return p7.Verify()
	})
}

// onlySigner returns a SignedData without the certificates that are not the
// signer's: the library refuses all if it cannot read one, and certificates of
// TPMs are often odd.
func onlySigner(ber []byte, signer *x509.Certificate) ([]byte, error) {
	der, err := cms.DER(ber)
	if err != nil {
		return nil, err
	}
	in := cryptobyte.String(der)
	tag0 := cbasn1.Tag(0).Constructed().ContextSpecific()
	var outer, explicit, body, field cryptobyte.String
	var id asn1.ObjectIdentifier
	if !in.ReadASN1(&outer, cbasn1.SEQUENCE) || !outer.ReadASN1ObjectIdentifier(&id) ||
		!outer.ReadASN1(&explicit, tag0) || !explicit.ReadASN1(&body, cbasn1.SEQUENCE) {
		return nil, errors.New("not a SignedData")
	}
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(id)
		b.AddASN1(tag0, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				var tag cbasn1.Tag
				for body.ReadAnyASN1Element(&field, &tag) {
					if tag == tag0 {
						b.AddASN1(tag0, func(b *cryptobyte.Builder) { b.AddBytes(signer.Raw) })
						continue
					}
					b.AddBytes(field)
				}
			})
		})
	})
	return b.Bytes()
}

var errDecrypt = errors.New("cannot be decrypted")

// decrypt opens an envelope for the server, and says by which cipher. All that
// can go wrong with the keys is one error.
func (k *keys) decrypt(ber []byte) ([]byte, cms.Cipher, error) {
	e, err := cms.ParseEnveloped(ber)
	if err != nil {
		return nil, 0, err
	}
	der, err := cms.DER(ber)
	if err != nil {
		return nil, 0, err
	}
	var content []byte
	err = guard(func() error {
		p7, err := pkcs7.Parse(der)
		if err != nil {
			return err
		}
		content, err = p7.Decrypt(k.recipient, k.decrypter)
		return err
	})
	if err != nil {
		return nil, 0, errDecrypt
	}
	return content, e.Cipher, nil
}

// singleDES is a cipher that only QuirkDES asks for.
const singleDES cms.Cipher = -1

// encryption guards the cipher that the library has in a global.
var encryption sync.Mutex

// encrypt makes an envelope for cert. The library cannot encrypt with triple
// DES; our own package does that.
func encrypt(content []byte, cert *x509.Certificate, cipher cms.Cipher) (der []byte, err error) {
	if _, ok := cert.PublicKey.(*rsa.PublicKey); !ok {
		return nil, errors.New("the signer's key is not an RSA key")
	}
	encryption.Lock()
	defer encryption.Unlock()
	before := pkcs7.ContentEncryptionAlgorithm
	defer func() { pkcs7.ContentEncryptionAlgorithm = before }()
	switch cipher {
	case cms.AES128CBC:
		pkcs7.ContentEncryptionAlgorithm = pkcs7.EncryptionAlgorithmAES128CBC
	case cms.AES256CBC:
		pkcs7.ContentEncryptionAlgorithm = pkcs7.EncryptionAlgorithmAES256CBC
	case singleDES:
		pkcs7.ContentEncryptionAlgorithm = pkcs7.EncryptionAlgorithmDESCBC
	default:
		return cms.Encrypt(content, cert, cipher)
	}
	err = guard(func() error {
		// The library pads in the slice it is given.
		der, err = pkcs7.Encrypt(slices.Clone(content), []*x509.Certificate{cert})
		return err
	})
	return der, err
}

// sign makes a pkiMessage, or, if info is nil, signs content as it is. Without
// an envelope it has no content.
func (s *Server) sign(k *keys, info *pkimsg.Info, envelope []byte) (der []byte, err error) {
	var values []cms.Attribute
	if info != nil {
		if values, err = info.Attributes(); err != nil {
			return nil, err
		}
	}
	cert, key := k.signer, k.signerKey
	if s.Quirks.has(QuirkForeignSigner) {
		if cert, key, err = s.stranger(); err != nil {
			return nil, err
		}
	}
	if envelope == nil && s.Quirks.has(QuirkEmptyContent) {
		envelope = []byte{}
	}
	if s.Quirks.has(QuirkPlainRSA) {
		return cms.Sign(&cms.Message{Content: envelope, Attributes: values, Certificate: cert, Hash: s.Quirks.hash()}, key)
	}
	var config pkcs7.SignerInfoConfig
	for _, a := range values {
		config.ExtraSignedAttributes = append(config.ExtraSignedAttributes,
			pkcs7.Attribute{Type: a.Type, Value: asn1.RawValue{FullBytes: a.Value}})
	}
	err = guard(func() error {
		signed, err := pkcs7.NewSignedData(envelope)
		if err != nil {
			return err
		}
		signed.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
		if s.Quirks.has(QuirkSHA1) {
			signed.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA1)
		}
		if err := signed.AddSigner(cert, key, config); err != nil {
			return err
		}
		if envelope == nil {
			signed.Detach()
		}
		der, err = signed.Finish()
		return err
	})
	return der, err
}

// bag makes a SignedData of certificates alone.
func bag(certs []*x509.Certificate) (der []byte, err error) {
	var raw []byte
	for _, c := range certs {
		raw = append(raw, c.Raw...)
	}
	err = guard(func() error {
		der, err = pkcs7.DegenerateCertificate(raw)
		return err
	})
	return der, err
}
