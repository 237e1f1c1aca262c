package attest_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/attest"
)

// What is not there is an error, before the TPM is asked.
func TestNil(t *testing.T) {
	ctx := t.Context()
	tpm := &attest.TPM{Transport: emulator(t, "ready")}
	aik := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
	ek, cred := firstEK(t, tpm), &attest.Credential{Blob: []byte{1}, EncryptedSecret: []byte{1}}
	var none *attest.Key
	decrypter := create(t, tpm, attest.Template{Usage: attest.Decrypt})
	signer := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Sign})
	text, err := decrypter.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	tpm.Transport = noTPM{}
	for name, err := range map[string]error{
		"Certify, key":             second(tpm.Certify(ctx, nil, aik, nil)),
		"Certify, attestation key": second(tpm.Certify(ctx, aik, nil, nil)),
		"Quote":                    second(tpm.Quote(ctx, nil, nil, crypto.SHA256)),
		"Activate, EK":             second(tpm.ActivateCredential(ctx, nil, aik, cred)),
		"Activate, key":            second(tpm.ActivateCredential(ctx, ek, nil, cred)),
		"Activate, credential":     second(tpm.ActivateCredential(ctx, ek, aik, nil)),
		"Activate, empty EK":       second(tpm.ActivateCredential(ctx, &attest.EK{}, &attest.Key{}, cred)),
		"Activator":                second(tpm.Activator(nil, nil)(ctx, nil, nil)),
		"Certify, plain key":       second(tpm.Certify(ctx, aik, decrypter, nil)),
		"Certify, signing key":     second(tpm.Certify(ctx, aik, signer, nil)),
		"Certify, nonce":           second(tpm.Certify(ctx, aik, aik, make([]byte, 65))),
		"Quote, PCR 24":            second(tpm.Quote(ctx, aik, nil, crypto.SHA256, 24)),
		"Quote, PCR -1":            second(tpm.Quote(ctx, aik, nil, crypto.SHA256, -1)),
		"Certify, empty key":       second(tpm.Certify(ctx, &attest.Key{}, aik, nil)),
		"Quote, empty key":         second(tpm.Quote(ctx, &attest.Key{}, nil, crypto.SHA256)),
		"Quote, no bank":           second(tpm.Quote(ctx, aik, nil, 0)),
		"CreateKey":                second(tpm.CreateKey(ctx, attest.Template{})),
		"LoadKey":                  second(tpm.LoadKey(ctx, nil)),
		"MakeCredential":           second(attest.MakeCredential(nil, nil, nil)),
		"MakeCredential, name":     second(attest.MakeCredential(ek.PublicArea, nil, []byte{1})),
		"MakeCredential, secret":   second(attest.MakeCredential(ek.PublicArea, aik.Name(), nil)),
		"EKPublicArea":             second(attest.EKPublicArea(nil)),
		"EKPublicArea, RSA":        second(attest.EKPublicArea((*rsa.PublicKey)(nil))),
		"EKPublicArea, ECC":        second(attest.EKPublicArea(&ecdsa.PublicKey{})),
		"DefaultEK":                second(attest.DefaultEK(nil)),
		"PrepareEK, EK":            second(tpm.PrepareEK(ctx, nil, aik)),
		"PrepareEK, key":           second(tpm.PrepareEK(ctx, ek, nil)),
		"PersistKey":               tpm.PersistKey(ctx, nil, 0x81050000),
		"PersistKey, empty":        tpm.PersistKey(ctx, &attest.Key{}, 0x81050000),
		"RemoveKey":                tpm.RemoveKey(ctx, nil, 0x81050000),
		"PublicKey":                second(attest.PublicKey(nil)),
		"Name":                     second(attest.Name(nil)),
		"Attributes":               second(attest.Attributes(nil)),
		"Statement.Verify":         (*attest.Statement)(nil).Verify(aik.Public(), nil),
		"Statement.Verify, key":    aik.Creation().Verify(nil, nil),
		"Statement.ClockInfo":      second((*attest.Statement)(nil).ClockInfo()),
		"Quote.Verify":             (*attest.Quote)(nil).Verify(aik.Public(), nil),
		"Quote.Verify, empty":      (&attest.Quote{}).Verify(nil, nil),
		"Quote.ClockInfo":          second((*attest.Quote)(nil).ClockInfo()),
		"Key.Sign":                 second(none.Sign(nil, make32(), crypto.SHA256)),
		"Key.Sign, options":        second(aik.Sign(nil, nil, nil)),
		"Key.Sign, empty":          second((&attest.Key{}).Sign(nil, make32(), crypto.SHA256)),
		"Key.Decrypt":              second(none.Decrypt(nil, nil, nil)),
		"Key.Decrypt, options":     second(decrypter.Decrypt(nil, make([]byte, 256), (*rsa.OAEPOptions)(nil))),
		"Key.MarshalText":          second(none.MarshalText()),
		"Key.MarshalText, empty":   second((&attest.Key{}).MarshalText()),
		"nil TPM":                  second((*attest.TPM)(nil).Info(ctx)),
		"nil TPM, CreateKey":       second((*attest.TPM)(nil).CreateKey(ctx, attest.Template{Usage: attest.Sign})),
		"nil TPM, LoadKey":         second((*attest.TPM)(nil).LoadKey(ctx, text)),
		"nil TPM, Quote":           second((*attest.TPM)(nil).Quote(ctx, aik, nil, crypto.SHA256)),
		"nil TPM, ReadNV":          second((*attest.TPM)(nil).ReadNV(ctx, 1)),
		"nil TPM, PersistSRK":      (*attest.TPM)(nil).PersistSRK(ctx),
	} {
		var e *attest.Error
		if !errors.As(err, &e) || e.Op == "" || strings.Contains(err.Error(), "was asked") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if none.Public() != nil || none.PublicArea() != nil || none.Name() != nil || none.Creation() != nil ||
		none.WithAuth(nil) != nil || none.WithContext(ctx) != nil || none.Matches(attest.Template{Usage: attest.Sign}) {
		t.Error("a nil key is something")
	}
	if err := (*attest.TPM)(nil).Keep()(ctx); err != nil {
		t.Error(err)
	}
	if err := (*attest.TPM)(nil).Close(); err != nil {
		t.Error(err)
	}
	for _, err := range (*attest.TPM)(nil).EKs(ctx) {
		if !errors.Is(err, attest.ErrNoTPM) {
			t.Error(err)
		}
	}
}
