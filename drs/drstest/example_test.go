package drstest_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/drs/drstest"
)

// An imported device is disabled until it joins. A request for another tenant is refused, and
// Refusals has the reason.
func Example() {
	server := new(drstest.Server)
	ts := httptest.NewServer(server)
	defer ts.Close()

	ek, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := server.Import(&ek.PublicKey); err != nil {
		log.Fatal(err)
	}
	client := &drs.Client{BaseURL: ts.URL}
	tenant, err := client.Discover(context.Background(), drstest.DefaultTenant)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("tenant:", tenant.TenantName)
	fmt.Println("offers a TPM challenge:", tenant.ProofEndpoint != "")
	fmt.Println("devices:", len(server.Objects()), "enabled:", server.Objects()[0].Enabled)
	_, err = client.Discover(context.Background(), "fabrikam.test")
	fmt.Println("another tenant is refused:", err != nil)
	fmt.Println(server.Refusals()[0])
	// Output:
	// tenant: contoso.test
	// offers a TPM challenge: true
	// devices: 1 enabled: false
	// another tenant is refused: true
	// Discover: tenant "fabrikam.test" not found
}
