package attest_test

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
)

// Keys with an authorization value, here one that ends in zeros, which do not
// count: made, used, stored, loaded, and refused with another value. The value
// does not cross the bus, and wrong ones do not count towards lockout.
func TestKeyAuth(t *testing.T) {
	for _, state := range []string{"ready", "fresh"} {
		forBackends(t, state, func(t *testing.T, tr transport.TPM) {
			auth := []byte("value of \x00 the key, 28 byte\x00\x00")
			b := &bus{TPM: tr}
			tpm := &attest.TPM{Transport: b}
			aik := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Attest, Auth: auth})
			dk := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Sign, Auth: auth})
			scep := create(t, tpm, attest.Template{Usage: attest.Sign | attest.Decrypt, Auth: auth})
			useAll := func(aik, dk, scep *attest.Key) {
				t.Helper()
				signs(t, dk)
				decrypts(t, scep)
				certify(t, tpm, dk, aik, []byte("nonce"))
				certify(t, tpm, scep, aik, []byte("nonce"))
				quotes(t, tpm, aik, crypto.SHA256)
				activate1(t, tpm, aik)
			}
			useAll(aik, dk, scep)
			release := tpm.Keep()
			useAll(aik, dk, scep)
			if err := release(context.Background()); err != nil {
				t.Fatal(err)
			}
			noneLoaded(t, tr)
			var again []*attest.Key
			for _, k := range []*attest.Key{aik, dk, scep} {
				text, err := k.MarshalText()
				if err != nil || bytes.Contains(text, auth[:8]) {
					t.Fatal(err)
				}
				l, err := tpm.LoadKey(context.Background(), text)
				if err != nil {
					t.Fatal(err)
				}
				if twice, err := l.MarshalText(); err != nil || !bytes.Equal(text, twice) {
					t.Errorf("text changed: %v", err)
				}
				again = append(again, l)
			}
			if _, err := again[1].Sign(nil, make32(), crypto.SHA256); err == nil || errors.As(err, new(tpm2.TPMRC)) {
				t.Errorf("without the value: %v", err)
			}
			_, err := again[1].WithAuth([]byte("wrong")).Sign(nil, make32(), crypto.SHA256)
			var e *attest.Error
			if !errors.Is(err, tpm2.TPMRCBadAuth) || !errors.As(err, &e) || e.Remedy() == "" {
				t.Errorf("wrong value: %v", err)
			}
			if _, err := tpm.Certify(context.Background(), dk, aik.WithAuth(nil), nil); !errors.Is(err, tpm2.TPMRCBadAuth) {
				t.Errorf("empty value: %v", err)
			}
			useAll(again[0].WithAuth(auth), again[1].WithAuth(auth), again[2].WithAuth(auth))
			noneLoaded(t, tr)
			if b.saw(auth[:8]) {
				t.Error("authorization value crossed the bus")
			}
			if n := lockoutCounter(t, tr); n != 0 {
				t.Errorf("%d wrong values counted", n)
			}
		})
	}
	if _, err := (&attest.TPM{Transport: noTPM{}}).CreateKey(context.Background(), attest.Template{Usage: attest.Sign, Auth: make([]byte, 33)}); err == nil {
		t.Error("value of 33 bytes")
	}
}

// activate1 has the first endorsement key open a credential for aik.
func activate1(t *testing.T, tpm *attest.TPM, aik *attest.Key) {
	t.Helper()
	ek := firstEK(t, tpm)
	secret := []byte("secret of an attestation CA")
	cred, err := attest.MakeCredential(ek.PublicArea, aik.Name(), secret)
	if err != nil {
		t.Fatal(err)
	}
	got, err := tpm.ActivateCredential(context.Background(), ek, aik, cred)
	if err != nil || !bytes.Equal(got, secret) {
		t.Errorf("ActivateCredential: %q, %v", got, err)
	}
}

func lockoutCounter(t *testing.T, tr transport.TPM) uint32 {
	t.Helper()
	rsp, err := tpm2.GetCapability{Capability: tpm2.TPMCapTPMProperties, Property: uint32(tpm2.TPMPTLockoutCounter), PropertyCount: 1}.Execute(tr)
	if err != nil {
		t.Fatal(err)
	}
	list, err := rsp.CapabilityData.Data.TPMProperties()
	if err != nil {
		t.Fatal(err)
	}
	return list.TPMProperty[0].Value
}
