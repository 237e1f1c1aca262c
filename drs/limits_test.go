package drs_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/internal/wcce"
)

// sha256Area returns a public area of a size, whose name algorithm is SHA-256.
func sha256Area(size int) []byte {
	return append([]byte{0, 1, 0, 0x0B}, make([]byte, size-4)...)
}

// TPM structures of the smallest and of the largest size are accepted, others are not.
func TestSizesOfAreas(t *testing.T) {
	for size, want := range map[int]bool{4: true, drs.MaxArea: true, drs.MaxArea + 1: false} {
		area := sha256Area(size)
		if _, err := drs.TPMName(area); (err == nil) != want {
			t.Errorf("a public area of %d bytes: %v", size, err)
		}
		p := proof(t, nil)
		p.EKPublicArea = area
		if err := p.Identity(); (err == nil) != want {
			t.Errorf("an endorsement key's area of %d bytes: %v", size, err)
		}
		sized := binary.BigEndian.AppendUint16(nil, uint16(size-2))
		if got, ok := drs.Unsized(append(sized, make([]byte, size-2)...)); ok != want || ok && len(got) != size-2 {
			t.Errorf("a sized structure of %d bytes: %t", size, ok)
		}
	}
	for _, area := range [][]byte{nil, {0, 1, 0}, {0, 1, 0, 0x0A}} {
		if _, err := drs.TPMName(area); err == nil {
			t.Errorf("%x: no error", area)
		}
	}
	for _, sized := range [][]byte{nil, {0}, {0, 0}, {0, 2, 1}, {0, 1, 1, 2}} {
		if _, ok := drs.Unsized(sized); ok {
			t.Errorf("%x: no error", sized)
		}
	}
}

// Without an attestation key, a device key is proved; there must be one.
func TestProofOfDeviceKey(t *testing.T) {
	p := proof(t, nil)
	p.AIKPublicArea, p.DeviceKeyPublicArea = nil, area
	if err := p.Identity(); err == nil || !strings.Contains(err.Error(), "device key") {
		t.Errorf("no device key: %v", err)
	}
	p.DeviceKey = &key(t).PublicKey
	if err := p.Identity(); err != nil {
		t.Error(err)
	}
	p.DeviceKeyPublicArea = nil
	if err := p.Identity(); err == nil {
		t.Error("no area: no error")
	}
}

