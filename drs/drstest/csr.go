package drstest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/whiteglove/whiteglove/internal/rsablob"
	"github.com/whiteglove/whiteglove/internal/spki"
)

type asn1ID = asn1.ObjectIdentifier

// requestName is the common name of every certificate request.
const requestName = "7E980AD9-B86D-4306-9425-9AC066FB014A"

// Object identifiers in a certificate request.
var (
	oidNonce      = asn1ID{1, 2, 840, 113556, 1, 5, 284, 2, 1} // extension with the nonce of a join
	oidExtensions = asn1ID{1, 2, 840, 113549, 1, 9, 14}        // attribute with extensions
	oidCommonName = asn1ID{2, 5, 4, 3}
	oidSHA256RSA  = asn1ID{1, 2, 840, 113549, 1, 1, 11}
	oidSHA256EC   = asn1ID{1, 2, 840, 10045, 4, 3, 2}
)

// readTransportKey reads a transport key: a BCRYPT_RSAKEY_BLOB, or a JWK whose numbers are in
// standard base64, as clients other than Windows send it.
func readTransportKey(b []byte) (*rsa.PublicKey, error) {
	if len(b) == 0 || b[0] != '{' {
		return rsablob.Parse(b)
	}
	var jwk struct {
		Type string `json:"kty"`
		E, N []byte
	}
	if err := json.Unmarshal(b, &jwk); err != nil {
		return nil, err
	}
	e := new(big.Int).SetBytes(jwk.E)
	if jwk.Type != "RSA" || len(jwk.N) == 0 || e.BitLen() < 2 || e.BitLen() > 31 {
		return nil, fmt.Errorf("a JWK of type %q with an exponent of %d bits is not valid", jwk.Type, e.BitLen())
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(jwk.N), E: int(e.Int64())}, nil
}

// A csr is a PKCS #10 request whose signature was verified.
type csr struct {
	name  string           // common name of the subject, without a NUL at its end
	key   crypto.PublicKey // an *rsa.PublicKey, or an *ecdsa.PublicKey on P-256
	spki  []byte           // key as SubjectPublicKeyInfo
	nonce string           // "" if it has none
}

var errCSR = errors.New("it cannot be read")

// readCSR reads a PKCS #10 request (RFC 2986). It does not use crypto/x509, which refuses the
// requests of some Windows clients because their PrintableString ends with a NUL.
func readCSR(der []byte) (*csr, error) {
	in, out := cryptobyte.String(der), new(csr)
	var outer, info, subject, key, attributes, algorithm cryptobyte.String
	var tbs []byte
	var signature asn1.BitString
	var version int
	var id asn1ID
	if !in.ReadASN1(&outer, cbasn1.SEQUENCE) || !in.Empty() || !outer.ReadASN1Element((*cryptobyte.String)(&tbs), cbasn1.SEQUENCE) ||
		!outer.ReadASN1(&algorithm, cbasn1.SEQUENCE) || !algorithm.ReadASN1ObjectIdentifier(&id) ||
		!outer.ReadASN1BitString(&signature) || !outer.Empty() {
		return nil, errCSR
	}
	in = tbs
	if !in.ReadASN1(&info, cbasn1.SEQUENCE) || !info.ReadASN1Integer(&version) || version != 0 || !info.ReadASN1(&subject, cbasn1.SEQUENCE) ||
		!info.ReadASN1Element(&key, cbasn1.SEQUENCE) || !info.ReadOptionalASN1(&attributes, nil, contextZero) || !info.Empty() {
		return nil, errCSR
	}
	var err error
	if out.key, err = spki.Parse(key); err != nil {
		return nil, err
	}
	out.spki = key
	if err := checkSignedBy(out.key, id, tbs, signature.RightAlign()); err != nil {
		return nil, err
	}
	var ok bool
	if out.name, ok = commonName(subject); !ok {
		return nil, errors.New("its subject is not one common name")
	}
	if out.nonce, ok = nonceIn(attributes); !ok {
		return nil, errors.New("its nonce cannot be read")
	}
	return out, nil
}

// checkSignedBy checks the signature of a request by its own key.
func checkSignedBy(pub crypto.PublicKey, id asn1ID, tbs, signature []byte) error {
	digest := sha256.Sum256(tbs)
	switch key := pub.(type) {
	case *rsa.PublicKey:
		if !id.Equal(oidSHA256RSA) {
			return errors.New("it is not signed with RSA and SHA-256")
		}
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature)
	case *ecdsa.PublicKey:
		if !id.Equal(oidSHA256EC) || key.Curve != elliptic.P256() || !ecdsa.VerifyASN1(key, digest[:], signature) {
			return errors.New("it is not signed with ECDSA on P-256 and SHA-256")
		}
		return nil
	}
	return errors.New("its key is neither an RSA key nor one on P-256")
}

// commonName reads a name that is one common name.
func commonName(s cryptobyte.String) (string, bool) {
	var set, pair, value cryptobyte.String
	var id asn1ID
	var tag cbasn1.Tag
	if !s.ReadASN1(&set, cbasn1.SET) || !s.Empty() || !set.ReadASN1(&pair, cbasn1.SEQUENCE) || !set.Empty() ||
		!pair.ReadASN1ObjectIdentifier(&id) || !id.Equal(oidCommonName) || !pair.ReadAnyASN1(&value, &tag) || !pair.Empty() {
		return "", false
	}
	return strings.TrimSuffix(string(value), "\x00"), tag == cbasn1.PrintableString || tag == cbasn1.UTF8String
}

// nonceIn returns the nonce in the attributes of a request, or "". It reports whether they
// can be read.
func nonceIn(attributes cryptobyte.String) (nonce string, ok bool) {
	for !attributes.Empty() {
		var attribute, values, list cryptobyte.String
		var id asn1ID
		if !attributes.ReadASN1(&attribute, cbasn1.SEQUENCE) || !attribute.ReadASN1ObjectIdentifier(&id) || !attribute.ReadASN1(&values, cbasn1.SET) {
			return "", false
		}
		if !id.Equal(oidExtensions) {
			continue
		}
		if !values.ReadASN1(&list, cbasn1.SEQUENCE) {
			return "", false
		}
		for !list.Empty() {
			value, id, ok := readExtension(&list)
			if !ok {
				return "", false
			}
			if !id.Equal(oidNonce) {
				continue
			}
			var inner cryptobyte.String
			if !value.ReadASN1(&inner, cbasn1.OCTET_STRING) || !value.Empty() || len(inner) == 0 || nonce != "" {
				return "", false
			}
			nonce = string(inner)
		}
	}
	return nonce, true
}

// readExtension reads one extension of a list.
func readExtension(list *cryptobyte.String) (value cryptobyte.String, id asn1ID, ok bool) {
	var extension cryptobyte.String
	var critical bool
	ok = list.ReadASN1(&extension, cbasn1.SEQUENCE) && extension.ReadASN1ObjectIdentifier(&id) &&
		extension.ReadOptionalASN1Boolean(&critical, cbasn1.BOOLEAN, false) && extension.ReadASN1(&value, cbasn1.OCTET_STRING) && extension.Empty()
	return value, id, ok
}

// contextZero is the tag of a request's attributes.
var contextZero = cbasn1.Tag(0).ContextSpecific().Constructed()
