package aiktest_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/aik/aiktest"
	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/scep"
)

// A CA that has the endorsement key of the emulated TPM on its deny list says
// no to the client, and why to the test.
func Example() {
	ctx := context.Background()
	ca := &aiktest.Server{
		Makers:  attesttest.Certificates(),
		EKRoots: ekcert.Roots{attesttest.Vendor: attesttest.Roots()},
		Deny:    func([32]byte) bool { return true },
	}
	srv := httptest.NewServer(ca)
	defer srv.Close()

	req, err := device(ctx)
	if err != nil {
		log.Fatal(err)
	}
	client := &aik.Client{URL: srv.URL + "/{authority}/templates/Aik/scep", Roots: ca.Roots()}
	_, err = client.Begin(ctx, req)
	var refused *scep.Error
	if errors.As(err, &refused) {
		fmt.Println(refused.HTTPStatus, refused.Message)
	}
	fmt.Println(len(ca.Refusals()), "refusal")
	// Output:
	// 400 No valid TPM EK/Platform Certificate provided in the TPM identity request message
	// 1 refusal
}

// A CA whose challenges end early is no match for the client.
func ExampleServer_Misbehave() {
	ctx := context.Background()
	ca := &aiktest.Server{
		Makers:  attesttest.Certificates(),
		EKRoots: ekcert.Roots{attesttest.Vendor: attesttest.Roots()},
	}
	ca.Misbehave(aiktest.TruncatedTACH)
	srv := httptest.NewServer(ca)
	defer srv.Close()

	req, err := device(ctx)
	if err != nil {
		log.Fatal(err)
	}
	client := &aik.Client{URL: srv.URL + "/{authority}/templates/Aik/scep", Roots: ca.Roots()}
	_, err = client.Begin(ctx, req)
	fmt.Println(errors.Is(err, aik.ErrChallenge))
	// Output: true
}

// device returns what an emulated TPM asks for.
func device(ctx context.Context) (*aik.Request, error) {
	emulator, err := attesttest.New(attesttest.Config{})
	if err != nil {
		return nil, err
	}
	tpm := &attest.TPM{Transport: emulator}
	defer tpm.Close()
	key, err := tpm.CreateKey(ctx, attest.Template{Usage: attest.Attest})
	if err != nil {
		return nil, err
	}
	ek, err := tpm.EK(ctx)
	if err != nil {
		return nil, err
	}
	cert, err := attesttest.EKCertificate(ek.Public)
	if err != nil {
		return nil, err
	}
	chain := append([]*x509.Certificate{cert}, attesttest.Certificates()...)
	return &aik.Request{EK: ek.Public, EKChain: chain, AIKCreation: key.Creation()}, nil
}
