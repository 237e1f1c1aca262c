package ekcert_test

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"os"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/ekcert/ekcerttest"
)

// TestFindOnTPM reads the certificates of an emulated TPM: those of its RSA 2048 and
// P-256 keys, and the CA's certificate in its chain.
func TestFindOnTPM(t *testing.T) {
	d, err := newDevice(attesttest.Config{}, attest.P256)
	if err != nil {
		t.Fatal(err)
	}
	hide(t, d, 0x01C00101)
	findAll(t, d)
}

// hide defines an NV index that cannot be read, because nothing meets its policy.
func hide(t *testing.T, d *device, index tpm2.TPMHandle) {
	t.Helper()
	public := tpm2.TPMSNVPublic{
		NVIndex: index, NameAlg: tpm2.TPMAlgSHA256, DataSize: 8, AuthPolicy: tpm2.TPM2BDigest{Buffer: make([]byte, 32)},
		Attributes: tpm2.TPMANV{OwnerWrite: true, PolicyRead: true, NT: tpm2.TPMNTOrdinary},
	}
	define := tpm2.NVDefineSpace{AuthHandle: tpm2.TPMRHOwner, PublicInfo: tpm2.New2B(public)}
	if _, err := define.Execute(d.tpm.Transport); err != nil {
		t.Fatal(err)
	}
	name, err := tpm2.NVName(&public)
	if err != nil {
		t.Fatal(err)
	}
	write := tpm2.NVWrite{
		AuthHandle: tpm2.TPMRHOwner, NVIndex: tpm2.NamedHandle{Handle: index, Name: *name}, Data: tpm2.TPM2BMaxNVBuffer{Buffer: make([]byte, 8)},
	}
	if _, err := write.Execute(d.tpm.Transport); err != nil {
		t.Fatal(err)
	}
}

// TestFindHiddenOnTPM uses a TPM whose certificate cannot be read, with and without
// another one elsewhere.
func TestFindHiddenOnTPM(t *testing.T) {
	d, err := newDevice(attesttest.Config{NoCertificate: true}, attest.P256)
	if err != nil {
		t.Fatal(err)
	}
	hide(t, d, 0x01C00002)
	cert, err := attesttest.EKCertificate(d.eks[0].Public)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		system [][]byte
		want   error
	}{{[][]byte{cert.Raw}, nil}, {nil, tpm2.TPMRCAuthUnavailable}} {
		c := &ekcert.Client{SystemStore: func(context.Context) ([][]byte, error) { return tt.system, nil }}
		if _, err := c.Find(t.Context(), d.tpm, "", d.eks[0].Public); !errors.Is(err, tt.want) {
			t.Errorf("%d elsewhere: %v", len(tt.system), err)
		}
	}
}

// TestOnSWTPM finds and enrolls on swtpm, an independent TPM.
func TestOnSWTPM(t *testing.T) {
	swtpm, err := attesttest.StartSWTPM(t.TempDir())
	if errors.Is(err, attesttest.ErrNoSWTPM) && os.Getenv("WHITEGLOVE_REQUIRE_SWTPM") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer swtpm.Close()
	d, err := openDevice(swtpm, attest.RSA2048)
	if err != nil {
		t.Fatal(err)
	}
	hide(t, d, 0x01C00101)
	findAll(t, d)
	ca := &ekcerttest.Server{AnyEK: true}
	c := &ekcert.Client{SCEPURL: serve(t, ca).URL, Roots: ekcert.Roots{attesttest.Vendor: ca.Roots()}}
	for _, ek := range d.eks {
		if _, err := c.Enroll(t.Context(), d.enrollment(ek)); err != nil {
			t.Errorf("%T: %v, the CA: %q", ek.Public, err, ca.Refusals())
		}
	}
}

func findAll(t *testing.T, d *device) {
	t.Helper()
	roots := ekcert.Roots{attesttest.Vendor: attesttest.Roots()}
	found := 0
	for _, ek := range d.eks {
		c := &ekcert.Client{Roots: roots}
		cert, err := c.Find(t.Context(), d.tpm, attesttest.Vendor, ek.Public)
		if k, ok := ek.Public.(*ecdsa.PublicKey); ok && k.Params().BitSize == 384 {
			if !errors.Is(err, ekcert.ErrNotFound) {
				t.Errorf("P-384: %v", err)
			}
			continue
		}
		if err != nil || len(cert.Issuers) != 1 || cert.Family != "2.0" {
			t.Errorf("%T: %+v, %v", ek.Public, cert, err)
			continue
		}
		report, err := c.Verify(t.Context(), cert, ek.Public)
		if err != nil || len(report.Chain) != 3 || len(report.Findings) != 0 {
			t.Errorf("%T: %+v, %v", ek.Public, report, err)
		}
		found++
	}
	if found != 2 {
		t.Errorf("found %d certificates", found)
	}
}

// TestFindSparesTPM checks that the chain is not read if the issuer is known, and that
// only two indices are read of a TPM without certificates.
func TestFindSparesTPM(t *testing.T) {
	known := pool(attesttest.Certificates()...)
	for name, tt := range map[string]struct {
		config attesttest.Config
		client ekcert.Client
		public int
	}{
		"issuer known":   {attesttest.Config{}, ekcert.Client{Roots: ekcert.Roots{"": known}}, 1},
		"no certificate": {attesttest.Config{NoCertificate: true}, ekcert.Client{}, 2},
	} {
		emulator, err := attesttest.New(tt.config)
		if err != nil {
			t.Fatal(err)
		}
		counter := attesttest.Counter(emulator)
		tpm := &attest.TPM{Transport: counter}
		for ek, err := range tpm.EKs(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			counter.Reset()
			_, err = tt.client.Find(t.Context(), tpm, "", ek.Public)
			if err != nil && !errors.Is(err, ekcert.ErrNotFound) {
				t.Errorf("%s: %v", name, err)
			}
			if n := counter.Count("TPM2_NV_ReadPublic"); n != tt.public {
				t.Errorf("%s: %d indices were asked for, want %d", name, n, tt.public)
			}
			break
		}
	}
}
