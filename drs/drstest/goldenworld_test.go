package drstest_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/internal/jose"
)

// A goldenWorld is a server with a user and two joined devices, one of them with keys on P-256.
type goldenWorld struct {
	*rig
	device  *drs.SignIn
	ec      *ecdsa.PrivateKey
	ecCert  *x509.Certificate
	prt     string // of the first device
	key     []byte // its session key
	refresh string
}

func newGoldenWorld(t *testing.T) *goldenWorld {
	w := &goldenWorld{rig: newRig(t)}
	w.now = time.Now() // a request's times are the client's own
	w.device = softSignIn(t, w.rig)
	_, refresh := w.userToken(alice)
	w.refresh = string(refresh)
	var err error
	if w.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	req := &drs.Request{DeviceKey: w.ec, StorageKey: &w.ec.PublicKey}
	req.UserToken, _ = w.userToken(alice)
	dev, err := w.join(req)
	if err != nil {
		t.Fatal(err)
	}
	w.ecCert = dev.Certificate
	claims := map[string]any{
		"client_id": windowsClient, "request_nonce": "{nonce}", "scope": "openid aza", "grant_type": "password", "username": "{user}", "password": "{password}",
	}
	answer := w.send(t, &goldenToken{path: "/common/oauth2/token", form: windows, header: map[string]any{"kdf_ver": 2}, claims: claims, sign: "device"})
	w.prt, _ = answer["refresh_token"].(string)
	jwe, _ := answer["session_key_jwe"].(string)
	sealed, err := base64.RawURLEncoding.DecodeString(strings.Split(jwe, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	if w.key, err = rsa.DecryptOAEP(sha1.New(), nil, w.rig.device.tk.PrivateKey, sealed, nil); err != nil {
		t.Fatal(err)
	}
	return w
}

// fill replaces placeholders.
func (w *goldenWorld) fill(v any) any {
	text, ok := v.(string)
	if !ok {
		return v
	}
	switch text {
	case "{nonce}":
		return w.nonce()
	case "{assertion}":
		return w.userAssertion(w.nonce(), "common")
	case "{now}":
		return jsonNumber(w.now)
	case "{end}":
		return jsonNumber(w.now.Add(time.Hour))
	}
	return strings.NewReplacer("{user}", alice, "{password}", password, "{refresh}", w.refresh, "{prt}", w.prt).Replace(text)
}

// jsonNumber returns a time in Unix seconds as a text, as an open client sends it.
func jsonNumber(at time.Time) string {
	b, _ := json.Marshal(at.Unix())
	return string(b)
}

// request returns the JWT of a request.
func (w *goldenWorld) request(t *testing.T, g *goldenToken) string {
	t.Helper()
	claims := jwt.MapClaims{}
	for name, v := range g.claims {
		claims[name] = w.fill(v)
	}
	var token *jwt.Token
	var key any
	switch g.sign {
	case "device", "device x5c text":
		token, key = jwt.NewWithClaims(jose.RS256{}, claims), w.device.DeviceKey
		x5c := base64.StdEncoding.EncodeToString(w.device.Certificate.Raw)
		token.Header["x5c"] = []string{x5c}
		if g.sign != "device" {
			token.Header["x5c"] = x5c
		}
	case "ec":
		token, key = jwt.NewWithClaims(jose.ES256{}, claims), w.ec
		token.Header["x5c"] = []string{base64.StdEncoding.EncodeToString(w.ecCert.Raw)}
	case "session":
		token = jwt.NewWithClaims(jwt.SigningMethodHS256, claims)
		context := make([]byte, 24)
		rand.Read(context)
		token.Header["ctx"], token.Header["kdf_ver"] = base64.StdEncoding.EncodeToString(context), 2
		payload, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(append(context, payload...))
		key = deriveKey(w.key, sum[:])
	}
	for name, v := range g.header {
		token.Header[name] = v
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// deriveKey is the key derivation of the protocol, written for these tests.
func deriveKey(key, context []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte("\x00\x00\x00\x01AzureAD-SecureConversation\x00"))
	h.Write(context)
	h.Write([]byte("\x00\x00\x01\x00"))
	return h.Sum(nil)
}

// send sends a request and returns its answer. If that is encrypted, it is under "sealed".
func (w *goldenWorld) send(t *testing.T, g *goldenToken) map[string]any {
	t.Helper()
	form := url.Values{}
	for name, v := range g.form {
		form.Set(name, w.fill(v).(string))
	}
	if g.claims != nil {
		form.Set("request", w.request(t, g))
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+g.path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if g.kind != "-" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := w.transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	answer := map[string]any{}
	if bytes.Count(body, []byte(".")) == 4 && body[0] != '{' {
		answer["sealed"] = string(body)
	} else if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

// open decrypts a reply with ECDH-ES as the client does (deviceauth.py:889-938): with the apv of
// its own request, and the header as additional data.
func (w *goldenWorld) open(t *testing.T, text, apv string) map[string]any {
	t.Helper()
	decode := func(s string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	parts := strings.Split(text, ".")
	var head struct {
		APU string `json:"apu"`
		EPK struct{ X, Y string }
	}
	if err := json.Unmarshal(decode(parts[0]), &head); err != nil {
		t.Fatal(err)
	}
	own, err := w.ec.ECDH()
	if err != nil {
		t.Fatal(err)
	}
	peer, err := ecdh.P256().NewPublicKey(append(append([]byte{4}, decode(head.EPK.X)...), decode(head.EPK.Y)...))
	if err != nil {
		t.Fatal(err)
	}
	z, err := own.ECDH(peer)
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	h.Write(append([]byte{0, 0, 0, 1}, z...))
	for _, part := range [][]byte{[]byte("A256GCM"), decode(head.APU), decode(apv)} {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		h.Write(part)
	}
	h.Write([]byte{0, 0, 1, 0})
	block, err := aes.NewCipher(h.Sum(nil))
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := gcm.Open(nil, decode(parts[2]), append(decode(parts[3]), decode(parts[4])...), []byte(parts[0]))
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(plain, &out); err != nil {
		t.Fatal(err)
	}
	return out
}
