package attest_test

import (
	"bytes"
	"context"
	"fmt"
	"log"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
)

// A device proves to a verifier that a key is in the same TPM as an
// endorsement key. The TPM is an emulated one; attest.Open opens a real one.
func Example() {
	chip, err := attesttest.New(attesttest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	tpm := &attest.TPM{Transport: chip}
	release := tpm.Keep() // half the commands

	var ek *attest.EK
	for ek, err = range tpm.EKs(ctx) {
		break // RSA 2048 comes first
	}
	if err != nil {
		log.Fatal(err)
	}
	aik, err := tpm.CreateKey(ctx, attest.Template{Usage: attest.Attest})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("endorsement key %T at %#x\n", ek.Public, ek.Handle)

	// The verifier has checked the endorsement key's certificate. It checks
	// how the attestation key was made, and wraps a secret for the two.
	creation := aik.Creation()
	if err := creation.Verify(aik.Public(), nil); err != nil {
		log.Fatal(err)
	}
	name, err := attest.Name(creation.PublicArea)
	if err != nil {
		log.Fatal(err)
	}
	secret := []byte("only that TPM opens this")
	challenge, err := attest.MakeCredential(ek.PublicArea, name, secret)
	if err != nil {
		log.Fatal(err)
	}

	answer, err := tpm.ActivateCredential(ctx, ek, aik, challenge)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("secret opened:", bytes.Equal(answer, secret))

	// From now on the attestation key vouches for other keys.
	device, err := tpm.CreateKey(ctx, attest.Template{Algorithm: attest.P256, Usage: attest.Sign})
	if err != nil {
		log.Fatal(err)
	}
	statement, err := tpm.Certify(ctx, device, aik, []byte("nonce of the verifier"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("certified:", statement.Verify(aik.Public(), []byte("nonce of the verifier")) == nil)
	fmt.Println(statement.Verify(aik.Public(), []byte("another nonce")))

	if err := release(ctx); err != nil {
		log.Fatal(err)
	}
	objects, sessions := chip.Loaded()
	fmt.Println("left in the TPM:", objects, sessions)
	// Output:
	// endorsement key *rsa.PublicKey at 0x81010001
	// secret opened: true
	// certified: true
	// attest: Verify: proof does not hold: statement was made for another nonce
	// left in the TPM: 0 0
}
