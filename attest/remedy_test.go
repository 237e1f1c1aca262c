package attest_test

import (
	"bytes"
	"context"
	"crypto"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
)

// A TPM that is busy for ever is given up after two minutes.
func TestBusyForEver(t *testing.T) {
	for _, rc := range []uint16{0x922, 0x908, 0x90A} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			_, err := (&attest.TPM{Transport: constant(rcAnswer(rc))}).Info(context.Background())
			took := time.Since(start)
			var e *attest.Error
			if !errors.As(err, &e) || e.RC != tpm2.TPMRC(rc) || !strings.Contains(err.Error(), "busy for 2m") || !strings.Contains(e.Remedy(), "stays busy") {
				t.Errorf("%#x: %v", rc, err)
			}
			if took < 2*time.Minute || took > 2*time.Minute+time.Second {
				t.Errorf("%#x: given up after %v", rc, took)
			}
		})
	}
}

// A TPM 1.2 is called so.
func TestTPM12(t *testing.T) {
	tpm := &attest.TPM{Transport: constant{0x00, 0xC4, 0, 0, 0, 10, 0, 0, 0, 0x1E}}
	_, err := tpm.Info(t.Context())
	var e *attest.Error
	if !errors.Is(err, attest.ErrNoTPM) || !errors.As(err, &e) || !strings.Contains(err.Error(), "TPM 1.2") || !strings.Contains(e.Remedy(), "Switch the TPM to version 2.0") {
		t.Errorf("%v", err)
	}
}

// keyWith returns a key file whose public area has other attributes or another policy.
func keyWith(t *testing.T, text []byte, clear byte) []byte {
	t.Helper()
	block, _ := pem.Decode(text)
	// TPMT_PUBLIC: type 0023, name algorithm 000B, attributes.
	at := bytes.Index(block.Bytes, []byte{0x00, 0x23, 0x00, 0x0B})
	if at < 0 {
		t.Fatal("no P-256 key")
	}
	block.Bytes[at+7] &^= clear
	return pem.EncodeToMemory(block)
}

// A key that may be used by its policy only is refused when it is loaded, before the
// TPM is asked.
func TestPolicyOnlyKey(t *testing.T) {
	tpm := &attest.TPM{Transport: emulator(t, "ready")}
	policy := bytes.Repeat([]byte{7}, 32)
	text, err := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Sign, AuthPolicy: policy}).MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tpm.LoadKey(t.Context(), text); err != nil {
		t.Errorf("with userWithAuth: %v", err)
	}
	tpm.Transport = noTPM{}
	_, err = tpm.LoadKey(t.Context(), keyWith(t, text, 1<<6))
	var e *attest.Error
	if !errors.As(err, &e) || !strings.Contains(err.Error(), "only by satisfying its policy") || e.HRESULT() != 0x8007000D {
		t.Errorf("%v", err)
	}
}

// The file of a key with an authorization value says so, and so does the error of its
// first use, which also names the tool whose files say it wrongly.
func TestKeyFileTellsAuth(t *testing.T) {
	tpm := &attest.TPM{Transport: emulator(t, "ready")}
	for auth, want := range map[string]byte{"": 0xFF, "secret": 0} {
		text, err := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Sign, Auth: []byte(auth)}).MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(text)
		if !bytes.Contains(block.Bytes, []byte{0xA0, 3, 1, 1, want}) {
			t.Errorf("%q: %x", auth, block.Bytes)
		}
		k, err := tpm.LoadKey(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		_, err = k.Sign(nil, make32(), crypto.SHA256)
		if auth == "" && err != nil || auth != "" && (err == nil || !strings.Contains(err.Error(), "WithAuth(nil)") || !strings.Contains(err.Error(), "tpm2_encodeobject")) {
			t.Errorf("%q: %v", auth, err)
		}
	}
}

// A key in an endorsement key's place that signs and decrypts is refused at once.
func TestSigningEK(t *testing.T) {
	forBackends(t, "fresh", func(t *testing.T, tr transport.TPM) {
		p := &tap{TPM: tr}
		tpm := &attest.TPM{Transport: p}
		aik := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
		ek := *firstEK(t, tpm)
		ek.PublicArea = bytes.Clone(ek.PublicArea)
		ek.PublicArea[5] |= 1 << 2 // sign
		ek.PublicArea[5] &^= 1     // restricted
		p.reset()
		_, err := tpm.ActivateCredential(t.Context(), &ek, aik, &attest.Credential{Blob: []byte{1}, EncryptedSecret: []byte{1}})
		if err == nil || !strings.Contains(err.Error(), "signs and decrypts") || len(p.reset()) != 0 {
			t.Errorf("activate: %v", err)
		}
		if _, err := attest.MakeCredential(ek.PublicArea, aik.Name(), []byte{1}); err == nil || !strings.Contains(err.Error(), "signs and decrypts") {
			t.Errorf("make: %v", err)
		}
		// The TPM makes only such keys.
		template := tpm2.RSAEKTemplate
		template.ObjectAttributes.SignEncrypt, template.ObjectAttributes.Restricted = true, false
		template.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, &tpm2.TPMSRSAParms{
			Symmetric: tpm2.TPMTSymDefObject{Algorithm: tpm2.TPMAlgNull}, KeyBits: 2048,
		})
		persist(t, tr, tpm2.TPMRHEndorsement, template, 0x81010001)
		p.before = answerTo(tpm2.TPMCCCreatePrimary, 0x2C4)
		n := 0
		for ek, err := range tpm.EKs(t.Context()) {
			if n++; err == nil || !strings.Contains(err.Error(), "signs and decrypts") {
				t.Errorf("%+v, %v", ek, err)
			}
		}
		if n != 1 {
			t.Errorf("%d endorsement keys", n)
		}
	})
}
