package attest_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
)

var _ = []any{crypto.Signer((*attest.Key)(nil)), crypto.Decrypter((*attest.Key)(nil))}

// The attribute words of drs.md 3.7 with noDA (0x400) in addition.
func TestKeys(t *testing.T) {
	forBackends(t, "ready", func(t *testing.T, tr transport.TPM) { testKeys(t, tr, 0x81000001) })
	forBackends(t, "fresh", func(t *testing.T, tr transport.TPM) { testKeys(t, tr, 0x40000001) })
}

func testKeys(t *testing.T, tr transport.TPM, parent uint32) {
	for _, c := range []struct {
		name  string
		tmpl  attest.Template
		attrs uint32
	}{
		{"AIK RSA", attest.Template{Usage: attest.Attest}, 0x00050472},
		{"AIK SHA-1", attest.Template{Usage: attest.Attest, Hash: crypto.SHA1, AuthPolicy: make([]byte, 32)}, 0x00050472},
		{"AIK P-256", attest.Template{Algorithm: attest.P256, Usage: attest.Attest}, 0x00050472},
		{"AIK P-384", attest.Template{Algorithm: attest.P384, Usage: attest.Attest, Hash: crypto.SHA384}, 0x00050472},
		{"DK RSA", attest.Template{Usage: attest.Sign}, 0x00040472},
		{"DK P-256", attest.Template{Algorithm: attest.P256, Usage: attest.Sign}, 0x00040472},
		{"DK P-384", attest.Template{Algorithm: attest.P384, Usage: attest.Sign}, 0x00040472},
		{"TK RSA", attest.Template{Usage: attest.Decrypt}, 0x00020472},
		{"SCEP", attest.Template{Usage: attest.Sign | attest.Decrypt}, 0x00060472},
	} {
		t.Run(c.name, func(t *testing.T) {
			tpm := &attest.TPM{Transport: tr}
			k := create(t, tpm, c.tmpl)
			noneLoaded(t, tr)
			if got, err := attest.Attributes(k.PublicArea()); got != c.attrs || err != nil {
				t.Errorf("attributes %#x, %v, want %#x", got, err, c.attrs)
			}
			use(t, k, c.tmpl)
			text, err := k.MarshalText()
			if err != nil {
				t.Fatal(err)
			}
			again, err := (&attest.TPM{Transport: tr}).LoadKey(context.Background(), text)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(again.Name(), k.Name()) || !bytes.Equal(again.PublicArea(), k.PublicArea()) {
				t.Error("another key came back")
			}
			if got := attest.KeyParent(again); got != parent {
				t.Errorf("parent %#x, want %#x", got, parent)
			}
			use(t, again, c.tmpl)
			noneLoaded(t, tr)
		})
	}
}

// use uses a key in all ways that it has.
func use(t *testing.T, k *attest.Key, tmpl attest.Template) {
	t.Helper()
	if tmpl.Usage&attest.Sign != 0 {
		signs(t, k)
	} else if _, err := k.Sign(nil, make([]byte, 32), crypto.SHA256); err == nil {
		t.Error("key signs what it should not")
	}
	if tmpl.Usage&attest.Decrypt != 0 {
		decrypts(t, k)
	} else if _, err := k.Decrypt(nil, make([]byte, 256), nil); err == nil {
		t.Error("key decrypts")
	}
	c := k.Creation()
	if (c != nil) != (tmpl.Usage == attest.Attest) {
		t.Fatalf("creation statement: %v", c)
	}
	if c != nil {
		if err := c.Verify(k.Public(), nil); err != nil {
			t.Error(err)
		}
	}
}

func signs(t *testing.T, k *attest.Key) {
	t.Helper()
	for _, h := range []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384} {
		d := h.New()
		d.Write([]byte("message"))
		digest := d.Sum(nil)
		sig, err := k.Sign(nil, digest, h)
		if err != nil {
			t.Fatalf("%v: %v", h, err)
		}
		switch pub := k.Public().(type) {
		case *ecdsa.PublicKey:
			if !ecdsa.VerifyASN1(pub, digest, sig) {
				t.Errorf("%v: ECDSA signature is wrong", h)
			}
		case *rsa.PublicKey:
			if err := rsa.VerifyPKCS1v15(pub, h, digest, sig); err != nil {
				t.Errorf("%v: %v", h, err)
			}
			pss := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: h}
			sig, err := k.Sign(nil, digest, pss)
			if err != nil {
				t.Fatalf("PSS %v: %v", h, err)
			}
			if err := rsa.VerifyPSS(pub, h, digest, sig, pss); err != nil {
				t.Errorf("PSS %v: %v", h, err)
			}
		}
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "device"}}, k)
	if err != nil {
		t.Fatal(err)
	}
	req, err := x509.ParseCertificateRequest(csr)
	if err != nil || req.CheckSignature() != nil {
		t.Errorf("certificate request: %v, %v", err, req.CheckSignature())
	}
	for name, opts := range map[string]crypto.SignerOpts{
		"long salt":    &rsa.PSSOptions{SaltLength: 20, Hash: crypto.SHA256},
		"auto salt":    &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto, Hash: crypto.SHA256},
		"no hash":      crypto.Hash(0),
		"wrong length": crypto.SHA384,
		"nil":          nil,
	} {
		if _, ec := k.Public().(*ecdsa.PublicKey); ec && strings.Contains(name, "salt") {
			continue
		}
		if _, err := k.Sign(nil, make([]byte, 32), opts); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
}

