// Package jose signs JWTs (RFC 7519) with a [crypto.Signer], such as a key in a
// TPM. The RS256 of package jwt takes only an *rsa.PrivateKey.
package jose

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"

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

// Sign returns a compact JWT with the given claims, signed by key with RS256.
// If cert is not nil, it goes into the header as x5c (RFC 7515, section 4.1.6).
// The error is as that of [RS256.Sign], or that of encoding the claims as JSON.
func Sign(key crypto.Signer, cert *x509.Certificate, claims jwt.Claims) (string, error) {
	token := jwt.NewWithClaims(RS256{}, claims)
	if cert != nil {
		token.Header["x5c"] = []string{base64.StdEncoding.EncodeToString(cert.Raw)}
	}
	return token.SignedString(key)
}