// The secret of a challenge has 16 bytes or more.
func TestSizeOfSecret(t *testing.T) {
	for size, want := range map[int]bool{15: false, 16: true} {
		c, d, _ := fakeService(t, goodChallenge(), goodToken())
		if _, err := c.Authenticate(t.Context(), d, proof(t, make([]byte, size))); (err == nil) != want {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// attesting returns an attestation whose statements have a public area and creation data
// of given sizes.
func attesting(public, creation int) *drs.Attestation {
	return &drs.Attestation{AIKPublicArea: sha256Area(8), Certify: func(context.Context, string, []byte) (*drs.Statement, error) {
		s := &drs.Statement{PublicArea: make([]byte, public), Attest: []byte("a"), CreationData: make([]byte, creation)}
		s.Signature = slices.Concat([]byte{0, 0x14, 0, 0x0B, 0, 1}, []byte{9})
		return s, nil
	}}
}

// An attestation is encoded in each of its forms, and what it needs is checked.
func TestEncodeAttestation(t *testing.T) {
	for name, c := range map[string]struct {
		change           func(*drs.Attestation)
		public, creation int
		ok               bool
	}{
		"good":                    {nil, 8, 8, true},
		"no creation data":        {nil, 8, 0, true},
		"largest":                 {nil, drs.MaxArea, drs.MaxArea, true},
		"large area":              {nil, drs.MaxArea + 1, 8, false},
		"large creation data":     {nil, 8, drs.MaxArea + 1, false},
		"no area":                 {nil, 0, 8, false},
		"no attestation key":      {func(a *drs.Attestation) { a.AIKPublicArea = nil }, 8, 8, false},
		"no Certify":              {func(a *drs.Attestation) { a.Certify = nil }, 8, 8, false},
		"largest attestation key": {func(a *drs.Attestation) { a.AIKPublicArea = sha256Area(drs.MaxArea) }, 8, 8, true},
		"large attestation key":   {func(a *drs.Attestation) { a.AIKPublicArea = sha256Area(drs.MaxArea + 1) }, 8, 8, false},
		"no statement": {func(a *drs.Attestation) {
			a.Certify = func(context.Context, string, []byte) (*drs.Statement, error) { return nil, nil }
		}, 8, 8, false},
		"certifying fails": {func(a *drs.Attestation) {
			a.Certify = func(context.Context, string, []byte) (*drs.Statement, error) { return nil, errors.New("no") }
		}, 8, 8, false},
		"undefined form": {func(a *drs.Attestation) { a.Form = 99 }, 8, 8, false},
	} {
		a := attesting(c.public, c.creation)
		if c.change != nil {
			c.change(a)
		}
		text, err := a.Encode(t.Context(), []byte("csr"), []byte("blob"))
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !c.ok {
			continue
		}
		var bundle struct {
			Nonce json.RawMessage
			Keys  []struct{ Creation, Public []byte }
		}
		if err := json.Unmarshal(text, &bundle); err != nil || string(bundle.Nonce) != `""` || len(bundle.Keys) != 2 || len(bundle.Keys[0].Public) != c.public+2 ||
			(bundle.Keys[0].Creation != nil) != (c.creation > 0) {
			t.Errorf("%s: %s, %v", name, text, err)
		}
	}
}

// In the forms of Windows, one key is attested; KAST also has the creation statement of
// the attestation key.
func TestEncodeWindows(t *testing.T) {
	a := attesting(8, 0)
	a.Form = drs.FormKADS
	kads, err := a.Encode(t.Context(), []byte("csr"), []byte("blob"))
	if err != nil || !bytes.Contains(kads, []byte("KADS")) {
		t.Errorf("%q, %v", kads, err)
	}
	if _, err := wcce.ParseKADS(kads); err != nil {
		t.Error(err)
	}
	a.Form = drs.FormKAST
	if _, err := a.Encode(t.Context(), []byte("csr"), []byte("blob")); err == nil {
		t.Error("KAST without the creation statement: no error")
	}
	a.AIKCreation = &drs.Statement{CreationData: []byte("c"), Attest: []byte("a"), Signature: []byte("s")}
	kast, err := a.Encode(t.Context(), []byte("csr"), []byte("blob"))
	if err != nil || bytes.Equal(kast, kads) || !bytes.Contains(kast, kads) {
		t.Errorf("%q, %v", kast, err)
	}
	a.Certify = func(context.Context, string, []byte) (*drs.Statement, error) { return nil, errors.New("no") }
	if _, err := a.Encode(t.Context(), []byte("csr"), []byte("blob")); err == nil {
		t.Error("certifying fails: no error")
	}
}

// The identifier of a challenge has up to 128 visible characters.
func TestChallengeIDs(t *testing.T) {
	for id, want := range map[string]bool{
		strings.Repeat("~", 128): true, "!": true, " a": false, "a b": false, "\x7fa": false, "ä": false, "": false, strings.Repeat("~", 129): false,
	} {
		ch := goodChallenge()
		ch["ChallengeId"] = id
		c, d, _ := fakeService(t, ch, goodToken())
		if _, err := c.Authenticate(t.Context(), d, proof(t, make([]byte, 32))); (err == nil) != want {
			t.Errorf("%q: %v", id, err)
		}
	}
}

// Only https is accepted, and http at the host and port of a BaseURL on the loopback
// interface.
func TestCheckEndpoint(t *testing.T) {
	for _, c := range []struct {
		base, raw string
		want      bool
	}{
		{"", "https://login.example/", true},
		{"", "http://login.example/", false},
		{"http://127.0.0.1:8080", "http://127.0.0.1:8080/x", true},
		{"http://localhost:8080/", "http://localhost:8080/x", true},
		{"http://[::1]:8080", "http://[::1]:8080/x", true},
		{"http://127.0.0.1:8080", "http://127.0.0.1:8081/x", false},
		{"http://127.0.0.1:8080", "ftp://127.0.0.1:8080/x", false},
		{"https://127.0.0.1:8080", "http://127.0.0.1:8080/x", false},
		{"http://10.0.0.1:8080", "http://10.0.0.1:8080/x", false},
		{"http://login.example", "http://login.example/x", false},
		{"http://127.0.0.1:8080", "http://10.0.0.1:8080/x", false},
		{"://", "http://127.0.0.1:8080/x", false},
		{"", "https://user@login.example/", false},
		{"", "https:///x", false},
	} {
		if err := (&drs.Client{BaseURL: c.base}).CheckEndpoint(c.raw); (err == nil) != c.want || err != nil && !errors.Is(err, drs.ErrEndpoint) {
			t.Errorf("%s with %s: %v", c.raw, c.base, err)
		}
	}
}

// A redirect within the host is the HTTP client's to judge.
func TestOwnCheckRedirect(t *testing.T) {
	ts := httptest.NewServer(http.RedirectHandler("/again", http.StatusFound))
	defer ts.Close()
	own := errors.New("own")
	c := &drs.Client{BaseURL: ts.URL, HTTPClient: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return own }}}
	if _, err := c.Discover(t.Context(), "contoso.test"); !errors.Is(err, own) {
		t.Errorf("got %v", err)
	}
}

// A token has up to 32 KiB, and a code without an HRESULT of its
// own has that of the HTTP status.
func TestSizesOfAnswers(t *testing.T) {
	for size, want := range map[int]bool{1: true, 32 << 10: true, 32<<10 + 1: false} {
		token := goodToken()
		token["access_token"] = strings.Repeat("x", size)
		c, d, _ := fakeService(t, goodChallenge(), token)
		if _, err := c.Authenticate(t.Context(), d, proof(t, make([]byte, 32))); (err == nil) != want {
			t.Errorf("a token of %d bytes: %v", size, err)
		}
	}
	if got := (&drs.Error{Op: "Authenticate", HTTPStatus: 400, Code: "invalid_grant"}).HRESULT(); got != 0x80190190 {
		t.Errorf("%#x", got)
	}
	for status, want := range map[int]bool{200: true, 299: true, 300: false} {
		if _, err := answering(t, status, `{"Value":"n"}`).Nonce(t.Context(), &drs.Discovery{TenantID: tenantID}, nil); (err == nil) != want {
			t.Errorf("status %d: %v", status, err)
		}
	}
}

// or returns v if it is a text, and otherwise another one.
func or(v any, other string) string {
	if s, ok := v.(string); ok {
		return s
	}
	return other
}

// The nonce of a token endpoint has up to 8192 bytes and is not empty.
func TestSizesOfNonces(t *testing.T) {
	for size, want := range map[int]bool{0: false, 1: true, 8192: true, 8193: false} {
		ch := goodChallenge()
		ch["nonce of the token endpoint"] = strings.Repeat("n", size)
		c, d, _ := fakeService(t, ch, goodToken())
		if _, err := c.Authenticate(t.Context(), d, proof(t, make([]byte, 32))); (err == nil) != want || err != nil && !errors.Is(err, drs.ErrMalformed) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// The identifier of the Autopilot device is read from the device token, if it is a GUID.
func TestZTDID(t *testing.T) {
	for claim, want := range map[string]string{deviceID: deviceID, strings.ToUpper(deviceID): deviceID, "x": "", "": ""} {
		text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"ztdid": claim}).SignedString(make([]byte, 32))
		if err != nil {
			t.Fatal(err)
		}
		token := goodToken()
		token["access_token"] = text
		c, d, _ := fakeService(t, goodChallenge(), token)
		if got, err := c.Authenticate(t.Context(), d, proof(t, make([]byte, 32))); err != nil || got.ZTDID != want {
			t.Errorf("%q: %+v, %v", claim, got, err)
		}
	}
}

// A storage key on P-256 is sent as a device key, in the place of a transport key.
func TestStorageKeySent(t *testing.T) {
	storage, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var sent struct {
		TransportKey string
		DeviceKeys   []struct {
			Type string
			Data string
		}
		AikCertificate, AttestationData *string
	}
	ts := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { json.NewDecoder(r.Body).Decode(&sent) }))
	defer ts.Close()
	req := request(t)
	req.TransportKey, req.StorageKey = nil, &storage.PublicKey
	if _, err := (&drs.Client{BaseURL: ts.URL}).Join(t.Context(), discovery(ts.URL), req); err == nil {
		t.Error("an empty answer: no error")
	}
	if len(sent.DeviceKeys) != 1 || sent.DeviceKeys[0].Type != "ECC" || sent.TransportKey != "" {
		t.Fatalf("%+v", sent)
	}
	// As macOS sends it: JSON that is not encoded further, coordinates in standard base64, an
	// identifier in upper case, and the members of an attestation without a value.
	var jwk map[string]string
	if err := json.Unmarshal([]byte(sent.DeviceKeys[0].Data), &jwk); err != nil {
		t.Fatal(err)
	}
	point, err := storage.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	e := base64.StdEncoding.EncodeToString
	if len(jwk) != 5 || jwk["kty"] != "EC" || jwk["crv"] != "P-256" || jwk["x"] != e(point[1:33]) || jwk["y"] != e(point[33:]) || len(jwk["kid"]) != 36 || jwk["kid"] != strings.ToUpper(jwk["kid"]) {
		t.Errorf("%v", jwk)
	}
	if sent.AikCertificate == nil || *sent.AikCertificate != "" || sent.AttestationData == nil || *sent.AttestationData != "" {
		t.Errorf("attestation %v %v", sent.AikCertificate, sent.AttestationData)
	}
}
