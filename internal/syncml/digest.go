package syncml

import (
	"crypto/md5"
	"encoding/base64"
)

// TypeMD5 is the type of credentials and challenges that hold a [Digest].
const TypeMD5 = "syncml:auth-md5"

// Digest returns the data of syncml:auth-md5 credentials (OMA DM Security 1.2):
//
//	base64(MD5(base64(MD5(name ":" secret)) ":" nonce))
//
// The protocol fixes MD5, which protects little.
func Digest(name, secret string, nonce []byte) string {
	inner := md5.Sum([]byte(name + ":" + secret))
	outer := md5.Sum(append([]byte(base64.StdEncoding.EncodeToString(inner[:])+":"), nonce...))
	return base64.StdEncoding.EncodeToString(outer[:])
}
