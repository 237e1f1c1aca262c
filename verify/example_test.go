package verify_test

import (
	"context"
	"fmt"
	"log"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/prove"
	"github.com/whiteglove/whiteglove/verify"
	"github.com/whiteglove/whiteglove/verify/verifytest"
)

// A device with an emulated TPM attests to a verifier. Between the two, each message
// would go over the network, written by Encode and read by Decode.
func Example() {
	ctx := context.Background()
	chip, err := attesttest.New(attesttest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer chip.Close()
	eventLog := verifytest.EventLog() // on a real machine, of attest.EventLog
	if err := verifytest.Boot(chip, eventLog); err != nil {
		log.Fatal(err)
	}

	// The device: its endorsement key, and a new attestation key.
	tpm := &attest.TPM{Transport: chip}
	aik, err := tpm.CreateKey(ctx, attest.Template{Usage: attest.Attest})
	if err != nil {
		log.Fatal(err)
	}
	ek, cert, err := prove.FindEK(ctx, tpm, nil, "")
	if err != nil {
		log.Fatal(err)
	}
	hello := &verify.Hello{EKCertificate: cert.Raw, EKPublicArea: ek.PublicArea, AIKCreation: aik.Creation()}
	for _, issuer := range cert.Issuers {
		hello.Issuers = append(hello.Issuers, issuer.Raw)
	}

	// The verifier trusts the emulator's maker, and wants secure boot.
	v := &verify.Verifier{
		EKs:    &ekcert.Client{Roots: ekcert.Roots{attesttest.Vendor: attesttest.Roots()}},
		Policy: &verify.Policy{SecureBoot: true},
	}
	challenge, err := v.Challenge(ctx, hello)
	if err != nil {
		log.Fatal(err)
	}
	secret, err := tpm.Activator(ek, aik)(ctx, challenge.Blob, challenge.EncryptedSecret) // the device
	if err != nil {
		log.Fatal(err)
	}
	device, err := v.Accept(ctx, &verify.Answer{ID: challenge.ID, Secret: secret})
	if err != nil {
		log.Fatal(err)
	}

	// From now on, the verifier knows the device.
	request, err := v.Request(ctx, device)
	if err != nil {
		log.Fatal(err)
	}
	evidence, err := request.Evidence(ctx, tpm, aik) // the device
	if err != nil {
		log.Fatal(err)
	}
	evidence.EventLog = eventLog
	result, err := v.Check(ctx, device, evidence)
	if err != nil {
		log.Fatal(err)
	}
	device.Clock = &result.Clock
	fmt.Println("secure boot:", result.Boot.SecureBoot)
	fmt.Println("loaders:", len(result.Boot.Loaders))
	fmt.Println("PCRs that the log explains:", result.Boot.Explained)
	// Output:
	// secure boot: true
	// loaders: 3
	// PCRs that the log explains: [0 1 2 3 4 5 6 7]
}
