package provision_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/aik/aiktest"
	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/drs/drstest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/ekcert/ekcerttest"
	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
	"github.com/whiteglove/whiteglove/provision"
)

// A world is every party that a device meets.
type world struct {
	url        string
	client     *http.Client
	maker      *ekcerttest.Server // certifies endorsement keys of the emulator's vendor
	aik        *aiktest.Server
	directory  *drstest.Server
	management *mdmtest.Server
}

// newWorld starts all parties. change, if not nil, may set fields before.
func newWorld(tb testing.TB, change func(*world)) *world {
	tb.Helper()
	mux := http.NewServeMux()
	server := httptest.NewUnstartedServer(mux)
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	tb.Cleanup(server.Close)
	w := &world{url: server.URL, client: server.Client(), maker: new(ekcerttest.Server)}
	roots := ekcert.Roots{attesttest.Vendor: attesttest.Roots()}
	roots[""] = w.maker.Roots()
	w.aik = &aiktest.Server{Makers: append(attesttest.Certificates(), w.maker.Certificates()...), EKRoots: roots}
	w.directory = &drstest.Server{BaseURL: w.url + "/drs", EKRoots: roots, AIKRoots: w.aik.Roots()}
	w.management = &mdmtest.Server{BaseURL: w.url + "/mdm", TokenKey: w.directory.TokenKey}
	w.management.Registered = w.registered
	if change != nil {
		change(w)
	}
	mux.Handle("/ek", w.maker)
	mux.Handle("/aik/", w.aik)
	mux.Handle("/drs/", w.directory)
	mux.Handle("/mdm/", w.management)
	return w
}

// registered reports whether the directory knows a registration.
func (w *world) registered(ztdID string) bool {
	return slices.ContainsFunc(w.directory.Objects(), func(o drstest.Object) bool { return o.ZTDID == ztdID })
}

// refusals returns what the parties refused.
func (w *world) refusals() []string {
	all := append(w.maker.Refusals(), w.aik.Refusals()...)
	return append(append(all, w.directory.Refusals()...), w.management.Refusals()...)
}

// admit imports all endorsement keys of a TPM into the directory.
func (w *world) admit(tb testing.TB, tpm *attest.TPM) {
	tb.Helper()
	for ek, err := range tpm.EKs(tb.Context()) {
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := w.directory.Import(ek.Public); err != nil {
			tb.Fatal(err)
		}
	}
}

// provisioner returns a Provisioner that knows all parties.
func (w *world) provisioner(tpm *attest.TPM) *provision.Provisioner {
	return &provision.Provisioner{
		TPM:        tpm,
		Tenant:     drstest.DefaultTenant,
		Management: w.url + "/mdm" + mdmtest.DiscoveryPath,
		EKCert: &ekcert.Client{
			Roots:   ekcert.Roots{attesttest.Vendor: attesttest.Roots(), "": w.maker.Roots()},
			SCEPURL: w.url + "/ek",
		},
		AIK:        &aik.Client{URL: w.url + "/aik/{authority}", Roots: w.aik.Roots()},
		DRS:        &drs.Client{BaseURL: w.url + "/drs"},
		MDM:        &mdm.Client{Roots: w.management.Roots()},
		HTTPClient: w.client,
	}
}

// newTPM returns an emulated TPM.
func newTPM(tb testing.TB, c attesttest.Config) (*attest.TPM, *attesttest.TPM) {
	tb.Helper()
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
