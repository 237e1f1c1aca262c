package guides_test

import (
	"context"
	"fmt"
	"log"

	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// What follows is in docs/start.md.

// The directory refuses a TPM that it does not expect, and takes it once it was imported.
func Example_import() {
	ctx := context.Background()
	server := provisiontest.NewServer()
	defer server.Close()
	device, err := provisiontest.NewDevice(attesttest.Config{}) // not server.NewDevice: nobody expects it
	if err != nil {
		log.Fatal(err)
	}
	defer device.Close()

	_, err = server.Provisioner(device).Run(ctx)
	d := diagnose.Explain(err)
	fmt.Println(d.Step, d.Protocol)
	if err := server.Admit(ctx, device.TPM); err != nil { // as the import of its hardware hash does
		log.Fatal(err)
	}
	state, err := server.Provisioner(device).Run(ctx)
	fmt.Println(state.DeviceID != "", err)
	// Output:
	// token OAuth invalid_grant/tpm_ek_unknown
	// true <nil>
}
