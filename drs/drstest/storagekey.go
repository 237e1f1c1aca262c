package drstest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
)

// deviceKeysVersion is the first API version whose joins may have DeviceKeys.
const deviceKeysVersion = "3.0"

// deviceKeyData is a member of DeviceKeys, which a join may have instead of a transport key.
type deviceKeyData struct {
	Data                  string // a JWK as JSON, not encoded further
	Encoding, Type, Usage string
}

// readKeys reads the key to which the directory encrypts: a transport key, or the one member
// of DeviceKeys.
func (j *join) readKeys() error {
	var err error
	switch {
	case len(j.DeviceKeys) == 0:
		if j.transport, err = readTransportKey(j.TransportKey); err != nil {
			return badRequest("transport key: %w", err)
		}
		if n := j.transport.N.BitLen(); n != 2048 {
			return badRequest("transport key has %d bits", n)
		}
		return nil
	case len(j.TransportKey) > 0:
		return badRequest("device keys: the join has a transport key, too")
	case j.version != deviceKeysVersion:
		return badRequest("device keys: version %s does not have them", j.version)
	case len(j.DeviceKeys) != 1:
		return badRequest("device keys: there are %d, not 1", len(j.DeviceKeys))
	}
	if j.storage, err = j.DeviceKeys[0].read(); err != nil {
		return badRequest("device keys: %w", err)
	}
	return nil
}

// maxJWK is the largest size of a JWK that is accepted, in bytes.
const maxJWK = 4096

// read reads a storage key: a public JWK on P-256 whose coordinates are in standard base64, as
// macOS sends it, and whose identifier is a GUID in upper case. Some clients leave zeros at
// the start of a coordinate out.
func (k *deviceKeyData) read() (*ecdsa.PublicKey, error) {
	if k.Encoding != "JWK" || k.Type != "ECC" || k.Usage != "STK" || len(k.Data) > maxJWK {
		return nil, fmt.Errorf("encoding %q, type %q, usage %q, %d bytes", k.Encoding, k.Type, k.Usage, len(k.Data))
	}
	var jwk struct {
		Type    string          `json:"kty"`
		Curve   string          `json:"crv"`
		X       string          `json:"x"`
		Y       string          `json:"y"`
		ID      string          `json:"kid"`
		Private json.RawMessage `json:"d"`
	}
	if err := json.Unmarshal([]byte(k.Data), &jwk); err != nil {
		return nil, err
	}
	if jwk.Type != "EC" || jwk.Curve != "P-256" || jwk.Private != nil {
		return nil, fmt.Errorf("JWK of type %q on curve %q, private: %t", jwk.Type, jwk.Curve, jwk.Private != nil)
	}
	if _, err := guidBytes(jwk.ID); err != nil || jwk.ID != strings.ToUpper(jwk.ID) {
		return nil, fmt.Errorf("kid %q is not a GUID in upper case", jwk.ID)
	}
	point := []byte{4} // uncompressed
	for _, text := range []string{jwk.X, jwk.Y} {
		b, err := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil {
			return nil, err
		}
		if len(b) == 0 || len(b) > 32 {
			return nil, fmt.Errorf("a coordinate has %d bytes", len(b))
		}
		point = append(append(point, make([]byte, 32-len(b))...), b...)
	}
	return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
}

// keyData returns the key to which the directory encrypts as it was sent. An attestation
// covers these bytes.
func (j *join) keyData() []byte {
	if len(j.DeviceKeys) > 0 {
		return []byte(j.DeviceKeys[0].Data)
	}
	return j.TransportKey
}

// encryptTo returns the key to which the directory encrypts.
func (j *join) encryptTo() crypto.PublicKey {
	if j.storage != nil {
		return j.storage
	}
	return j.transport
}
