package drs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/internal/rsablob"
)

// deviceKeyData is a member of DeviceKeys, which a join may have instead of
// TransportKey.
type deviceKeyData struct {
	Data     string // a JWK (RFC 7517), as JSON
	Encoding string
	Type     string
	Usage    string
}

// A storageJWK is a public key on P-256 as macOS sends it: its coordinates, of 32 bytes
// each, are in standard base64 instead of the base64url of RFC 7518, section 6.2.
type storageJWK struct {
	Type  string `json:"kty"`
	X     []byte `json:"x"`
	Y     []byte `json:"y"`
	Curve string `json:"crv"`
	ID    string `json:"kid"` // a GUID in upper case
}

// deviceKeysVersion is the API version of joins with DeviceKeys.
const deviceKeysVersion = "3.0"

// version returns the API version of a join: usual, unless it has DeviceKeys or an EC device
// key.
func (r *Request) version(usual string) string {
	if r.StorageKey != nil || isEC(r.DeviceKey) {
		return deviceKeysVersion
	}
	return usual
}

// keys returns the key to which the directory encrypts, either as the blob of a transport
// key or as device keys.
func (r *Request) keys() ([]byte, []deviceKeyData, error) {
	switch {
	case r.StorageKey == nil && (r.TransportKey == nil || r.TransportKey.N == nil):
		return nil, nil, misuse.Errorf("no transport key")
	case r.StorageKey == nil:
		return rsablob.Marshal(r.TransportKey), nil, nil
	case r.TransportKey != nil:
		return nil, nil, misuse.Errorf("both a transport key and a storage key")
	}
	jwk, err := storageBlob(r.StorageKey)
	if err != nil {
		return nil, nil, err
	}
	return nil, []deviceKeyData{{Data: string(jwk), Encoding: "JWK", Type: "ECC", Usage: "STK"}}, nil
}

// storageBlob returns a storage key as it is sent. The identifier in it is random in other
// clients. Here it follows from the key, so that a join can be repeated.
func storageBlob(key *ecdsa.PublicKey) ([]byte, error) {
	if key.Curve != elliptic.P256() {
		return nil, misuse.Errorf("storage key is not on P-256")
	}
	point, err := key.Bytes()
	if err != nil {
		return nil, fmt.Errorf("storage key: %w", err)
	}
	sum := sha256.Sum256(point)
	id, _ := guidText(sum[:16])
	return json.Marshal(storageJWK{Type: "EC", X: point[1:33], Y: point[33:], Curve: "P-256", ID: strings.ToUpper(id)})
}

// keyData returns the bytes in which the key to which the directory encrypts is sent. An
// attestation covers them.
func (b *joinRequest) keyData() []byte {
	if len(b.DeviceKeys) > 0 {
		return []byte(b.DeviceKeys[0].Data)
	}
	return b.TransportKey
}
