package aik

import "crypto"

// A SignerDecrypter is a key that signs and decrypts, such as an *rsa.PrivateKey.
type SignerDecrypter interface {
	crypto.Signer
	crypto.Decrypter
}
