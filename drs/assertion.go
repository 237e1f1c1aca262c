package drs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/big"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/internal/rsablob"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// assertionLife is the longest validity of an assertion.
const assertionLife = 300 * time.Second

// minSecret is the smallest size of a challenge's secret that is accepted, in bytes.
const minSecret = 16

// An identity is what an assertion says about a device.
type identity struct {
	profile  string
	subject  string // "ek:" and the hash of the endorsement key
	claim    string // claim for the key that is proved: "aik_name" or "dk_name"
	name     []byte // TPM name of that key
	nonce    []byte // of the client
	deviceID string // thumbprint of the device key, or ""
	blobHash string // hash of the transport key, or ""
}

// identity checks a proof and returns the identity that it claims.
func (p *Proof) identity(profile string) (*identity, error) {
	if p == nil || len(p.EKPublicArea) == 0 || len(p.EKPublicArea) > maxArea || p.Activate == nil {
		return nil, misuse.Errorf("the proof has no endorsement key or no Activate")
	}
	der, err := x509.MarshalPKIXPublicKey(p.EK)
	if err != nil {
		return nil, fmt.Errorf("endorsement key: %w", err)
	}
	area, claim := p.AIKPublicArea, "aik_name"
	if len(area) == 0 {
		area, claim = p.DeviceKeyPublicArea, "dk_name"
		if p.DeviceKey == nil {
			return nil, misuse.Errorf("the proof has neither an attestation key nor a device key")
		}
	}
	name, err := tpmName(area)
	if err != nil {
		return nil, fmt.Errorf("key to prove: %w", err)
	}
	hash := sha256.Sum256(der)
	id := &identity{profile: profile, subject: "ek:" + b64.EncodeToString(hash[:]), claim: claim, name: name, nonce: newNonce()}
	if p.DeviceKey != nil {
		if id.deviceID, err = thumbprint(p.DeviceKey); err != nil {
			return nil, err
		}
	}
	var blob []byte
	switch {
	case p.StorageKey != nil:
		if blob, err = storageBlob(p.StorageKey); err != nil {
			return nil, err
		}
	case p.TransportKey != nil:
		blob = rsablob.Marshal(p.TransportKey)
	default:
		return id, nil
	}
	sum := sha256.Sum256(blob)
	id.blobHash = b64.EncodeToString(sum[:])
	return id, nil
}

// assertion returns the JWT that answers a challenge, with a MAC by a key that is derived
// from the challenge's secret.
func (c *Client) assertion(id *identity, ch *challenge, nonce string, secret []byte) (string, error) {
	if len(secret) < minSecret {
		return "", fmt.Errorf("the challenge's secret has %d bytes", len(secret))
	}
	key, err := hkdf.Key(sha256.New, secret, ch.nonce, id.profile+" assertion\x00"+ch.id, sha256.Size)
	if err != nil {
		return "", err
	}
	defer clear(key)
	now := c.now()
	claims := jwt.MapClaims{
		"iss": id.subject, "sub": id.subject, "aud": ch.audience, "jti": ch.id,
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(ch.life).Unix(),
		"client_nonce": base64.StdEncoding.EncodeToString(id.nonce), id.claim: b64.EncodeToString(id.name),
	}
	if nonce != "" {
		claims["request_nonce"] = nonce
	}
	if id.deviceID != "" {
		claims["cnf"] = map[string]string{"jkt": id.deviceID}
	}
	if id.blobHash != "" {
		claims["tk_sha256"] = id.blobHash
	}
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, claims)
	token.Header["kid"] = ch.id
	return token.SignedString(key)
}

// thumbprint returns the JWK thumbprint of a device key (RFC 7638) with SHA-256.
func thumbprint(pub crypto.PublicKey) (string, error) {
	var text string
	switch key := pub.(type) {
	case *rsa.PublicKey:
		text = fmt.Sprintf(`{"e":"%s","kty":"RSA","n":"%s"}`, b64.EncodeToString(big.NewInt(int64(key.E)).Bytes()), b64.EncodeToString(key.N.Bytes()))
	case *ecdsa.PublicKey:
		point, err := key.Bytes()
		if err != nil || key.Curve != elliptic.P256() {
			return "", misuse.Errorf("device key is not on P-256")
		}
		text = fmt.Sprintf(`{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}`, b64.EncodeToString(point[1:33]), b64.EncodeToString(point[33:]))
	default:
		return "", misuse.Errorf("the device key is %s: make an RSA key of 2048 bits, or one on P-256", wire.KeyKind(pub))
	}
	sum := sha256.Sum256([]byte(text))
	return b64.EncodeToString(sum[:]), nil
}

// tpmName returns the TPM name of an object (TCG TPM 2.0 Library Part 1, Names): the
// identifier of its name algorithm, which is the second field of its public area, and the
// digest of the area by that algorithm.
func tpmName(area []byte) ([]byte, error) {
	if len(area) < 4 || len(area) > maxArea {
		return nil, fmt.Errorf("the public area has %d bytes", len(area))
	}
	hash := map[uint16]crypto.Hash{0x000B: crypto.SHA256, 0x000C: crypto.SHA384, 0x000D: crypto.SHA512}[binary.BigEndian.Uint16(area[2:])]
	if !hash.Available() { // nor is that of an unknown algorithm, 0
		return nil, fmt.Errorf("name algorithm 0x%04X is not supported", area[2:4])
	}
	h := hash.New()
	h.Write(area)
	return h.Sum(append([]byte(nil), area[2:4]...)), nil
}

// maxArea is the largest size of a TPM structure that is accepted, in bytes. Real ones are
// far smaller.
const maxArea = 4096

// sized returns a TPM structure with its size before it, as in TPM2B_ types.
func sized(b []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
}

// unsized removes the size, and reports whether it was right.
func unsized(b []byte) ([]byte, bool) {
	if len(b) <= 2 || len(b) > maxArea || int(binary.BigEndian.Uint16(b)) != len(b)-2 {
		return nil, false
	}
	return b[2:], true
}
