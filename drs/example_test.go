package drs_test

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/drs/drstest"
	"github.com/whiteglove/whiteglove/prove"
)

// A device proves its TPM to a tenant and joins it. The TPM is an emulator and the tenant
// is a test server. With real ones, only TPM.Transport and Client.BaseURL differ.
func Example() {
	ctx := context.Background()
	emulator, err := attesttest.New(attesttest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	tpm := &attest.TPM{Transport: emulator}
	defer tpm.Close()
	ek, aik, dk, tk := keys(ctx, tpm)

	directory := new(drstest.Server)
	ts := httptest.NewServer(directory)
	defer ts.Close()
	if _, err := directory.Import(ek.Public); err != nil {
		log.Fatal(err)
	}

	client := &drs.Client{BaseURL: ts.URL}
	tenant, err := client.Discover(ctx, "contoso.test")
	if err != nil {
		log.Fatal(err)
	}
	id := &prove.Identity{TPM: tpm, EK: ek, AIK: aik}
	token, err := client.Authenticate(ctx, tenant, id.Proof())
	if err != nil {
		log.Fatal(err)
	}
	device, err := client.Join(ctx, tenant, &drs.Request{
		DeviceToken: token, DeviceKey: dk, TransportKey: tk.Public().(*rsa.PublicKey), DisplayName: "kiosk",
		Attestation: id.JoinAttestation(dk, tk, token.Nonce),
	})
	if err != nil {
		log.Fatal(err)
	}
	_, err = device.Certificate.Verify(x509.VerifyOptions{Roots: directory.Roots(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	object := directory.Objects()[0]
	fmt.Println("token:", token.Token)
	fmt.Println("the object that was imported:", object.DeviceID == device.ID, "enabled:", object.Enabled)
	fmt.Println("region:", device.Region, "chain holds:", err == nil)
	// Output:
	// token: [token]
	// the object that was imported: true enabled: true
	// region: EU chain holds: true
}

// keys returns the TPM's endorsement key, and creates an attestation key, a device key and
// a transport key.
func keys(ctx context.Context, tpm *attest.TPM) (ek *attest.EK, aik, dk, tk *attest.Key) {
	ek, err := tpm.EK(ctx)
	if err != nil {
		log.Fatal(err)
	}
	var out []*attest.Key
	for _, usage := range []attest.Usage{attest.Attest, attest.Sign, attest.Decrypt} {
		key, err := tpm.CreateKey(ctx, attest.Template{Usage: usage})
		if err != nil {
			log.Fatal(err)
		}
		out = append(out, key)
	}
	return ek, out[0], out[1], out[2]
}
