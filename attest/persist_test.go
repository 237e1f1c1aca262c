package attest_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
)

// A storage key that was made persistent serves the keys made before, too, and
// those of later runs; and one that is there is left alone.
func TestPersistSRK(t *testing.T) {
	forBackends(t, "fresh", func(t *testing.T, tr transport.TPM) {
		p := &tap{TPM: tr}
		tpm := &attest.TPM{Transport: p}
		release := tpm.Keep()
		before := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
		if err := tpm.PersistSRK(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := handles(t, tr, 0x81000000); !slices.Equal(got, []tpm2.TPMHandle{0x81000001}) {
			t.Errorf("persistent: %#x", got)
		}
		k := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Sign})
		p.reset()
		if err := tpm.PersistSRK(t.Context()); err != nil || len(p.reset()) != 0 {
			t.Errorf("again: %v", err)
		}
		certify(t, tpm, k, before, nil)
		keys := []*attest.Key{k, create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Sign}), before}
		for _, k := range keys[:2] {
			signs(t, k) // the others were evicted
		}
		certify(t, tpm, k, before, nil)
		if attest.KeyParent(before) != 0x40000001 || attest.KeyParent(k) != 0x81000001 {
			t.Errorf("parents %#x and %#x", attest.KeyParent(before), attest.KeyParent(k))
		}
		if log := p.reset(); slices.Contains(log, "CreatePrimary") {
			t.Errorf("commands %v", log)
		}
		if err := release(t.Context()); err != nil {
			t.Fatal(err)
		}
		noneLoaded(t, tr)

		if err := tpm.PersistSRK(t.Context()); err != nil {
			t.Error(err)
		}
		create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Sign})
		if log := p.reset(); slices.Contains(log, "CreatePrimary") || slices.Contains(log, "EvictControl") {
			t.Errorf("later commands %v", log)
		}
		certify(t, tpm, k, before, nil)
		noneLoaded(t, tr)

		// Kept, the storage key made for the one gives way to the other's.
		release = tpm.Keep()
		certify(t, tpm, k, before, nil)
		ek, err := attest.DefaultEK(firstEK(t, tpm).Public)
		if err != nil {
			t.Fatal(err)
		}
		activates(t, tpm, ek, before)
		activates(t, tpm, ek, create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Attest}))
		certify(t, tpm, k, before, nil)
		if err := release(t.Context()); err != nil {
			t.Error(err)
		}
		noneLoaded(t, tr)
	})
	forBackends(t, "ready", func(t *testing.T, tr transport.TPM) {
		p := &tap{TPM: tr}
		if err := (&attest.TPM{Transport: p}).PersistSRK(t.Context()); err != nil {
			t.Error(err)
		}
		if log := p.reset(); !slices.Equal(log, []string{"ReadPublic"}) {
			t.Errorf("commands %v", log)
		}
	})
}

// What is at the handle, and is no storage root key, stays; and the owner's
// authorization value is asked for, and kept off the bus.
func TestPersistSRKRefused(t *testing.T) {
	forBackends(t, "fresh", func(t *testing.T, tr transport.TPM) {
		auth := []byte("value of the owner")
		_, err := tpm2.HierarchyChangeAuth{AuthHandle: tpm2.TPMRHOwner, NewAuth: tpm2.TPM2BAuth{Buffer: auth}}.Execute(tr)
		if err != nil {
			t.Fatal(err)
		}
		if err := (&attest.TPM{Transport: tr}).PersistSRK(t.Context()); !errors.Is(err, tpm2.TPMRCBadAuth) {
			t.Errorf("without the value: %v", err)
		}
		b := &bus{TPM: tr}
		if err := (&attest.TPM{Transport: b, OwnerAuth: auth}).PersistSRK(t.Context()); err != nil {
			t.Errorf("with the value: %v", err)
		}
		if b.saw(auth) {
			t.Error("authorization value crossed the bus")
		}
		noneLoaded(t, tr)
	})
	forBackends(t, "fresh", func(t *testing.T, tr transport.TPM) {
		persist(t, tr, tpm2.TPMRHOwner, signingTemplate(), 0x81000001)
		tpm := &attest.TPM{Transport: tr}
		release := tpm.Keep()
		if err := tpm.PersistSRK(t.Context()); !errors.Is(err, tpm2.TPMRCNVDefined) {
			t.Errorf("handle in use: %v", err)
		}
		signs(t, create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Sign}))
		if err := release(context.Background()); err != nil {
			t.Error(err)
		}
		noneLoaded(t, tr)
	})
}

// signingTemplate is that of a primary key that signs.
func signingTemplate() tpm2.TPMTPublic {
	tmpl := tpm2.ECCSRKTemplate
	tmpl.ObjectAttributes.Restricted, tmpl.ObjectAttributes.Decrypt, tmpl.ObjectAttributes.SignEncrypt = false, false, true
	tmpl.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{CurveID: tpm2.TPMECCNistP256})
	return tmpl
}

// Where an SRK is persistent and the EK is not, DefaultEK's assumption costs a
// command that says so, and the credential is opened all the same.
func TestDefaultEKBesidePersistentSRK(t *testing.T) {
	tr := emulator(t, "fresh")
	p := &tap{TPM: tr}
	tpm := &attest.TPM{Transport: p}
	if err := tpm.PersistSRK(t.Context()); err != nil {
		t.Fatal(err)
	}
	ek, err := attest.DefaultEK(firstEK(t, tpm).Public)
	if err != nil {
		t.Fatal(err)
	}
	aik := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
	for _, there := range []bool{false, true} {
		if there {
			persist(t, tr, tpm2.TPMRHEndorsement, tpm2.RSAEKTemplate, 0x81010001)
		}
		p.reset()
		activates(t, tpm, ek, aik)
		// Whether it is there is asked first, so that it is used once.
		log := p.reset()
		if slices.Contains(log, "CreatePrimary") == there || strings.Count(strings.Join(log, " "), "ActivateCredential") != 1 {
			t.Errorf("EK there is %t: commands %v", there, log)
		}
	}
	noneLoaded(t, tr)
}

func activates(t *testing.T, tpm *attest.TPM, ek *attest.EK, aik *attest.Key) {
	t.Helper()
	cred, err := attest.MakeCredential(ek.PublicArea, aik.Name(), []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := tpm.ActivateCredential(t.Context(), ek, aik, cred); err != nil || string(got) != "secret" {
		t.Errorf("ActivateCredential: %q, %v", got, err)
	}
}
