package prove_test

import (
	"context"
	"crypto/rsa"
	"fmt"
	"log"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/prove"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// A TPM proves itself to an attestation CA and to a directory, and its device joins. The
// TPM is an emulator, and the services are test servers. With real ones, only the
// transport of the TPM, the URLs and the roots differ.
func Example() {
	ctx := context.Background()
	services := &provisiontest.Server{AdmitAny: true} // the directory expects every TPM
	if err := services.Start(""); err != nil {
		log.Fatal(err)
	}
	defer services.Close()
	chip, err := attesttest.New(attesttest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer chip.Close()
	tpm := &attest.TPM{Transport: chip}
	makers := &ekcert.Client{Roots: ekcert.Roots{attesttest.Vendor: attesttest.Roots()}}
	ca := &aik.Client{URL: services.URL + provisiontest.AIKPath, Roots: services.RootPool(), HTTPClient: services.Client()}
	directory := &drs.Client{BaseURL: services.URL + provisiontest.DirectoryPath, HTTPClient: services.Client()}

	// Which TPM it is, by its maker's certificate.
	ek, cert, err := prove.FindEK(ctx, tpm, makers, "")
	if err != nil {
		log.Fatal(err)
	}
	report, err := makers.Verify(ctx, cert, ek.Public)
	if err != nil {
		log.Fatal(err)
	}
	id := &prove.Identity{TPM: tpm, EK: ek, EKChain: report.Chain}

	// An attestation key, certified.
	if id.AIK, err = tpm.CreateKey(ctx, attest.Template{Usage: attest.Attest}); err != nil {
		log.Fatal(err)
	}
	if id.AIKChain, err = ca.Enroll(ctx, id.AIKRequest()); err != nil {
		log.Fatal(err)
	}
	fmt.Println("attestation key:", aik.Trust(id.AIKChain[0]))

	// A token for the proof, and a join with two keys that the attestation key certifies.
	tenant, err := directory.Discover(ctx, provisiontest.Tenant)
	if err != nil {
		log.Fatal(err)
	}
	token, err := directory.Authenticate(ctx, tenant, id.Proof())
	if err != nil {
		log.Fatal(err)
	}
	dk, err := tpm.CreateKey(ctx, attest.Template{Usage: attest.Sign})
	if err != nil {
		log.Fatal(err)
	}
	tk, err := tpm.CreateKey(ctx, attest.Template{Usage: attest.Decrypt})
	if err != nil {
		log.Fatal(err)
	}
	device, err := directory.Join(ctx, tenant, &drs.Request{
		DeviceToken: token, DeviceKey: dk, TransportKey: tk.Public().(*rsa.PublicKey),
		Attestation: id.JoinAttestation(dk, tk, token.Nonce),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("joined, device key certified:", device.Certificate.PublicKey.(*rsa.PublicKey).Equal(dk.Public()))
	// Output:
	// attestation key: endorsement certificate verified
	// joined, device key certified: true
}
