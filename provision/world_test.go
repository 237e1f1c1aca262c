package provision_test

import (
	"testing"

	"github.com/whiteglove/whiteglove/aik/aiktest"
	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/drs/drstest"
	"github.com/whiteglove/whiteglove/ekcert/ekcerttest"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
	"github.com/whiteglove/whiteglove/provision"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// A world is every party that a device meets. Its maker's CA is not the one
// whose certificates are in the emulator's memory, so that a certificate says
// where it comes from.
type world struct{ *provisiontest.Server }

// newWorld starts all parties. change, if not nil, may set fields before.
func newWorld(tb testing.TB, change func(*world)) *world {
	tb.Helper()
	root, err := sceptest.NewAuthority("Test TPM EK Root CA", nil, nil)
	if err != nil {
		tb.Fatal(err)
	}
	ca, err := sceptest.NewAuthority("Test TPM EK Issuing CA", root, nil)
	if err != nil {
		tb.Fatal(err)
	}
	w := &world{&provisiontest.Server{
		Maker: &ekcerttest.Server{AnyEK: true, Authority: ca}, AIK: new(aiktest.Server), Directory: new(drstest.Server), Management: new(mdmtest.Server),
	}}
	if change != nil {
		change(w)
	}
	if err := w.Start(""); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { w.Close() })
	return w
}

// admit imports all endorsement keys of a TPM into the directory.
func (w *world) admit(tb testing.TB, tpm *attest.TPM) {
	tb.Helper()
	for ek, err := range tpm.EKs(tb.Context()) {
		if err != nil {
			tb.Fatal(err)
		}
		if err := w.Import(ek.Public); err != nil {
			tb.Fatal(err)
		}
	}
}

// provisioner returns a Provisioner that knows all parties, and waits as long as
// others do.
func (w *world) provisioner(tpm *attest.TPM) *provision.Provisioner {
	p := w.Provisioner(&provisiontest.Device{TPM: tpm})
	p.Backoff, p.Setup.Pause = nil, 0
	return p
}

// newTPM returns an emulated TPM.
func newTPM(tb testing.TB, c attesttest.Config) (*attest.TPM, *attesttest.TPM) {
	tb.Helper()
	c.FastKeys = true
	chip, err := attesttest.New(c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { chip.Close() })
	return &attest.TPM{Transport: chip}, chip
}

// proof returns what Authenticate wants to know of a TPM's keys.
func proof(tpm *attest.TPM, ek *attest.EK, key *attest.Key) *drs.Proof {
	return &drs.Proof{
		EK: ek.Public, EKPublicArea: ek.PublicArea, AIKPublicArea: key.PublicArea(),
		Activate: tpm.Activator(ek, key),
	}
}
