package attest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"
)

// The TPM signs as it was asked to, or the signature is refused.
func TestOtherScheme(t *testing.T) {
	key := &rsa.PublicKey{N: modulus(2048), E: 65537}
	for name, tt := range map[string]struct {
		alg  uint16
		pub  crypto.PublicKey
		opts crypto.SignerOpts
		want string
	}{
		"PKCS #1 v1.5":         {algRSASSA, key, crypto.SHA256, ""},
		"PSS, not asked for":   {algRSAPSS, key, crypto.SHA256, "scheme 0x0016"},
		"PSS is asked for":     {algRSASSA, key, &rsa.PSSOptions{Hash: crypto.SHA256}, "scheme 0x0014"},
		"ECDSA of an RSA key":  {algECDSA, key, crypto.SHA256, "scheme 0x0018"},
		"RSASSA of an EC key":  {algRSASSA, new(ecdsa.PublicKey), crypto.SHA256, "scheme 0x0014"},
		"a wrong PSS, as said": {algRSAPSS, key, &rsa.PSSOptions{Hash: crypto.SHA256}, "salt length"},
	} {
		_, err := (&signature{alg: tt.alg, r: make([]byte, 256)}).external(tt.pub, make([]byte, 32), tt.opts)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a key is asked to decrypt, and how.
func TestDecryptScheme(t *testing.T) {
	pub := &rsa.PublicKey{N: modulus(2048), E: 65537}
	decrypts := &Key{pub: pub, attrs: attrDecrypt}
	//lint:ignore SA1019 CMS key transport is PKCS #1 v1.5
	none := (*rsa.PKCS1v15DecryptOptions)(nil)
	for name, tt := range map[string]struct {
		key  *Key
		opts crypto.DecrypterOpts
		want string
	}{
		"PKCS #1 v1.5":          {decrypts, nil, ""},
		"PKCS #1 v1.5, a nil":   {decrypts, none, ""},
		"OAEP":                  {decrypts, &rsa.OAEPOptions{Hash: crypto.SHA256}, ""},
		"OAEP, the same hash":   {decrypts, &rsa.OAEPOptions{Hash: crypto.SHA256, MGFHash: crypto.SHA256}, ""},
		"OAEP, two hashes":      {decrypts, &rsa.OAEPOptions{Hash: crypto.SHA256, MGFHash: crypto.SHA1}, "two hashes"},
		"OAEP, no hash":         {decrypts, &rsa.OAEPOptions{}, "unknown hash"},
		"OAEP, a label":         {decrypts, &rsa.OAEPOptions{Hash: crypto.SHA256, Label: []byte{0}}, "label"},
		"OAEP, a nil":           {decrypts, (*rsa.OAEPOptions)(nil), "no OAEP options"},
		"a key that signs":      {&Key{pub: pub, attrs: attrSign}, nil, "does not decrypt"},
		"a storage key":         {&Key{pub: pub, attrs: attrDecrypt | attrRestricted}, nil, "does not decrypt"},
		"an EC key":             {&Key{pub: new(ecdsa.PublicKey), attrs: attrDecrypt}, nil, "does not decrypt"},
		"an EC key that signs":  {&Key{pub: new(ecdsa.PublicKey)}, nil, "does not decrypt"},
		"no key":                {nil, nil, errNoKey.Error()},
		"options of another":    {decrypts, crypto.SHA256, "unknown options"},
		"a session key of none": {decrypts, none, ""},
	} {
		_, err := tt.key.decryptScheme(make([]byte, 256), tt.opts)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
		if n := sessionKeyLen(tt.opts); n != 0 {
			t.Errorf("%s: session key of %d bytes", name, n)
		}
	}
}

// A session key of the right length is returned, and a random one in the place of any
// other, or of an error about the padding.
func TestSessionKey(t *testing.T) {
	want := bytes.Repeat([]byte{7}, 16)
	padding := &Error{Op: "TPM2_RSA_Decrypt", RC: tpm2.TPMRCValue, Err: tpm2.TPMRCValue}
	for name, tt := range map[string]struct {
		plain []byte
		err   error
		same  bool
		fails bool
	}{
		"right":          {want, nil, true, false},
		"short":          {want[:15], nil, false, false},
		"long":           {append(want, 7), nil, false, false},
		"padding":        {nil, padding, false, false},
		"beside padding": {want, padding, false, false},
		"another error":  {want, errors.New("no"), false, true},
	} {
		got, err := sessionKey(tt.plain, tt.err, 16)
		if (err != nil) != tt.fails || !tt.fails && (len(got) != 16 || bytes.Equal(got, want) != tt.same) {
			t.Errorf("%s: %x, %v", name, got, err)
		}
	}
}
