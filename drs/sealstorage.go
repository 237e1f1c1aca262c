package drs

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
)

// sealedToStorage is the version of the stored form of a session of protocol 4. In it,
// sealed.Key is an ephemeral public key on P-256, uncompressed and in base64url; the key of
// the contents is derived from its ECDH secret with the storage key.
const sealedToStorage = 2

// sealToStorage returns the stored form of the contents of a session of protocol 4.
func sealToStorage(plain []byte, storage *ecdh.PublicKey) ([]byte, error) {
	ephemeral, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("drs: seal: %w", err)
	}
	z, err := ephemeral.ECDH(storage)
	if err != nil {
		return nil, fmt.Errorf("drs: seal: %w", err)
	}
	defer clear(z)
	out := sealed{V: sealedToStorage, Key: b64.EncodeToString(ephemeral.PublicKey().Bytes())}
	gcm, err := sealer(z)
	if err != nil {
		return nil, fmt.Errorf("drs: seal: %w", err)
	}
	out.Nonce = newContext()[:gcm.NonceSize()]
	out.Text = gcm.Seal(nil, out.Nonce, plain, []byte(out.Key))
	return json.Marshal(out)
}

// Unseal reads what [Session.Seal] returned, of a session by any protocol, with the keys of
// r: TransportKey or, in protocol 4, Certificate, DeviceKey and StorageKey. The returned
// session uses these from then on. Other fields of r are not used.
//
// The error is not an [*Error]. It wraps [ErrSession] if text is not a stored session, was
// changed, or belongs to other keys, or if r lacks a key.
func (r *SignIn) Unseal(text []byte) (*Session, error) {
	fail := func(err error) (*Session, error) {
		return nil, fmt.Errorf("drs: unseal session: %w: %w", ErrSession, err)
	}
	if r == nil {
		return fail(errors.New("there are no keys"))
	}
	var in sealed
	if len(text) > maxAnswer || json.Unmarshal(text, &in) != nil || in.V != sealedToStorage {
		return UnsealSession(text, r.TransportKey)
	}
	own := *r
	own.Protocol, own.Code = protocol4, ""
	if err := own.checkProtocol(); err != nil {
		return fail(err)
	}
	if pub, err := deviceKey(r.DeviceKey); err != nil || r.Certificate == nil || !pub.Equal(r.Certificate.PublicKey) {
		return fail(errors.New("the device certificate is missing or for another key"))
	}
	raw, err := b64.DecodeString(in.Key)
	if err != nil {
		return fail(err)
	}
	ephemeral, err := ecdh.P256().NewPublicKey(raw)
	if err != nil {
		return fail(err)
	}
	z, err := r.StorageKey.ECDH(ephemeral)
	if err != nil {
		return fail(err)
	}
	defer clear(z)
	gcm, err := sealer(z)
	if err != nil {
		return fail(err)
	}
	if len(in.Nonce) != gcm.NonceSize() {
		return fail(errors.New("its nonce has the wrong size"))
	}
	plain, err := gcm.Open(nil, in.Nonce, in.Text, []byte(in.Key))
	if err != nil {
		return fail(errors.New("it was changed, or sealed to another key"))
	}
	defer clear(plain)
	var c contents
	if err := json.Unmarshal(plain, &c); err != nil {
		return fail(err)
	}
	secret := own.secrets()
	secret.token = Token(c.Token)
	return &Session{UPN: c.UPN, TenantID: c.TenantID, Expires: c.Expires, hidden: hide(secret)}, nil
}
