package aik

import "crypto"

// A SignerDecrypter is a key of both kinds, such as *rsa.PrivateKey.
type SignerDecrypter interface {
	crypto.Signer
	crypto.Decrypter
}
