package provision_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/aik/aiktest"
	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/drs/drstest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
	"github.com/whiteglove/whiteglove/provision"
)

// A device with an emulated TPM goes from nothing to enrolled. The services
// are test servers that check what real ones must.
func Example() {
	ctx := context.Background()
	chip, err := attesttest.New(attesttest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer chip.Close()
	tpm := &attest.TPM{Transport: chip}

	// The other side: an attestation CA that trusts the TPM's maker, a
	// directory that knows the TPM and trusts the CA, and a management server
	// that trusts the directory.
	mux := http.NewServeMux()
	services := httptest.NewTLSServer(mux)
	defer services.Close()
	makers := ekcert.Roots{attesttest.Vendor: attesttest.Roots()}
	ca := &aiktest.Server{Makers: attesttest.Certificates(), EKRoots: makers}
	directory := &drstest.Server{BaseURL: services.URL + "/drs", EKRoots: makers, AIKRoots: ca.Roots()}
	management := &mdmtest.Server{BaseURL: services.URL + "/mdm", TokenKey: directory.TokenKey}
	mux.Handle("/aik/", ca)
	mux.Handle("/drs/", directory)
	mux.Handle("/mdm/", management)
	ek, err := tpm.EK(ctx) // the one that is used
	if err != nil {
		log.Fatal(err)
	}
	if _, err := directory.Import(ek.Public); err != nil {
		log.Fatal(err)
	}

	p := &provision.Provisioner{
		TPM:        tpm,
		Tenant:     "contoso.test",
		Management: services.URL + "/mdm/EnrollmentServer/Discovery.svc",
		EKCert:     &ekcert.Client{Roots: makers},
		AIK:        &aik.Client{URL: services.URL + "/aik/{authority}", Roots: ca.Roots()},
		DRS:        &drs.Client{BaseURL: services.URL + "/drs"},
		HTTPClient: services.Client(),
		Observe: func(ev provision.Event) {
			if ev.Status != provision.Started {
				fmt.Println(ev.Status, ev.Step)
			}
		},
	}
	state, err := p.Run(ctx)
	if err != nil {
		log.Fatal(err)
	}
	device := directory.Objects()[0]
	fmt.Println("enabled:", device.Enabled, "same device:", device.DeviceID == state.DeviceID, "enrolled:", len(management.Enrolled()))
	// Unordered output:
	// done ek
	// done aik
	// done discover
	// done token
	// done keys
	// done join
	// done enroll
	// enabled: true same device: true enrolled: 1
}
