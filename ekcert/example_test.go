package ekcert_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/ekcert/ekcerttest"
)

// Find the certificate of a TPM's endorsement key in its NV memory, and check
// it against the roots of the TPM's maker.
func Example() {
	ctx := context.Background()
	emulator, err := attesttest.New(attesttest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer emulator.Close()
	tpm := &attest.TPM{Transport: emulator}

	client := &ekcert.Client{Roots: ekcert.Roots{attesttest.Vendor: attesttest.Roots()}}
	ek, err := tpm.EK(ctx)
	if err != nil {
		log.Fatal(err)
	}
	cert, err := client.Find(ctx, tpm, attesttest.Vendor, ek.Public)
	if err != nil {
		log.Fatal(err)
	}
	report, err := client.Verify(ctx, cert, ek.Public)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(cert.Origin, cert.Vendor(), cert.PublicKeyAlgorithm, "findings:", len(report.Findings))
	// Output:
	// nv:0x01C00002 SIM0 RSA findings: 0
}

// Enroll the endorsement key of a TPM that has no certificate with the maker's CA.
func ExampleClient_Enroll() {
	ctx := context.Background()
	ca := &ekcerttest.Server{AnyEK: true}
	server := httptest.NewServer(ca)
	defer server.Close()
	emulator, err := attesttest.New(attesttest.Config{NoCertificate: true})
	if err != nil {
		log.Fatal(err)
	}
	defer emulator.Close()
	tpm := &attest.TPM{Transport: emulator}

	ek, err := tpm.EK(ctx)
	if err != nil {
		log.Fatal(err)
	}
	ak, err := tpm.CreateKey(ctx, attest.Template{Usage: attest.Attest, Algorithm: attest.P256})
	if err != nil {
		log.Fatal(err)
	}

	client := &ekcert.Client{
		SCEPURL: server.URL,
		Roots:   ekcert.Roots{attesttest.Vendor: ca.Roots()},
	}
	cert, err := client.Enroll(ctx, &ekcert.Request{
		Vendor: attesttest.Vendor, Model: "emulator", Version: "1.2.3.4",
		EK:          ek.Public,
		AIKCreation: (*ekcert.Statement)(ak.Creation()),
		Activate:    tpm.Activator(ek, ak),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(cert.Manufacturer, cert.Model, cert.Version, "issuers:", len(cert.Issuers))
	// Output:
	// id:53494D30 emulator id:00010002 issuers: 2
}
