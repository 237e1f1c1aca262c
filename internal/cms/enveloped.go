package cms

import (
	"crypto"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/subtle"
	"crypto/x509"
	"encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Encrypt returns a ContentInfo with EnvelopedData (RFC 5652, section 6) of
// content, of type data, for one recipient. The content key is encrypted with PKCS
// #1 v1.5. The error wraps [ErrAlgorithm] if the recipient's key is not an RSA key,
// or c is [DESCBC] or not one of the ciphers.
func Encrypt(content []byte, recipient *x509.Certificate, c Cipher) ([]byte, error) {
	pub, ok := recipient.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("cms: %w: the recipient's key is a %T, not an RSA key", ErrAlgorithm, recipient.PublicKey)
	}
	if c == DESCBC {
		return nil, fmt.Errorf("cms: %w: single DES", ErrAlgorithm)
	}
	alg, err := c.algorithm()
	if err != nil {
		return nil, err
	}
	key, iv := make([]byte, alg.keySize), make([]byte, alg.blockSize)
	_, _ = rand.Read(key)
	_, _ = rand.Read(iv)
	block, err := alg.block(key)
	if err != nil {
		return nil, fmt.Errorf("cms: %w", err)
	}
	//lint:ignore SA1019 PKCS #1 v1.5 is the key transport that SCEP peers support
	wrapped, err := rsa.EncryptPKCS1v15(rand.Reader, pub, key)
	if err != nil {
		return nil, fmt.Errorf("cms: encrypting the content key: %w", err)
	}
	sealed := pad(content, alg.blockSize)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(sealed, sealed)
	return contentInfo(oidEnvelopedData, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(0)
				addIdentifier(b, recipient)
				addAlgorithm(b, oidRSA)
				b.AddASN1OctetString(wrapped)
			})
		})
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidData)
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(alg.id)
				b.AddASN1OctetString(iv)
			})
			b.AddASN1(tag0Primitive, func(b *cryptobyte.Builder) { b.AddBytes(sealed) })
		})
	})
}

// Decrypt returns the content of a ContentInfo with EnvelopedData for cert, whose
// key is key. DES is refused; [Enveloped.Decrypt] can permit it. The errors
// are those of [ParseEnveloped] and [Enveloped.Decrypt].
func Decrypt(ber []byte, cert *x509.Certificate, key crypto.Decrypter) ([]byte, error) {
	e, err := ParseEnveloped(ber)
	if err != nil {
		return nil, err
	}
	return e.Decrypt(cert, key, false)
}

// An Enveloped is a parsed EnvelopedData.
type Enveloped struct {
	Cipher Cipher // of the content

	iv, sealed []byte
	recipients []recipient
}

// A recipient is a KeyTransRecipientInfo.
type recipient struct {
	id      identifier
	wrap    algorithm // key transport
	wrapped []byte    // encrypted content key
}

// ParseEnveloped reads a ContentInfo with EnvelopedData whose content has the type
// data. It ignores recipients that do not use key transport. The error wraps
// [ErrMalformed], or [ErrAlgorithm] if the cipher is not supported.
func ParseEnveloped(ber []byte) (*Enveloped, error) {
	in, err := readContentInfo(ber, oidEnvelopedData)
	if err != nil {
		return nil, err
	}
	var version int64
	var recipients, content cryptobyte.String
	if !in.ReadASN1Integer(&version) || version < 0 || version > 4 || !in.SkipOptionalASN1(tag0) ||
		!in.ReadASN1(&recipients, cbasn1.SET) || !in.ReadASN1(&content, cbasn1.SEQUENCE) ||
		!in.SkipOptionalASN1(tag1) || !in.Empty() {
		return nil, malformed("EnvelopedData")
	}
	e := new(Enveloped)
	if err := e.readRecipients(recipients); err != nil {
		return nil, err
	}
	if err := e.readContent(content); err != nil {
		return nil, err
	}
	return e, nil
}

func (e *Enveloped) readRecipients(set cryptobyte.String) error {
	for n := 0; !set.Empty(); n++ {
		if n == maxRecipients {
			return malformed(fmt.Sprintf("over %d recipients", maxRecipients))
		}
		var info, wrapped cryptobyte.String
		var tag cbasn1.Tag
		if !set.ReadAnyASN1(&info, &tag) {
			return malformed("RecipientInfo")
		}
		if tag != cbasn1.SEQUENCE {
			continue
		}
		var version int64
		var r recipient
		if !info.ReadASN1Integer(&version) || (version != 0 && version != 2) || !readIdentifier(&info, &r.id) ||
			!readAlgorithm(&info, &r.wrap) || !info.ReadASN1(&wrapped, cbasn1.OCTET_STRING) || !info.Empty() {
			return malformed("KeyTransRecipientInfo")
		}
		r.wrapped = wrapped
		e.recipients = append(e.recipients, r)
	}
	return nil
}

