package drstest_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/drs/drstest"
)

// A join may have a key on P-256 instead of a transport key, which the TPM certifies the same
// way.
func TestStorageKey(t *testing.T) {
	key, point := storageKey(t)
	area := binary.BigEndian.AppendUint32(u16(nil, 0x0023, 0x000B), transportAttributes)
	area = u16(area, 0, 0x0010, 0x0010, 0x0003, 0x0010) // no policy, cipher or scheme; P-256; no KDF
	stk := &softKey{area: append(append(area, sized(point[1:33])...), sized(point[33:])...)}
	r := newRig(t)
	_, err := r.join(r.storageRequest(key))
	r.refused(err, "Join", "AttestationFailed", "check 7: transport")
	r.device.certifyTK = stk
	dev, err := r.join(r.storageRequest(key))
	o := r.server.Objects()[0]
	if err != nil || !o.Enabled || o.AttestationLevel != 1 || !o.StorageKey.Equal(key) || o.TransportKey != nil {
		t.Fatalf("%v, joined as %+v", err, o)
	}
	// Without a transport key, the directory cannot encrypt a session key.
	r.server.AddUser(drstest.User{UPN: alice, Password: password})
	_, err = r.client.SignIn(t.Context(), r.tenant, &drs.SignIn{
		Certificate: dev.Certificate, DeviceKey: r.device.dk, TransportKey: r.device.tk.PrivateKey, Username: alice, Password: password,
	})
	if err == nil || !strings.Contains(err.Error(), "transport key") {
		t.Errorf("signed in: %v", err)
	}
}

// storageKey makes a key on P-256 and also returns its uncompressed point.
func storageKey(t *testing.T) (*ecdsa.PublicKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return &key.PublicKey, point
}

func TestStorageKeyRefused(t *testing.T) {
	key, point := storageKey(t)
	e := base64.StdEncoding.EncodeToString
	x, y := e(point[1:33]), e(point[33:])
	member := func(format string, args ...any) map[string]any {
		return map[string]any{"Data": fmt.Sprintf(format, args...), "Encoding": "JWK", "Type": "ECC", "Usage": "STK"}
	}
	jwk := func(format string, args ...any) func(map[string]any) {
		return func(b map[string]any) { b["DeviceKeys"] = []any{member(format, args...)} }
	}
	with := func(name, value string) func(map[string]any) {
		return func(b map[string]any) { b["DeviceKeys"].([]any)[0].(map[string]any)[name] = value }
	}
	const good = `{"kty":"EC","crv":"P-256","x":%q,"y":%q,"kid":"00000000-0000-4000-8000-00000000ABCD"}`
	for _, c := range []struct {
		name   string
		change func(map[string]any)
		want   string // part of the reason, or "" if only check 7 refuses it
	}{
		{"as it is", func(map[string]any) {}, ""},
		{"written by hand", jwk(good, x, y), "check 4"},
		{"encoded twice", with("Data", e(fmt.Appendf(nil, good, x, y))), "not JSON"}, // what this module sent before
		{"no kid", jwk(`{"kty":"EC","crv":"P-256","x":%q,"y":%q}`, x, y), "GUID in upper case"},
		{"kid in lower case", jwk(`{"kty":"EC","crv":"P-256","x":%q,"y":%q,"kid":"00000000-0000-4000-8000-00000000abcd"}`, x, y), "GUID in upper case"},
		{"two keys", func(b map[string]any) { b["DeviceKeys"] = []any{member(good, x, y), member(good, x, y)} }, "there are 2"},
		{"with a transport key", func(b map[string]any) { b["TransportKey"] = "UlNBMQ==" }, "a transport key, too"},
		{"encoding", with("Encoding", "PEM"), `encoding "PEM"`},
		{"type", with("Type", "RSA"), `type "RSA"`},
		{"usage", with("Usage", "X"), `usage "X"`},
		{"too long", jwk(good, x, strings.Repeat("A", 5000)), "bytes"},
		{"no JSON", jwk("x"), "not JSON"},
		{"another type", jwk(`{"kty":"RSA","crv":"P-256","x":%q,"y":%q}`, x, y), "JWK of type"},
		{"another curve", jwk(`{"kty":"EC","crv":"P-384","x":%q,"y":%q}`, x, y), `curve "P-384"`},
		{"private", jwk(`{"kty":"EC","crv":"P-256","x":%q,"y":%q,"d":"AA"}`, x, y), "private: true"},
		{"base64url", jwk(good, strings.TrimRight(x, "="), y), "not base64"},
		{"long", jwk(good, x, e(append(point[33:65:65], 0))), "has 33 bytes"},
		{"no point", jwk(good, x, x), "not on"},
		{"type of the device key", func(b map[string]any) {
			b["CertificateRequest"].(map[string]any)["KeyType"] = "ECC"
		}, `KeyType is "ECC"`},
		{"security without type", func(b map[string]any) {
			delete(b["CertificateRequest"].(map[string]any), "KeyType")
		}, `KeyType is ""`},
	} {
		r := newRig(t)
		req := r.storageRequest(key)
		r.change = func(path string, b map[string]any) { c.change(b) }
		_, err := r.join(req)
		switch {
		case c.want == "check 4": // it can be read, but the statement is for other bytes
			wantError(t, err, "AttestationFailed", c.want)
		case c.want != "":
			r.refused(err, "Join", "error_fail", c.want)
		case err == nil || !strings.Contains(err.Error(), "check 7: transport"):
			t.Errorf("%s: %v", c.name, err)
		}
	}
	// API version 2.0 does not have DeviceKeys.
	r := newRig(t)
	req := r.storageRequest(key)
	req.StorageKey, req.TransportKey = nil, &r.device.tk.PublicKey
	r.change = func(_ string, b map[string]any) {
		delete(b, "TransportKey")
		jwk(good, x, y)(b)
	}
	_, err := r.join(req)
	r.refused(err, "Join", "error_fail", "version 2.0 does not have them")
}

// storageRequest returns a join with a storage key. Its attestation certifies the transport key
// instead.
func (r *rig) storageRequest(key *ecdsa.PublicKey) *drs.Request {
	r.t.Helper()
	req := r.device.request(r.authenticate())
	req.TransportKey, req.StorageKey = nil, key
	req.KeySecurity = "TPM"
	return req
}
