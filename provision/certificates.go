package provision

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"fmt"

	"github.com/whiteglove/whiteglove/attest"
)

// certificateOf parses a device certificate of the stored state. The error wraps
// ErrState if the certificate is not for key.
func certificateOf(der []byte, key *attest.Key) (*x509.Certificate, error) {
	chain, err := chainOf([][]byte{der}, key, "device")
	if err != nil {
		return nil, err
	}
	return chain[0], nil
}

// chainOf parses certificates of the stored state, of which the first is for what. The
// error wraps ErrState if that is not for key.
func chainOf(raw [][]byte, key *attest.Key, what string) ([]*x509.Certificate, error) {
	chain, err := parseChain(raw)
	if err != nil {
		return nil, err
	}
	if !samePublic(chain[0].PublicKey, key.Public()) {
		return nil, fmt.Errorf("%w: the %s certificate is for another key", ErrState, what)
	}
	return chain, nil
}

// rawChain returns certificates in DER.
func rawChain(chain []*x509.Certificate) [][]byte {
	raw := make([][]byte, len(chain))
	for i, c := range chain {
		raw[i] = c.Raw
	}
	return raw
}

// parseChain parses the certificates of a stored state, of which there must be at
// least one. The error wraps ErrState.
func parseChain(raw [][]byte) ([]*x509.Certificate, error) {
	chain := make([]*x509.Certificate, len(raw))
	for i, der := range raw {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrState, err)
		}
		chain[i] = cert
	}
	if len(chain) == 0 {
		return nil, fmt.Errorf("%w: a certificate is missing", ErrState)
	}
	return chain, nil
}

// spkiSHA256 returns the SHA-256 of a key's SubjectPublicKeyInfo in DER.
func spkiSHA256(pub crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(der)
	return sum[:], nil
}

// samePublic reports whether a and b are the same public key.
func samePublic(a, b crypto.PublicKey) bool {
	k, ok := a.(interface {
		Equal(crypto.PublicKey) bool
	})
	return ok && k.Equal(b)
}
