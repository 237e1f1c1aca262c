package cms

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // for older peers
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// A Message is the input of [Sign].
type Message struct {
	Content     []byte              // of type data; nil means absent, which differs from empty
	Attributes  []Attribute         // signed, besides contentType and messageDigest
	Certificate *x509.Certificate   // the signer's; required
	Extra       []*x509.Certificate // follow Certificate in the message
	Hash        crypto.Hash         // SHA-1 or SHA-2; if 0, SHA-256
}

// Sign returns a ContentInfo with SignedData (RFC 5652, section 5) in DER. key is
// the key of m.Certificate, RSA or ECDSA. It always has signed attributes. The
// algorithm of an RSA signature is rsaEncryption with NULL parameters, which all
// peers accept (RFC 3370, section 3.2).
//
// The error wraps [ErrAlgorithm] if the key cannot sign with the hash, or the
// error of key.
func Sign(m *Message, key crypto.Signer) ([]byte, error) {
	hash := m.Hash
	if hash == 0 {
		hash = crypto.SHA256
	}
	digestID, scheme, err := schemeOf(key.Public(), hash)
	if err != nil {
		return nil, err
	}
	attributes, err := m.attributes(hash)
	if err != nil {
		return nil, err
	}
	signature, err := key.Sign(rand.Reader, sum(hash, attributes), hash)
	if err != nil {
		return nil, fmt.Errorf("cms: signing: %w", err)
	}
	return contentInfo(oidSignedData, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { addAlgorithm(b, digestID) })
		b.AddASN1(cbasn1.SEQUENCE, m.addContent)
		addCertificates(b, append([]*x509.Certificate{m.Certificate}, m.Extra...))
		b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(1)
				addIdentifier(b, m.Certificate)
				addAlgorithm(b, digestID)
				b.AddBytes(append([]byte{byte(tag0)}, attributes[1:]...))
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(scheme)
					if scheme.Equal(oidRSA) {
						b.AddASN1NULL()
					}
				})
				b.AddASN1OctetString(signature)
			})
		})
	})
}

func (m *Message) addContent(b *cryptobyte.Builder) {
	b.AddASN1ObjectIdentifier(oidData)
	if m.Content != nil {
		b.AddASN1(tag0, func(b *cryptobyte.Builder) { b.AddASN1OctetString(m.Content) })
	}
}

// attributes returns the signed attributes as a SET OF in DER: the bytes that are
// signed.
func (m *Message) attributes(hash crypto.Hash) ([]byte, error) {
	one := func(id asn1.ObjectIdentifier, value cryptobyte.BuilderContinuation) []byte {
		b := cryptobyte.NewBuilder(nil)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(id)
			b.AddASN1(cbasn1.SET, value)
		})
		der, err := b.Bytes()
		if err != nil {
			return nil
		}
		return der
	}
	all := [][]byte{
		one(oidContentType, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidData) }),
		one(oidMessageDigest, func(b *cryptobyte.Builder) { b.AddASN1OctetString(sum(hash, m.Content)) }),
	}
	for _, a := range m.Attributes {
		all = append(all, one(a.Type, func(b *cryptobyte.Builder) { b.AddBytes(a.Value) }))
	}
	slices.SortFunc(all, slices.Compare[[]byte])
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
		for _, der := range all {
			if der == nil {
				b.SetError(malformed("attribute"))
			}
			b.AddBytes(der)
		}
	})
	return b.Bytes()
}

var (
	rsaPrefix   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1}
	ecdsaPrefix = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3}
)

// A digest is a hash function with its object identifiers.
type digest struct {
	hash  crypto.Hash
	id    asn1.ObjectIdentifier
	rsa   int // last arc of the signature algorithm with RSA
	ecdsa int // last arc of the signature algorithm with ECDSA; 0 if not permitted
}

func digests() []digest {
	return []digest{
		{crypto.SHA1, asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}, 5, 0},
		{crypto.SHA256, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, 11, 2},
		{crypto.SHA384, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}, 12, 3},
		{crypto.SHA512, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}, 13, 4},
	}
}

// hashOf returns the hash function with an object identifier.
func hashOf(id asn1.ObjectIdentifier) (crypto.Hash, bool) {
	for _, d := range digests() {
		if d.id.Equal(id) {
			return d.hash, true
		}
	}
	return 0, false
}

// find returns the digest of a hash function, or the zero value.
func find(hash crypto.Hash) digest {
	for _, d := range digests() {
		if d.hash == hash {
			return d
		}
	}
	return digest{}
}

// schemeOf returns the object identifiers of a digest and of a signature that uses
// it.
func schemeOf(pub crypto.PublicKey, hash crypto.Hash) (digest, scheme asn1.ObjectIdentifier, err error) {
	d := find(hash)
	switch pub.(type) {
	case *rsa.PublicKey:
		if d.id != nil {
			return d.id, oidRSA, nil
		}
	case *ecdsa.PublicKey:
		if d.ecdsa != 0 {
			return d.id, append(slices.Clone(ecdsaPrefix), d.ecdsa), nil
		}
	}
	return nil, nil, fmt.Errorf("cms: %w: signature of %T with %v", ErrAlgorithm, pub, hash)
}

func sum(hash crypto.Hash, data []byte) []byte {
	h := hash.New()
	h.Write(data)
	return h.Sum(nil)
}

// verify checks a signature over data. For an RSA key, scheme may be rsaEncryption
// or RSA with the same digest.
func verify(pub crypto.PublicKey, hash crypto.Hash, scheme asn1.ObjectIdentifier, data, signature []byte) error {
	d := find(hash)
	ok := false
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		if !scheme.Equal(oidRSA) && !scheme.Equal(append(slices.Clone(rsaPrefix), d.rsa)) {
			return fmt.Errorf("cms: %w: signature %v", ErrAlgorithm, scheme)
		}
		ok = rsa.VerifyPKCS1v15(pub, hash, sum(hash, data), signature) == nil
	case *ecdsa.PublicKey:
		if d.ecdsa == 0 || !scheme.Equal(append(slices.Clone(ecdsaPrefix), d.ecdsa)) {
			return fmt.Errorf("cms: %w: signature %v", ErrAlgorithm, scheme)
		}
		ok = ecdsa.VerifyASN1(pub, sum(hash, data), signature)
	default:
		return fmt.Errorf("cms: %w: signature with a %T", ErrAlgorithm, pub)
	}
	if !ok {
		return fmt.Errorf("cms: %w", ErrSignature)
	}
	return nil
}
