package syncml

import (
	"crypto/md5"
	"encoding/base64"
)

// TypeMD5 is the type of credentials and challenges of [Digest].
const TypeMD5 = "syncml:auth-md5"

// Digest returns the data of syncml:auth-md5 credentials (OMA DM Security
// 1.2): base64 of MD5 over base64 of MD5(name ":" secret), a colon and
// the nonce. MD5 is the protocol's, and protects little.
func Digest(name, secret string, nonce []byte) string {
	inner := md5.Sum([]byte(name + ":" + secret))
	outer := md5.Sum(append([]byte(base64.StdEncoding.EncodeToString(inner[:])+":"), nonce...))
	return base64.StdEncoding.EncodeToString(outer[:])
}
