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

// The library pkcs7 may panic, takes quadratic time on nested BER, accepts
// several signers and ignores bytes after the object. Therefore our own package
// parses every input first, strictly and within limits, and every call of the
// library is guarded.

// guard turns a panic into an error.
func guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("pkcs7: %v", v)
		}
	}()
	return f()
}

// verify checks the signature of a message with the signer's certificate in it,
// and returns that certificate.
func verify(der []byte, m *pkimsg.Message) (*x509.Certificate, error) {
	cert := m.Signed.Signer()
	if cert == nil {
		return nil, errors.New("the signer's certificate is not in the message")
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
			return errors.New("there is not exactly one signer")
		}
		return p7.Verify()
	})
}

// onlySigner returns a SignedData with no certificate but the signer's. The
// library refuses a message if it cannot parse one of its certificates, and
// certificates of TPMs are often odd.
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

// decrypt decrypts an EnvelopedData for the server, and returns its content and
// its cipher. Whatever fails in the decryption is the same error.
func (k *keys) decrypt(ber []byte) ([]byte, cms.Cipher, error) {
	e, err := cms.ParseEnveloped(ber)
	if err != nil {
		return nil, 0, err
	}
	if e.Cipher == cms.DESCBC {
		return nil, 0, errors.New("single DES is not supported")
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

// encryption guards the global variable that holds the library's cipher.
var encryption sync.Mutex

// encrypt returns an EnvelopedData of content for cert. The library cannot
// encrypt with triple DES, so our own package does that.
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
	case cms.DESCBC:
		pkcs7.ContentEncryptionAlgorithm = pkcs7.EncryptionAlgorithmDESCBC
	default:
		return cms.Encrypt(content, cert, cipher)
	}
	err = guard(func() error {
		// The library pads the slice that it is given in place.
		der, err = pkcs7.Encrypt(slices.Clone(content), []*x509.Certificate{cert})
		return err
	})
	return der, err
}

// sign returns a SignedData with envelope as its content: a pkiMessage with the
// attributes of info, or without attributes if info is nil. If envelope is nil,
// there is no content.
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

// signedBag returns a SignedData that has the certificates of GetCACert, a few bytes
// of content and a signer, as some servers send.
func (s *Server) signedBag(k *keys) (der []byte, err error) {
	err = guard(func() error {
		signed, err := pkcs7.NewSignedData([]byte("SCEP"))
		if err != nil {
			return err
		}
		signed.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA1)
		if err := signed.AddSigner(k.signer, k.signerKey, pkcs7.SignerInfoConfig{}); err != nil {
			return err
		}
		for _, c := range k.certificates {
			if !c.Equal(k.signer) {
				signed.AddCertificate(c)
			}
		}
		der, err = signed.Finish()
		return err
	})
	return der, err
}

// bag returns a SignedData that has only certificates.
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
