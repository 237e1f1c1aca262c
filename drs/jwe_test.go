package drs_test

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/drs"
)

// sessionKey is from a recorded session with the real service, which the tests of the Rust
// crate compact_jwt contain. The contexts and derived keys are from the same recording and
// from the example in [MS-OAPXBC] section 4.3.
const sessionKey = "3987bc6d45c8d46e9969bf679b9f2a17922ed0d40055c313232f290ae9d87bf0"

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDerive(t *testing.T) {
	for context, want := range map[string]string{
		"510a2a9284565f9421eb34a712f58e6585f6330b803f1bc3":                 "b0fcfcd863df6f583fa8321d4971926b2bfa8e4d12e9a7dd71e88b2df379d0a3",
		"6a5bac103a05f1f63ede9dc43e72c5cc18e5d8352dcb43af":                 "131d3634c04fe98ca34e362fd9ad8863f965e0b397676d79f2d5fc9aaa04f760",
		"a7855e5e482d06a0e25244d36c63bf3587681bf502e0edccfdf4c0ad39155d1e": "24169168f4e4822065b758ed940cc7dd29d9d9fb7b28ac9cccf1643fa3c04a6a",
	} {
		if got := drs.Derive(unhex(t, sessionKey), drs.Conversation, unhex(t, context)); hex.EncodeToString(got) != want {
			t.Errorf("context %s: %x", context, got)
		}
	}
}

func TestSignSession(t *testing.T) {
	key, context := unhex(t, sessionKey), unhex(t, "6a5bac103a05f1f63ede9dc43e72c5cc18e5d8352dcb43af")
	for _, c := range []struct {
		version2       bool
		header, suffix string
	}{
		{false, `{"alg":"HS256","typ":"JWT","ctx":"alusEDoF8fY+3p3EPnLFzBjl2DUty0Ov"}`, ".-cp_FOwr-s5SS0geQpyEywobgJ2jGFh2mzZxk_xLjQw"},
		{true, `{"alg":"HS256","typ":"JWT","ctx":"alusEDoF8fY+3p3EPnLFzBjl2DUty0Ov","kdf_ver":2}`, ".-yQhujK9rGjPR8bcm67ncGoiQIRs2rPgs0l5H1GfD1A"},
	} {
		text, err := drs.SignSession(key, context, []byte(`{"grant_type":"refresh_token"}`), c.version2)
		if err != nil {
			t.Fatal(err)
		}
		header, err := base64.RawURLEncoding.DecodeString(text[:strings.IndexByte(text, '.')])
		if err != nil || string(header) != c.header || !strings.HasSuffix(text, c.suffix) {
			t.Errorf("version 2 %t: %s, header %s, %v", c.version2, text, header, err)
		}
	}
}

// compact returns a JWE in its compact form.
func compact(header string, parts ...[]byte) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(header))
	for _, p := range parts {
		text += "." + base64.RawURLEncoding.EncodeToString(p)
	}
	return text
}

const keyHeader = `{"enc":"A256GCM","alg":"RSA-OAEP"}`

func newGCM(t testing.TB, key []byte) cipher.AEAD {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return gcm
}

// keyJWE returns a session key as the real service sends it: the content is the length of
// the key, and the tag does not cover the header.
func keyJWE(t testing.TB, to *rsa.PublicKey, key []byte, header string) string {
	t.Helper()
	wrapped, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, to, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	iv := make([]byte, 12)
	content := []byte{0x20}
	if len(key) == 32 {
		content = newGCM(t, key).Seal(nil, iv, content, nil)
	}
	return compact(header, wrapped, iv, content[:1], content[1:])
}

// An ellipticDecrypter is a decrypter whose key is on an elliptic curve.
type ellipticDecrypter struct{ crypto.Decrypter }

func (ellipticDecrypter) Public() crypto.PublicKey { return &ecdsa.PublicKey{Curve: elliptic.P256()} }

