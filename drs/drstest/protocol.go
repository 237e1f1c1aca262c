package drstest

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// protocolOf returns the version of the protocol of primary refresh tokens in which a request
// came: 2 of Windows, or 3 or 4, which are at version 2.0 of the endpoint only.
func (s *Server) protocolOf(r *http.Request) (int, error) {
	name := r.PostForm.Get("prt_protocol_version")
	protocol, ok := map[string]int{"": 2, "3.0": 3, "4.0": 4}[name]
	switch {
	case !ok:
		return 0, noGrant("invalid_request", "", 900144, "prt_protocol_version %q", name)
	case s.isV2(r) != (protocol > 2):
		return 0, noGrant("invalid_request", "", 900144, "prt_protocol_version %q at another version of the endpoint", name)
	}
	return protocol, nil
}

// A sealer encrypts the replies of protocol 4 to a storage key, as a request says in its claim
// jwe_crypto (RFC 7518, section 4.6: ECDH-ES with direct key agreement).
type sealer struct {
	to  *ecdh.PublicKey
	apv string // in base64url
}

// newSealer returns the sealer for a request of a device.
func newSealer(claims jwt.MapClaims, storage *ecdsa.PublicKey) (*sealer, error) {
	no := func(format string, args ...any) (*sealer, error) {
		return nil, noGrant("invalid_request", "", 900144, "jwe_crypto: "+format, args...)
	}
	crypto, ok := claims["jwe_crypto"].(map[string]any)
	if !ok {
		return no("it is missing")
	}
	if crypto["alg"] != "ECDH-ES" || crypto["enc"] != "A256GCM" {
		return no("algorithms %v and %v", crypto["alg"], crypto["enc"])
	}
	apv, _ := crypto["apv"].(string)
	if _, err := base64.RawURLEncoding.DecodeString(apv); err != nil || apv == "" {
		return no("apv %q", apv)
	}
	if storage == nil {
		return nil, noGrant("invalid_grant", "device_authentication_failed", 50155, "the device has no storage key")
	}
	to, err := storage.ECDH()
	if err != nil {
		return nil, err
	}
	return &sealer{to: to, apv: apv}, nil
}

// reply sends an encrypted answer.
func (e *sealer) reply(w http.ResponseWriter, answer any) error {
	plain, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	text, err := e.seal(plain)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/jose; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	// The error is ignored: the client has disconnected.
	_, _ = w.Write([]byte(text))
	return nil
}

// seal encrypts a text.
func (e *sealer) seal(plain []byte) (string, error) {
	ephemeral, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return "", err
	}
	z, err := ephemeral.ECDH(e.to)
	if err != nil {
		return "", err
	}
	point, b64 := ephemeral.PublicKey().Bytes(), base64.RawURLEncoding
	apu := append([]byte("whiteglove"), random(8)...)
	header, err := json.Marshal(map[string]any{
		"alg": "ECDH-ES", "enc": "A256GCM", "apu": b64.EncodeToString(apu), "apv": e.apv,
		"epk": map[string]string{"kty": "EC", "crv": "P-256", "x": b64.EncodeToString(point[1:33]), "y": b64.EncodeToString(point[33:])},
	})
	if err != nil {
		return "", err
	}
	apv, err := b64.DecodeString(e.apv)
	if err != nil {
		return "", err
	}
	gcm, err := newGCM(agreed(z, apu, apv))
	if err != nil {
		return "", err
	}
	iv := random(gcm.NonceSize())
	text := gcm.Seal(nil, iv, plain, []byte(b64.EncodeToString(header)))
	end := len(text) - gcm.Overhead()
	return compact(header, nil, iv, text[:end], text[end:]), nil
}

// agreed derives the key of A256GCM from an ECDH secret (RFC 7518, section 4.6.2).
func agreed(z, apu, apv []byte) []byte {
	text := append([]byte{0, 0, 0, 1}, z...)
	for _, part := range [][]byte{[]byte("A256GCM"), apu, apv} {
		text = append(binary.BigEndian.AppendUint32(text, uint32(len(part))), part...)
	}
	sum := sha256.Sum256(binary.BigEndian.AppendUint32(text, 256))
	return sum[:]
}

