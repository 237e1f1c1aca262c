package aik_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/aik/aiktest"
	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/prove"
)

// An attestation key of an emulated TPM is certified by a test CA.
func Example() {
	ctx := context.Background()
	ca := &aiktest.Server{
		Makers:  attesttest.Certificates(),
		EKRoots: ekcert.Roots{attesttest.Vendor: attesttest.Roots()},
	}
	srv := httptest.NewServer(ca)
	defer srv.Close()

	emulator, err := attesttest.New(attesttest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	tpm := &attest.TPM{Transport: emulator}
	defer tpm.Close()
	req, err := request(ctx, tpm)
	if err != nil {
		log.Fatal(err)
	}

	client := &aik.Client{URL: srv.URL + "/{authority}/templates/Aik/scep", Roots: ca.Roots()}
	chain, err := client.Enroll(ctx, req)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("certificates:", len(chain))
	fmt.Println("trust:", aik.Trust(chain[0]))
	// Output:
	// certificates: 3
	// trust: endorsement certificate verified
}

// One process asks, another answers. What is between them is as secret as a key.
func ExampleClient_Begin() {
	ctx := context.Background()
	ca := &aiktest.Server{
		Makers:  attesttest.Certificates(),
		EKRoots: ekcert.Roots{attesttest.Vendor: attesttest.Roots()},
	}
	srv := httptest.NewServer(ca)
	defer srv.Close()
	emulator, err := attesttest.New(attesttest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	tpm := &attest.TPM{Transport: emulator}
	defer tpm.Close()
	req, err := request(ctx, tpm)
	if err != nil {
		log.Fatal(err)
	}
	client := &aik.Client{URL: srv.URL + "/{authority}/templates/Aik/scep", Roots: ca.Roots()}

	asked, err := client.Begin(ctx, req)
	if err != nil {
		log.Fatal(err)
	}
	text, err := json.Marshal(asked)
	if err != nil {
		log.Fatal(err)
	}

	var challenge aik.Challenge
	if err := json.Unmarshal(text, &challenge); err != nil {
		log.Fatal(err)
	}
	secret, err := req.Activate(ctx, challenge.Credential.Blob, challenge.Credential.EncryptedSecret)
	if err != nil {
		log.Fatal(err)
	}
	chain, err := client.Complete(ctx, &challenge, secret)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("certificates:", len(chain))
	// Output: certificates: 3
}

// request makes an attestation key and returns it with all that proves it.
func request(ctx context.Context, tpm *attest.TPM) (*aik.Request, error) {
	key, err := tpm.CreateKey(ctx, attest.Template{Usage: attest.Attest})
	if err != nil {
		return nil, err
	}
	ek, cert, err := prove.FindEK(ctx, tpm, nil, "")
	if err != nil {
		return nil, err
	}
	chain := append([]*x509.Certificate{cert.Certificate}, attesttest.Certificates()...)
	return (&prove.Identity{TPM: tpm, EK: ek, EKChain: chain, AIK: key}).AIKRequest(), nil
}

// Where Windows asks for a TPM by Nuvoton to be attested.
func ExampleURLs() {
	ek := &x509.Certificate{AuthorityKeyId: []byte{0x23, 0xf4, 0xe2, 0x2a}} // shortened
	for _, u := range aik.URLs("NTC", []*x509.Certificate{ek}) {
		fmt.Println(u)
	}
	// Output: https://NTC-KeyId-23f4e22a.microsoftaik.azure.net/templates/Aik/scep
}