func TestOpenSessionKey(t *testing.T) {
	want := unhex(t, sessionKey)
	got, err := drs.OpenSessionKey(keyJWE(t, &key(t).PublicKey, want, keyHeader), key(t))
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("got %x, %v", got, err)
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	good := keyJWE(t, &key(t).PublicKey, want, keyHeader)
	for name, c := range map[string]struct {
		jwe string
		err error
	}{
		"another transport key": {keyJWE(t, &other.PublicKey, want, keyHeader), drs.ErrSession},
		"another algorithm":     {keyJWE(t, &key(t).PublicKey, want, `{"enc":"A256GCM","alg":"RSA-OAEP-256"}`), drs.ErrMalformed},
		"another cipher":        {keyJWE(t, &key(t).PublicKey, want, `{"enc":"A128GCM","alg":"RSA-OAEP"}`), drs.ErrMalformed},
		"key of 16 bytes":       {keyJWE(t, &key(t).PublicKey, want[:16], keyHeader), drs.ErrMalformed},
		"four parts":            {good[:strings.LastIndexByte(good, '.')], drs.ErrMalformed},
		"no base64":             {good + "!", drs.ErrMalformed},
		"short key":             {compact(keyHeader, []byte{1}, nil, nil, nil), drs.ErrSession},
		"nothing":               {"", drs.ErrMalformed},
	} {
		if got, err := drs.OpenSessionKey(c.jwe, key(t)); !errors.Is(err, c.err) || got != nil {
			t.Errorf("%s: %x, %v", name, got, err)
		}
	}
	if _, err := drs.OpenSessionKey(good, ellipticDecrypter{}); !errors.Is(err, drs.ErrSession) {
		t.Errorf("a key that is not RSA: %v", err)
	}
	const most = 256 << 10 // bytes, of which spaces at the end are not read
	for size, want := range map[int]bool{most: true, most + 1: false} {
		if _, err := drs.OpenSessionKey(good+strings.Repeat(" ", size-len(good)), key(t)); (err == nil) != want {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// sealed returns an encrypted reply.
func sealedReply(t testing.TB, session, plain []byte, gcm bool) string {
	t.Helper()
	context := make([]byte, 24)
	derived := drs.Derive(session, drs.Conversation, context)
	header := `{"alg":"dir","enc":"A256GCM","kid":"session","ctx":"` + base64.StdEncoding.EncodeToString(context) + `"}`
	if gcm {
		g := newGCM(t, derived)
		text := g.Seal(nil, make([]byte, 12), plain, []byte(base64.RawURLEncoding.EncodeToString([]byte(header))))
		return compact(header, nil, make([]byte, 12), text[:len(plain)], text[len(plain):])
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		t.Fatal(err)
	}
	text := bytes.Clone(plain)
	cipher.NewCBCEncrypter(block, make([]byte, 16)).CryptBlocks(text, text)
	return compact(header, nil, make([]byte, 16), text, nil)
}

func pad(b []byte) []byte {
	n := 16 - len(b)%16
	return append(bytes.Clone(b), bytes.Repeat([]byte{byte(n)}, n)...)
}

func TestOpenReply(t *testing.T) {
	session := unhex(t, sessionKey)
	plain := []byte(`{"token_type":"Bearer"}`)
	for name, text := range map[string]string{
		"CBC": sealedReply(t, session, pad(plain), false), "GCM": sealedReply(t, session, plain, true), "plain": string(plain), "with a mark": "\xEF\xBB\xBF " + string(plain),
	} {
		var v map[string]string
		if err := drs.OpenReply([]byte(text), session, true, &v); err != nil || v["token_type"] != "Bearer" {
			t.Errorf("%s: %v, %v", name, v, err)
		}
	}
}

// The error is the same for every fault of an encrypted reply.
func TestOpenReplyOneError(t *testing.T) {
	session := unhex(t, sessionKey)
	plain := []byte(`{"token_type":"Bearer"}`)
	cbc, gcm := sealedReply(t, session, pad(plain), false), sealedReply(t, session, plain, true)
	changed := func(s string, part int) string {
		parts := strings.Split(s, ".")
		b, err := base64.RawURLEncoding.DecodeString(parts[part])
		if err != nil || len(b) == 0 {
			t.Fatalf("part %d: %v", part, err)
		}
		b[len(b)-1] ^= 1
		parts[part] = base64.RawURLEncoding.EncodeToString(b)
		return strings.Join(parts, ".")
	}
	bad := func(end ...byte) string {
		return sealedReply(t, session, append([]byte(strings.Repeat(" ", 32-len(end))), end...), false)
	}
	// Valid but for one member of its header, which the tag covers.
	with := func(context []byte, from, to string) string {
		header := strings.Replace(`{"alg":"dir","enc":"A256GCM","ctx":"`+base64.StdEncoding.EncodeToString(context)+`"}`, from, to, 1)
		text := newGCM(t, drs.Derive(session, drs.Conversation, context)).Seal(nil, make([]byte, 12), plain, []byte(base64.RawURLEncoding.EncodeToString([]byte(header))))
		return compact(header, nil, make([]byte, 12), text[:len(plain)], text[len(plain):])
	}
	relabeled := func(from, to string) string { return with(make([]byte, 24), from, to) }
	var valid map[string]string
	if err := drs.OpenReply([]byte(relabeled("", "")), session, false, &valid); err != nil || len(valid) != 1 {
		t.Fatal(err)
	}
	withKey := strings.Split(relabeled("", ""), ".")
	withKey[1] = "AA"
	var first string
	for name, text := range map[string]string{
		"only another algorithm": relabeled(`"dir"`, `"RSA-OAEP"`),
		"only another cipher":    relabeled("A256GCM", "A128GCM"),
		"only a key":             strings.Join(withKey, "."),
		"only an empty context":  with(nil, "", ""),
		"context in part":        with([]byte{0, 0, 0}, "AAAA", "AAAA!"),
		"six parts":              relabeled("", "") + ".",
		"padding of 0":           bad(0),
		"padding of 17":          bad(bytes.Repeat([]byte{17}, 17)...),
		"padding that differs":   bad(3, 2, 3),
		"right padding, no JSON": bad(1),
		"half a block":           compact(`{"alg":"dir","enc":"A256GCM","ctx":"AAAA"}`, nil, make([]byte, 16), make([]byte, 8), nil),
		"no text":                compact(`{"alg":"dir","enc":"A256GCM","ctx":"AAAA"}`, nil, make([]byte, 16), nil, nil),
		"CBC with a tag":         cbc + "AAAA",
		"GCM changed":            changed(gcm, 3),
		"GCM tag changed":        changed(gcm, 4),
		"GCM header changed":     strings.Replace(gcm, ".", "A.", 1),
		"no context":             compact(`{"alg":"dir","enc":"A256GCM"}`, nil, make([]byte, 12), plain, make([]byte, 16)),
		"another algorithm":      compact(`{"alg":"RSA-OAEP","enc":"A256GCM","ctx":"AAAA"}`, nil, make([]byte, 12), plain, make([]byte, 16)),
		"with a key":             compact(`{"alg":"dir","enc":"A256GCM","ctx":"AAAA"}`, []byte{1}, make([]byte, 12), plain, make([]byte, 16)),
		"initial vector of 13":   compact(`{"alg":"dir","enc":"A256GCM","ctx":"AAAA"}`, nil, make([]byte, 13), plain, make([]byte, 16)),
		"another session":        sealedReply(t, make([]byte, 32), plain, true),
		"no JWE":                 "hello",
		"nothing":                "",
	} {
		var v map[string]string
		err := drs.OpenReply([]byte(text), session, true, &v)
		if !errors.Is(err, drs.ErrMalformed) || v != nil {
			t.Errorf("%s: %v, %v", name, v, err)
			continue
		}
		if first == "" {
			first = err.Error()
		}
		if err.Error() != first {
			t.Errorf("%s: %v, not %s", name, err, first)
		}
	}
}

func FuzzOpenReply(f *testing.F) {
	session := unhex(f, sessionKey)
	f.Add([]byte(sealedReply(f, session, pad([]byte(`{"a":1}`)), false)))
	f.Add([]byte(sealedReply(f, session, []byte(`{"a":1}`), true)))
	f.Add([]byte(`{"a":1}`))
	f.Add([]byte("...."))
	f.Fuzz(func(t *testing.T, b []byte) {
		var v any
		if err := drs.OpenReply(b, session, true, &v); err != nil && !errors.Is(err, drs.ErrMalformed) {
			t.Error(err)
		}
	})
}

func FuzzSessionKey(f *testing.F) {
	f.Add(keyJWE(f, &key(f).PublicKey, unhex(f, sessionKey), keyHeader))
	f.Add("....")
	f.Add(compact(keyHeader, make([]byte, 256), nil, nil, nil))
	f.Fuzz(func(t *testing.T, s string) {
		got, err := drs.OpenSessionKey(s, key(t))
		if err == nil && len(got) != 32 || err != nil && !errors.Is(err, drs.ErrMalformed) && !errors.Is(err, drs.ErrSession) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	})
}

func FuzzUnsealSession(f *testing.F) {
	jwe := keyJWE(f, &key(f).PublicKey, unhex(f, sessionKey), keyHeader)
	text, err := json.Marshal(map[string]any{"v": 1, "key": jwe, "nonce": make([]byte, 12), "text": make([]byte, 40)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"v":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := drs.UnsealSession(b, key(t)); !errors.Is(err, drs.ErrSession) {
			t.Errorf("got %v", err)
		}
	})
}

// A stored session is opened only if all of it is as it was sealed.
func TestUnsealRefuses(t *testing.T) {
	jwe := keyJWE(t, &key(t).PublicKey, unhex(t, sessionKey), keyHeader)
	gcm := newGCM(t, drs.Derive(unhex(t, sessionKey), "whiteglove-session", nil))
	nonce := make([]byte, gcm.NonceSize())
	seal := func(v int, jwe string, nonce []byte, plain string, additional string) []byte {
		text, err := json.Marshal(map[string]any{"v": v, "key": jwe, "nonce": nonce, "text": gcm.Seal(nil, make([]byte, 12), []byte(plain), []byte(additional))})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	const plain = `{"upn":"alice@contoso.test","prt":"token"}`
	s, err := drs.UnsealSession(seal(1, jwe, nonce, plain, jwe), key(t))
	if err != nil || s.UPN != "alice@contoso.test" {
		t.Fatalf("%v, %v", s, err)
	}
	text, err := s.Seal()
	if err != nil || bytes.Contains(text, []byte("alice")) || bytes.Contains(text, []byte("token")) {
		t.Errorf("%s, %v", text, err)
	}
	if again, err := drs.UnsealSession(text, key(t)); err != nil || again.UPN != s.UPN {
		t.Errorf("%v, %v", again, err)
	}
	for size, want := range map[int]bool{256 << 10: true, 256<<10 + 1: false} {
		padded := append(bytes.Clone(text), bytes.Repeat([]byte(" "), size-len(text))...)
		if _, err := drs.UnsealSession(padded, key(t)); (err == nil) != want {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	for name, text := range map[string][]byte{
		"version 2":       seal(2, jwe, nonce, plain, jwe),
		"no nonce":        seal(1, jwe, nil, plain, jwe),
		"short nonce":     seal(1, jwe, nonce[:11], plain, jwe),
		"long nonce":      seal(1, jwe, append(nonce[:12:12], 0), plain, jwe),
		"another nonce":   seal(1, jwe, bytes.Repeat([]byte{1}, 12), plain, jwe),
		"key not covered": seal(1, jwe, nonce, plain, ""),
		"no JSON":         seal(1, jwe, nonce, "x", jwe),
		"no key":          seal(1, "", nonce, plain, ""),
		"too large":       seal(1, jwe, nonce, `{"upn":"`+strings.Repeat("x", 256<<10)+`"}`, jwe),
	} {
		if s, err := drs.UnsealSession(text, key(t)); !errors.Is(err, drs.ErrSession) || s != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := drs.UnsealSession(seal(1, jwe, nonce, plain, jwe), nil); !errors.Is(err, drs.ErrSession) {
		t.Errorf("no transport key: %v", err)
	}
}
