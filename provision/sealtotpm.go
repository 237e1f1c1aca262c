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

// sealToTPM encrypts text so that only the TPM that holds key can decrypt it. The
// result is a fresh AES-256 key, encrypted by RSA-OAEP with SHA-256, followed by
// the text, encrypted by AES-GCM with its nonce in front.
func sealToTPM(key *attest.Key, text []byte) ([]byte, error) {
	public, ok := key.Public().(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%w: the transport key is not an RSA key", ErrState)
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

// openSealed decrypts what sealToTPM encrypted. The error wraps ErrState if box was
// damaged.
func openSealed(ctx context.Context, key *attest.Key, box []byte) ([]byte, error) {
	public, ok := key.Public().(*rsa.PublicKey)
	if !ok || len(box) < public.Size() {
		return nil, fmt.Errorf("%w: an encrypted part is damaged", ErrState)
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
		return nil, fmt.Errorf("%w: an encrypted part was changed", ErrState)
	}
	return text, nil
}

// newGCM returns AES-GCM that makes its own nonces and puts them before the
// ciphertext.
func newGCM(secret []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
