package drs

import (
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/whiteglove/whiteglove/internal/rsablob"
)

// deviceKeyData is a member of DeviceKeys, which a join may have instead of
// TransportKey.
type deviceKeyData struct {
	Data     []byte // a JWK (RFC 7517), as JSON
	Encoding string
	Type     string
	Usage    string
}

// A storageJWK is a public key on P-256 (RFC 7518, section 6.2). Its coordinates have 32
// bytes each, in base64url.
type storageJWK struct {
	Type  string `json:"kty"`
	Curve string `json:"crv"`
	X     string `json:"x"`
	Y     string `json:"y"`
}

// deviceKeysVersion is the API version of joins with DeviceKeys.
const deviceKeysVersion = "3.0"

// version returns the API version of a join: usual, unless it has DeviceKeys.
func (r *Request) version(usual string) string {
	if r.StorageKey != nil {
		return deviceKeysVersion
	}
	return usual
}

// keys returns the key to which the directory encrypts, either as the blob of a transport
// key or as device keys.
func (r *Request) keys() ([]byte, []deviceKeyData, error) {
	switch {
	case r.StorageKey == nil && (r.TransportKey == nil || r.TransportKey.N == nil):
		return nil, nil, errors.New("no transport key")
	case r.StorageKey == nil:
		return rsablob.Marshal(r.TransportKey), nil, nil
	case r.TransportKey != nil:
		return nil, nil, errors.New("both a transport key and a storage key")
	case r.StorageKey.Curve != elliptic.P256():
		return nil, nil, errors.New("storage key is not on P-256")
	}
	point, err := r.StorageKey.Bytes()
	if err != nil {
		return nil, nil, fmt.Errorf("storage key: %w", err)
	}
	e := base64.RawURLEncoding.EncodeToString
	jwk, err := json.Marshal(storageJWK{Type: "EC", Curve: "P-256", X: e(point[1:33]), Y: e(point[33:])})
	if err != nil {
		return nil, nil, fmt.Errorf("storage key: %w", err)
	}
	return nil, []deviceKeyData{{Data: jwk, Encoding: "JWK", Type: "ECC", Usage: "STK"}}, nil
}

// keyData returns the bytes in which the key to which the directory encrypts is sent. An
// attestation covers them.
func (b *joinRequest) keyData() []byte {
	if len(b.DeviceKeys) > 0 {
		return b.DeviceKeys[0].Data
	}
	return b.TransportKey
}