func (e *Enveloped) readContent(in cryptobyte.String) error {
	var id asn1.ObjectIdentifier
	var alg algorithm
	var iv cryptobyte.String
	if !in.ReadASN1ObjectIdentifier(&id) || !readAlgorithm(&in, &alg) {
		return malformed("EncryptedContentInfo")
	}
	if !id.Equal(oidData) {
		return malformed(fmt.Sprintf("encrypted content type %v is not data", id))
	}
	c, found, err := cipherOf(alg.id)
	if err != nil {
		return err
	}
	e.Cipher = c
	if !alg.params.ReadASN1(&iv, cbasn1.OCTET_STRING) || len(iv) != found.blockSize {
		return malformed("initialization vector")
	}
	e.iv = iv
	if e.sealed, err = readSealed(in); err != nil {
		return err
	}
	if len(e.sealed) == 0 || len(e.sealed)%found.blockSize != 0 {
		return malformed("encrypted content does not consist of whole blocks")
	}
	return nil
}

// readSealed reads a [0] IMPLICIT OCTET STRING, which may be in segments.
func readSealed(in cryptobyte.String) ([]byte, error) {
	var content, segment cryptobyte.String
	if in.PeekASN1Tag(tag0Primitive) {
		if !in.ReadASN1(&content, tag0Primitive) || !in.Empty() {
			return nil, malformed("encrypted content")
		}
		return content, nil
	}
	if !in.ReadASN1(&content, tag0) || !in.Empty() {
		return nil, malformed("no encrypted content")
	}
	sealed := make([]byte, 0, len(content))
	for !content.Empty() {
		if !content.ReadASN1(&segment, cbasn1.OCTET_STRING) {
			return nil, malformed("encrypted content")
		}
		sealed = append(sealed, segment...)
	}
	return sealed, nil
}

// Decrypt returns the content. cert must be one of the recipients, and key its
// key. legacy permits triple and single DES.
//
// The error wraps [ErrAlgorithm] if the cipher or the key transport is not
// permitted, [ErrRecipient] if cert is not a recipient, and [ErrMalformed] if it is
// one twice or the parameters of OAEP cannot be parsed. Every later failure is the
// same error, which wraps only [ErrDecrypt]: if key cannot decrypt the content
// key, a random one is used instead (RFC 3218), so that only the padding can be
// found to be wrong.
func (e *Enveloped) Decrypt(cert *x509.Certificate, key crypto.Decrypter, legacy bool) ([]byte, error) {
	alg, err := e.Cipher.algorithm()
	if err != nil {
		return nil, err
	}
	if (e.Cipher == DES3CBC || e.Cipher == DESCBC) && !legacy {
		return nil, fmt.Errorf("cms: %w: %v", ErrAlgorithm, e.Cipher)
	}
	r, err := e.recipient(cert)
	if err != nil {
		return nil, err
	}
	opts, err := r.options(alg.keySize)
	if err != nil {
		return nil, err
	}
	contentKey := make([]byte, alg.keySize)
	_, _ = rand.Read(contentKey)
	if got, err := key.Decrypt(rand.Reader, r.wrapped, opts); err == nil && len(got) == len(contentKey) {
		copy(contentKey, got)
	}
	block, err := alg.block(contentKey)
	if err != nil {
		return nil, fmt.Errorf("cms: %w", ErrDecrypt)
	}
	plain := make([]byte, len(e.sealed))
	cipher.NewCBCDecrypter(block, e.iv).CryptBlocks(plain, e.sealed)
	content, ok := unpad(plain, alg.blockSize)
	if !ok {
		return nil, fmt.Errorf("cms: %w", ErrDecrypt)
	}
	return content, nil
}

// recipient returns the recipient that is cert.
func (e *Enveloped) recipient(cert *x509.Certificate) (*recipient, error) {
	var found *recipient
	for i := range e.recipients {
		if !e.recipients[i].id.names(cert) {
			continue
		}
		if found != nil {
			return nil, malformed("a recipient occurs twice")
		}
		found = &e.recipients[i]
	}
	if found == nil {
		return nil, fmt.Errorf("cms: %w", ErrRecipient)
	}
	return found, nil
}

// pad returns a copy of b with padding up to whole blocks (RFC 5652, section 6.3).
func pad(b []byte, size int) []byte {
	n := size - len(b)%size
	out := make([]byte, len(b), len(b)+n)
	copy(out, b)
	for range n {
		out = append(out, byte(n))
	}
	return out
}

// unpad removes the padding. It takes the same time whatever the padding is.
func unpad(b []byte, size int) ([]byte, bool) {
	n := int(b[len(b)-1])
	ok := subtle.ConstantTimeLessOrEq(1, n) & subtle.ConstantTimeLessOrEq(n, size)
	for i := 1; i <= size; i++ {
		within := subtle.ConstantTimeLessOrEq(i, n)
		same := subtle.ConstantTimeByteEq(b[len(b)-i], byte(n))
		ok &= same | (1 - within)
	}
	if ok != 1 {
		return nil, false
	}
	return b[:len(b)-n], true
}
