package provision

import (
	"context"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"

	"github.com/whiteglove/whiteglove/attest"
)

// lockAway encrypts text so that only the TPM with a decryption key opens it: a
// fresh AES-256 key, by RSA-OAEP with SHA-256; then text, by AES-GCM.
func lockAway(key *attest.Key, text []byte) ([]byte, error) {
	public, ok := key.Public().(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%w: the transport key is no RSA key", ErrState)
	}
	secret := make([]byte, 32)
	rand.Read(secret)
	box, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public, secret, nil)
	if err != nil {
		return nil, err
	}
	gcm, err := newGCM(secret)
	if err != nil {
		return nil, err
	}
	return gcm.Seal(box, nil, text, nil), nil
}

// unlock opens what lockAway returned.
func unlock(ctx context.Context, key *attest.Key, box []byte) ([]byte, error) {
	public, ok := key.Public().(*rsa.PublicKey)
	if !ok || len(box) < public.Size() {
		return nil, fmt.Errorf("%w: what is encrypted in it is damaged", ErrState)
	}
	secret, err := key.WithContext(ctx).Decrypt(nil, box[:public.Size()], &rsa.OAEPOptions{Hash: crypto.SHA256})
	if err != nil {
		return nil, err
	}
	gcm, err := newGCM(secret)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	text, err := gcm.Open(nil, nil, box[public.Size():], nil)
	if err != nil {
		return nil, fmt.Errorf("%w: what is encrypted in it was changed", ErrState)
	}
	return text, nil
}

// newGCM returns AES-GCM that makes its own nonces.
func newGCM(secret []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
