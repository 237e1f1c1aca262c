// Package jose signs JWTs (RFC 7519) with a [crypto.Signer], such as a key in a
// TPM. The methods of package jwt take only private keys in memory.
package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"

	"github.com/golang-jwt/jwt/v5"
)

// RS256 is the signing method RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518, section
// 3.3) for any [crypto.Signer] with an RSA key. It implements
// [jwt.SigningMethod].
type RS256 struct{}

// Alg returns "RS256".
func (RS256) Alg() string { return jwt.SigningMethodRS256.Alg() }

// Verify checks a signature with key, an *rsa.PublicKey. The error is that of
// [jwt.SigningMethodRSA.Verify].
func (RS256) Verify(text string, sig []byte, key any) error {
	return jwt.SigningMethodRS256.Verify(text, sig, key)
}

// Sign signs text with key, a [crypto.Signer]. The error wraps
// [jwt.ErrInvalidKeyType] if key is none or its key is not RSA; otherwise it is
// that of the signer.
func (RS256) Sign(text string, key any) ([]byte, error) {
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%w: %T is not a crypto.Signer", jwt.ErrInvalidKeyType, key)
	}
	if _, ok := signer.Public().(*rsa.PublicKey); !ok {
		return nil, fmt.Errorf("%w: RS256 needs an RSA key, not %T", jwt.ErrInvalidKeyType, signer.Public())
	}
	digest := sha256.Sum256([]byte(text))
	return signer.Sign(rand.Reader, digest[:], crypto.SHA256)
}

// ES256 is the signing method ECDSA on P-256 with SHA-256 (RFC 7518, section 3.4) for
// any [crypto.Signer] with such a key. It implements [jwt.SigningMethod].
type ES256 struct{}

// Alg returns "ES256".
func (ES256) Alg() string { return jwt.SigningMethodES256.Alg() }

// Verify checks a signature with key, an *ecdsa.PublicKey. The error is that of
// [jwt.SigningMethodECDSA.Verify].
func (ES256) Verify(text string, sig []byte, key any) error {
	return jwt.SigningMethodES256.Verify(text, sig, key)
}

// Sign signs text with key, a [crypto.Signer], whose signatures are in DER. The error
// wraps [jwt.ErrInvalidKeyType] if key is none or its key is not on P-256;
// otherwise it is that of the signer, or of no exported type if the signature
// cannot be read.
func (ES256) Sign(text string, key any) ([]byte, error) {
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%w: %T is not a crypto.Signer", jwt.ErrInvalidKeyType, key)
	}
	if pub, ok := signer.Public().(*ecdsa.PublicKey); !ok || pub.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%w: ES256 needs a key on P-256, not %T", jwt.ErrInvalidKeyType, signer.Public())
	}
	digest := sha256.Sum256([]byte(text))
	der, err := signer.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	var sig struct{ R, S *big.Int }
	const size = 32 // of each number
	if rest, err := asn1.Unmarshal(der, &sig); err != nil || len(rest) > 0 || sig.R.Sign() <= 0 || sig.S.Sign() <= 0 || sig.R.BitLen() > 8*size || sig.S.BitLen() > 8*size {
		return nil, errors.New("the key's signature cannot be read")
	}
	out := make([]byte, 2*size)
	sig.R.FillBytes(out[:size])
	sig.S.FillBytes(out[size:])
	return out, nil
}

// Method returns the signing method for a key: ES256 for one on P-256, otherwise RS256.
func Method(key crypto.Signer) jwt.SigningMethod {
	if key != nil {
		if _, ok := key.Public().(*ecdsa.PublicKey); ok {
			return ES256{}
		}
	}
	return RS256{}
}

// Sign returns a compact JWT with the given claims, signed by key with the method that
// [Method] returns. If cert is not nil, it goes into the header as x5c (RFC 7515,
// section 4.1.6). The error is as that of the method, or that of encoding the claims as
// JSON.
func Sign(key crypto.Signer, cert *x509.Certificate, claims jwt.Claims) (string, error) {
	token := jwt.NewWithClaims(Method(key), claims)
	if cert != nil {
		token.Header["x5c"] = []string{base64.StdEncoding.EncodeToString(cert.Raw)}
	}
	return token.SignedString(key)
}
