package ekcert_test

import (
	"crypto/ecdsa"
	"errors"
	"testing"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/ekcert/ekcerttest"
)

// TestFindOnTPM reads the certificates of an emulated TPM: those of its RSA
// 2048 and P-256 keys, and the CA's certificate in its chain.
func TestFindOnTPM(t *testing.T) {
	d, err := newDevice(attesttest.Config{}, attest.P256)
	if err != nil {
		t.Fatal(err)
	}
	findAll(t, d)
}

// TestOnSWTPM finds and enrolls on a TPM that others wrote.
func TestOnSWTPM(t *testing.T) {
	swtpm, err := attesttest.StartSWTPM(t.TempDir())
	if errors.Is(err, attesttest.ErrNoSWTPM) {
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
	findAll(t, d)
	ca := new(ekcerttest.Server)
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

// TestFindSparesTPM checks that the chain is not read where the issuer is
// known, and that a TPM without certificates is asked for no more than two.
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