func decrypts(t *testing.T, k *attest.Key) {
	t.Helper()
	openOAEP(t, k)
	pub := k.Public().(*rsa.PublicKey)
	box, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, pub, []byte("jwe"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := k.Decrypt(nil, box, &rsa.OAEPOptions{Hash: crypto.SHA1}); string(got) != "jwe" || err != nil {
		t.Errorf("OAEP SHA-1: %q, %v", got, err)
	}
	//lint:ignore SA1019 CMS key transport, as SCEP uses it, is PKCS #1 v1.5
	box, err = rsa.EncryptPKCS1v15(rand.Reader, pub, []byte("sixteen bytes, a"))
	if err != nil {
		t.Fatal(err)
	}
	//lint:ignore SA1019 as above
	plain, session := &rsa.PKCS1v15DecryptOptions{}, &rsa.PKCS1v15DecryptOptions{SessionKeyLen: 16}
	for _, opts := range []crypto.DecrypterOpts{nil, plain, session} {
		if got, err := k.Decrypt(nil, box, opts); string(got) != "sixteen bytes, a" || err != nil {
			t.Errorf("PKCS #1 v1.5 %+v: %q, %v", opts, got, err)
		}
	}
	// With a session key length, bad padding must look like any other key.
	box[200] ^= 1
	got, err := k.Decrypt(nil, box, session)
	if len(got) != 16 || err != nil {
		t.Errorf("bad padding: %d bytes, %v", len(got), err)
	}
	if _, err := k.Decrypt(nil, box, nil); !errors.Is(err, tpm2.TPMRCValue) && !errors.Is(err, tpm2.TPMRCFailure) {
		t.Errorf("bad padding: %v", err)
	}
	for name, opts := range map[string]crypto.DecrypterOpts{
		"label":      &rsa.OAEPOptions{Hash: crypto.SHA256, Label: []byte("x")},
		"two hashes": &rsa.OAEPOptions{Hash: crypto.SHA256, MGFHash: crypto.SHA1},
		"unknown":    "x",
	} {
		if _, err := k.Decrypt(nil, box, opts); err == nil {
			t.Errorf("%s: decrypted", name)
		}
	}
	if _, err := k.Decrypt(nil, box[:255], nil); err == nil {
		t.Error("short ciphertext: decrypted")
	}
}

func TestTemplatesRefused(t *testing.T) {
	tpm := &attest.TPM{Transport: noTPM{}}
	for name, tmpl := range map[string]attest.Template{
		"no usage":         {},
		"attest and sign":  {Usage: attest.Attest | attest.Sign},
		"unknown usage":    {Usage: 64},
		"unknown key":      {Algorithm: 9, Usage: attest.Sign},
		"hash of a signer": {Usage: attest.Sign, Hash: crypto.SHA256},
		"unknown hash":     {Usage: attest.Attest, Hash: crypto.MD5},
		"short policy":     {Usage: attest.Sign, AuthPolicy: make([]byte, 20)},
	} {
		if _, err := tpm.CreateKey(context.Background(), tmpl); err == nil || strings.Contains(err.Error(), "asked") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type noTPM struct{}

func (noTPM) Send([]byte) ([]byte, error) { return nil, errors.New("the TPM was asked") }

// noneLoaded checks that no object and no session is in the TPM.
func noneLoaded(t *testing.T, tr transport.TPM) {
	t.Helper()
	for _, first := range []uint32{0x80000000, 0x02000000} {
		if h := handles(t, tr, first); len(h) != 0 {
			t.Errorf("left loaded: %#x", h)
		}
	}
}

func handles(t *testing.T, tr transport.TPM, first uint32) []tpm2.TPMHandle {
	t.Helper()
	rsp, err := tpm2.GetCapability{Capability: tpm2.TPMCapHandles, Property: first, PropertyCount: 32}.Execute(tr)
	if err != nil {
		t.Fatal(err)
	}
	list, err := rsp.CapabilityData.Data.Handles()
	if err != nil {
		t.Fatal(err)
	}
	var same []tpm2.TPMHandle
	for _, h := range list.Handle {
		// The list of loaded sessions is asked for as HMAC sessions.
		if top := uint32(h) >> 24; top == first>>24 || top == 0x03 && first>>24 == 0x02 {
			same = append(same, h)
		}
	}
	return same
}

func TestWithoutCreateLoaded(t *testing.T) {
	forBackends(t, "ready", func(t *testing.T, tr transport.TPM) {
		p := &tap{TPM: tr, before: answerTo(tpm2.TPMCCCreateLoaded, 0x143)}
		tpm := &attest.TPM{Transport: p}
		signs(t, create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Sign}))
		signs(t, create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Sign}))
		noneLoaded(t, tr)
	})
}

// answerTo returns a tap that answers one command with a response code.
func answerTo(cc tpm2.TPMCC, rc uint16) func([]byte) []byte {
	return func(command []byte) []byte {
		if commandCode(command) != cc {
			return nil
		}
		return rcAnswer(rc)
	}
}

func rcAnswer(rc uint16) []byte {
	return []byte{0x80, 0x01, 0, 0, 0, 10, 0, 0, byte(rc >> 8), byte(rc)}
}

func TestRSA3072(t *testing.T) {
	forBackends(t, "ready", func(t *testing.T, tr transport.TPM) {
		k := create(t, &attest.TPM{Transport: tr}, attest.Template{Algorithm: attest.RSA3072, Usage: attest.Sign | attest.Decrypt})
		if n := k.Public().(*rsa.PublicKey).N.BitLen(); n != 3072 {
			t.Errorf("%d bits", n)
		}
		signs(t, k)
		decrypts(t, k)
	})
}
