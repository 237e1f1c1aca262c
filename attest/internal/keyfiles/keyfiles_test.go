package keyfiles_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"testing"

	keyfile "github.com/foxboron/go-tpm-keyfiles"
	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// states runs f on a TPM with a persistent storage key and on one without.
func states(t *testing.T, f func(*testing.T, *attesttest.TPM)) {
	for name, fresh := range map[string]bool{"ready": false, "fresh": true} {
		t.Run(name, func(t *testing.T) {
			tr, err := attesttest.New(attesttest.Config{Fresh: fresh})
			check(t, err)
			defer func() { check(t, tr.Close()) }()
			f(t, tr)
		})
	}
}

// It reads our keys of each algorithm and usage, and uses them.
func TestReadsOurs(t *testing.T) {
	states(t, func(t *testing.T, tr *attesttest.TPM) {
		for name, tmpl := range map[string]attest.Template{
			"RSA, sign":               {Usage: attest.Sign},
			"RSA, decrypt":            {Usage: attest.Decrypt},
			"RSA, both":               {Usage: attest.Sign | attest.Decrypt},
			"RSA, attest":             {Usage: attest.Attest},
			"RSA 3072, sign":          {Algorithm: attest.RSA3072, Usage: attest.Sign},
			"P-256, sign":             {Algorithm: attest.P256, Usage: attest.Sign},
			"P-256, sign, authorized": {Algorithm: attest.P256, Usage: attest.Sign, Auth: []byte("value")},
			"P-256, attest":           {Algorithm: attest.P256, Usage: attest.Attest},
			"P-384, sign":             {Algorithm: attest.P384, Usage: attest.Sign},
			"P-384, attest":           {Algorithm: attest.P384, Usage: attest.Attest, Hash: crypto.SHA384},
		} {
			t.Run(name, func(t *testing.T) {
				k, err := (&attest.TPM{Transport: tr}).CreateKey(t.Context(), tmpl)
				check(t, err)
				text, err := k.MarshalText()
				check(t, err)
				theirs, err := keyfile.Decode(text)
				check(t, err)
				pub, err := theirs.PublicKey()
				check(t, err)
				if !bytes.Equal(theirs.Pubkey.Bytes(), k.PublicArea()) || !k.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(pub) {
					t.Error("another key")
				}
				if theirs.HasAuth() != (tmpl.Auth != nil) {
					t.Errorf("authorization value: %v", theirs.HasAuth())
				}
				if tmpl.Usage&attest.Sign != 0 {
					signs(t, tr, theirs, pub, tmpl.Auth)
				}
				loads(t, tr, theirs, tmpl, k)
			})
		}
	})
}

func signs(t *testing.T, tr *attesttest.TPM, k *keyfile.TPMKey, pub crypto.PublicKey, auth []byte) {
	t.Helper()
	s, err := k.Signer(tr, nil, auth)
	check(t, err)
	digest := sha256.Sum256([]byte("message"))
	sig, err := s.Sign(rand.Reader, digest[:], crypto.SHA256)
	check(t, err)
	verifies(t, pub, digest[:], sig)
}

func verifies(t *testing.T, pub crypto.PublicKey, digest, sig []byte) {
	t.Helper()
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		check(t, rsa.VerifyPKCS1v15(pub, crypto.SHA256, digest, sig))
	case *ecdsa.PublicKey:
		if !ecdsa.VerifyASN1(pub, digest, sig) {
			t.Error("signature is wrong")
		}
	}
}

// loads has it load a key, and decrypts or attests with that, for which it has
// no methods of its own.
func loads(t *testing.T, tr *attesttest.TPM, k *keyfile.TPMKey, tmpl attest.Template, ours *attest.Key) {
	t.Helper()
	sess := keyfile.NewTPMSession(tr)
	h, parent, err := keyfile.LoadKey(sess, k, nil)
	check(t, err)
	defer keyfile.FlushHandle(tr, parent)
	defer keyfile.FlushHandle(tr, h)
	if !bytes.Equal(h.Name.Buffer, ours.Name()) {
		t.Error("another name")
	}
	if tmpl.Usage&attest.Decrypt != 0 {
		box, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, ours.Public().(*rsa.PublicKey), []byte("secret"), nil)
		check(t, err)
		rsp, err := tpm2.RSADecrypt{
			KeyHandle:  *h,
			CipherText: tpm2.TPM2BPublicKeyRSA{Buffer: box},
			InScheme:   tpm2.TPMTRSADecrypt{Scheme: tpm2.TPMAlgOAEP, Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgOAEP, &tpm2.TPMSEncSchemeOAEP{HashAlg: tpm2.TPMAlgSHA256})},
		}.Execute(tr)
		check(t, err)
		if string(rsp.Message.Buffer) != "secret" {
			t.Errorf("decrypted: %q", rsp.Message.Buffer)
		}
	}
	if tmpl.Usage == attest.Attest {
		rsp, err := tpm2.Certify{ObjectHandle: *h, SignHandle: *h, InScheme: tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull}}.Execute(tr)
		check(t, err)
		s := &attest.Statement{PublicArea: ours.PublicArea(), Attest: rsp.CertifyInfo.Bytes(), Signature: tpm2.Marshal(rsp.Signature)}
		check(t, s.Verify(ours.Public(), nil))
	}
}

// We read its keys, and use them.
func TestReadsTheirs(t *testing.T) {
	states(t, func(t *testing.T, tr *attesttest.TPM) {
		for name, c := range map[string]struct {
			alg  tpm2.TPMAlgID
			bits int
			auth []byte
		}{
			"RSA":               {tpm2.TPMAlgRSA, 2048, nil},
			"P-256":             {tpm2.TPMAlgECC, 256, nil},
			"P-256, authorized": {tpm2.TPMAlgECC, 256, []byte("value")},
			"P-384":             {tpm2.TPMAlgECC, 384, nil},
		} {
			t.Run(name, func(t *testing.T) {
				parents := []tpm2.TPMHandle{tpm2.TPMRHOwner}
				if _, err := (tpm2.ReadPublic{ObjectHandle: tpm2.TPMHandle(0x81000001)}).Execute(tr); err == nil {
					parents = append(parents, 0x81000001)
				}
				for _, parent := range parents {
					theirs, err := keyfile.NewLoadableKey(tr, c.alg, c.bits, nil, keyfile.WithParent(parent), keyfile.WithUserAuth(c.auth), keyfile.WithDescription("theirs"))
					check(t, err)
					k, err := (&attest.TPM{Transport: tr}).LoadKey(t.Context(), theirs.Bytes())
					check(t, err)
					digest := sha256.Sum256([]byte("message"))
					if c.auth != nil {
						if _, err := k.Sign(nil, digest[:], crypto.SHA256); err == nil {
							t.Error("signed without the authorization value")
						}
						k = k.WithAuth(c.auth)
					}
					sig, err := k.Sign(nil, digest[:], crypto.SHA256)
					check(t, err)
					verifies(t, k.Public(), digest[:], sig)
					if pub, ok := k.Public().(*rsa.PublicKey); ok {
						box, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, pub, []byte("secret"), nil)
						check(t, err)
						if got, err := k.Decrypt(nil, box, &rsa.OAEPOptions{Hash: crypto.SHA256}); err != nil || string(got) != "secret" {
							t.Errorf("decrypted: %q, %v", got, err)
						}
					}
				}
			})
		}
	})
}
