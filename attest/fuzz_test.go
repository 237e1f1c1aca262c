package attest_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/asn1"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
)

func benchTPM(t testing.TB) *attesttest.TPM {
	t.Helper()
	tpm, err := attesttest.New(attesttest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tpm.Close() })
	return tpm
}

func FuzzVerify(f *testing.F) {
	all, by := proofs(f, benchTPM(f))
	for _, s := range all {
		f.Add(s.PublicArea, s.Attest, s.Signature, s.CreationData, nonceOf(s))
	}
	f.Add([]byte{}, []byte{}, []byte{}, []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, area, att, sig, creation, nonce []byte) {
		s := &attest.Statement{PublicArea: area, Attest: att, Signature: sig, CreationData: creation}
		if len(creation) == 0 {
			s.CreationData = nil
		}
		for i, key := range by {
			if s.Verify(key, nonce) != nil {
				continue
			}
			genuine := false
			for _, g := range all {
				genuine = genuine || bytes.Equal(g.Attest, att) && bytes.Equal(g.PublicArea, area)
			}
			if !genuine {
				t.Fatalf("key %d accepts what it did not sign", i)
			}
		}
	})
}

func FuzzArea(f *testing.F) {
	all, _ := proofs(f, benchTPM(f))
	for _, s := range all {
		f.Add(s.PublicArea)
	}
	f.Add(tpm2.Marshal(tpm2.RSAEKTemplate))
	f.Add(tpm2.Marshal(tpm2.ECCSRKTemplate))
	f.Add(bytes.Repeat([]byte{0xFF}, 5000))
	f.Fuzz(func(t *testing.T, b []byte) {
		name, nameErr := attest.Name(b)
		attrs, attrErr := attest.Attributes(b)
		pub, keyErr := attest.PublicKey(b)
		if attrErr != nil && (nameErr == nil || keyErr == nil) {
			t.Fatalf("no attributes, but name %x or key %v", name, pub)
		}
		if attrErr != nil {
			return
		}
		if again, err := attest.Remarshal(b); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x became %x, %v (attributes %#x)", b, again, err, attrs)
		}
		if keyErr != nil {
			return
		}
		switch k := pub.(type) {
		case *rsa.PublicKey:
			if k.N.BitLen() < 2048 || k.E != 65537 {
				t.Fatalf("weak key %v", k)
			}
		case *ecdsa.PublicKey:
			if _, err := k.Bytes(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := attest.MakeCredential(b, append([]byte{0, 11}, make([]byte, 32)...), []byte("x")); err != nil {
			return
		}
	})
}

func FuzzLoadKey(f *testing.F) {
	ctx := context.Background()
	tr := benchTPM(f)
	tpm := &attest.TPM{Transport: tr}
	for _, u := range []attest.Usage{attest.Attest, attest.Sign} {
		k, err := tpm.CreateKey(ctx, attest.Template{Algorithm: attest.P256, Usage: u})
		if err != nil {
			f.Fatal(err)
		}
		text, err := k.MarshalText()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("-----BEGIN TSS2 PRIVATE KEY-----\nMAA=\n-----END TSS2 PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		k, err := attest.ParseKey(text)
		if err != nil {
			return
		}
		out, err := k.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		again, err := attest.ParseKey(out)
		if err != nil || !bytes.Equal(again.Name(), k.Name()) {
			t.Fatalf("not stable: %v", err)
		}
	})
}

// What a key file must not hold.
func TestKeyFileRefused(t *testing.T) {
	ctx := context.Background()
	tpm := &attest.TPM{Transport: emulator(t, "ready")}
	aik := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
	text, err := aik.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tpm.LoadKey(ctx, text); err != nil {
		t.Fatal(err)
	}
	keyBlock, rest := pem.Decode(text)
	creation, _ := pem.Decode(rest)
	if keyBlock.Type != "TSS2 PRIVATE KEY" || creation == nil {
		t.Fatalf("blocks %q, %v", keyBlock.Type, creation)
	}
	type file struct {
		Type        asn1.ObjectIdentifier
		EmptyAuth   bool            `asn1:"optional,explicit,tag:0"`
		Policy      []asn1.RawValue `asn1:"optional,explicit,tag:1,omitempty"`
		Secret      []byte          `asn1:"optional,explicit,tag:2,omitempty"`
		Description string          `asn1:"optional,explicit,tag:4,utf8"`
		RSAParent   bool            `asn1:"optional,explicit,tag:5"`
		Parent      int64
		Public      []byte
		Private     []byte
	}
	var good file
	if _, err := asn1.Unmarshal(keyBlock.Bytes, &good); err != nil {
		t.Fatal(err)
	}
	encode := func(f file, more ...byte) []byte {
		der, err := asn1.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "TSS2 PRIVATE KEY", Bytes: append(der, more...)})
	}
	change := func(f func(*file)) []byte {
		c := good
		f(&c)
		return encode(c)
	}
	if _, err := tpm.LoadKey(ctx, change(func(f *file) { f.Description = "ours" })); err != nil {
		t.Errorf("with a description: %v", err)
	}
	badCreation := bytes.Clone(creation.Bytes)
	badCreation[len(badCreation)-1] ^= 1
	for name, text := range map[string][]byte{
		"nothing":          nil,
		"another block":    pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyBlock.Bytes}),
		"cut":              pem.EncodeToMemory(&pem.Block{Type: "TSS2 PRIVATE KEY", Bytes: keyBlock.Bytes[:100]}),
		"trailing byte":    encode(good, 0),
		"too long":         append(bytes.Clone(text), bytes.Repeat([]byte{'\n'}, 17<<10)...),
		"importable":       change(func(f *file) { f.Type = asn1.ObjectIdentifier{2, 23, 133, 10, 1, 4} }),
		"policy":           change(func(f *file) { f.Policy = []asn1.RawValue{{Tag: asn1.TagNull}} }),
		"secret":           change(func(f *file) { f.Secret = []byte{1} }),
		"RSA parent":       change(func(f *file) { f.RSAParent = true }),
		"endorsement":      change(func(f *file) { f.Parent = 0x4000000B }),
		"transient parent": change(func(f *file) { f.Parent = 0x80000000 }),
		"negative parent":  change(func(f *file) { f.Parent = -0x7EFFFFFF }),
		"size of public":   change(func(f *file) { f.Public = append(bytes.Clone(f.Public), 0) }),
		"size of private":  change(func(f *file) { f.Private = f.Private[:len(f.Private)-1] }),
		"no private":       change(func(f *file) { f.Private = []byte{0, 0} }),
		"creation changed": append(encode(good), pem.EncodeToMemory(&pem.Block{Type: "TPM CREATION STATEMENT", Bytes: badCreation})...),
		"creation cut":     append(encode(good), pem.EncodeToMemory(&pem.Block{Type: "TPM CREATION STATEMENT", Bytes: creation.Bytes[:50]})...),
	} {
		_, err := tpm.LoadKey(ctx, text)
		if err == nil || !strings.HasPrefix(err.Error(), "attest: LoadKey: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	flipped := change(func(f *file) {
		f.Private = bytes.Clone(f.Private)
		f.Private[20] ^= 1
	})
	if _, err := tpm.LoadKey(ctx, flipped); err == nil {
		t.Error("changed private part: loaded")
	}
	if _, err := tpm.LoadKey(ctx, change(func(f *file) { f.Parent = 0x81000005 })); err == nil {
		t.Error("parent that is not there: loaded")
	}
	if _, err := tpm.LoadKey(ctx, change(func(f *file) { f.Parent = 0x81010001 })); err == nil {
		t.Error("endorsement key as parent: loaded")
	}
	without, err := tpm.LoadKey(ctx, encode(good))
	if err != nil || without.Creation() != nil {
		t.Errorf("without a creation statement: %v", err)
	}
}