// serveDeviceSession answers a request of protocol 4 that a device signed: a sign-in, or one
// with a primary refresh token that this device was given.
func (s *Server) serveDeviceSession(w http.ResponseWriter, r *http.Request, claims jwt.MapClaims, token *jwt.Token, device *Object) error {
	if token.Method.Alg() != jwt.SigningMethodES256.Alg() {
		return noGrant("invalid_grant", "device_authentication_failed", 50155, "protocol 4 needs a device key on P-256, not %s", token.Method.Alg())
	}
	sealer, err := newSealer(claims, device.StorageKey)
	if err != nil {
		return err
	}
	s.mu.Lock()
	v, _ := s.sessions.Get(claimText(claims, "refresh_token"))
	var own session
	if v != nil {
		own = *v
	}
	s.mu.Unlock()
	if v == nil {
		return s.serveSignIn(w, r, claims, token.Header, device, sealer)
	}
	switch {
	case own.protocol != 4 || own.deviceID != device.DeviceID:
		return noGrant("invalid_grant", "", 50155, "the refresh token is of another device or protocol")
	case claimText(claims, "purpose") != "prt_usage":
		return noGrant("invalid_grant", "", 50013, "purpose %q", claimText(claims, "purpose"))
	}
	if err := s.checkStanding(&own); err != nil {
		return err
	}
	if err := s.useNonce(claims); err != nil {
		return err
	}
	return s.useSession(w, r, claims, &own, sealer.reply)
}

// serveDeviceless signs a user in by an authorization code without a device, in protocol 3. The
// session key is encrypted to the RSA key in the parameter stk_jwk.
func (s *Server) serveDeviceless(w http.ResponseWriter, r *http.Request, u *User) error {
	form := r.PostForm
	if protocol, err := s.protocolOf(r); err != nil || protocol != 3 {
		return noGrant("invalid_request", "", 900144, "stk_jwk without prt_protocol_version 3.0: %w", err)
	}
	if !slices.Contains(strings.Fields(form.Get("scope")), "aza") {
		return noGrant("invalid_scope", "", 70011, "scope %q is not that of a primary refresh token", form.Get("scope"))
	}
	key, err := readJWK(form.Get("stk_jwk"))
	if err != nil {
		return noGrant("invalid_request", "", 900144, "stk_jwk: %w", err)
	}
	answer, err := s.keepSession(&session{upn: u.UPN, transport: key, version2: true, protocol: 3}, true)
	if err != nil {
		return err
	}
	answer["id_token"] = s.idToken(u, form.Get("client_id"))
	reply(w, http.StatusOK, answer)
	return nil
}

// readJWK reads an RSA key of 2048 bits as a JWK (RFC 7518, section 6.3). Some clients send its
// numbers with padding.
func readJWK(text string) (*rsa.PublicKey, error) {
	var k struct {
		Type string `json:"kty"`
		E    string `json:"e"`
		N    string `json:"n"`
	}
	if len(text) > maxJWK {
		return nil, fmt.Errorf("it has %d bytes", len(text))
	}
	if err := json.Unmarshal([]byte(text), &k); err != nil {
		return nil, err
	}
	e, eErr := base64.RawURLEncoding.DecodeString(strings.TrimRight(k.E, "="))
	n, nErr := base64.RawURLEncoding.DecodeString(strings.TrimRight(k.N, "="))
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(n)}
	if exponent := new(big.Int).SetBytes(e); exponent.BitLen() >= 2 && exponent.BitLen() <= 31 {
		key.E = int(exponent.Int64())
	}
	if eErr != nil || nErr != nil || k.Type != "RSA" || key.E == 0 || key.N.BitLen() != 2048 {
		return nil, fmt.Errorf("a JWK of type %q with %d bits is not valid", k.Type, key.N.BitLen())
	}
	return key, nil
}
