package whiteglove_test

import (
	"context"
	"fmt"
	"log"

	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/provision"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// A device goes from a bare TPM to a managed device that is sealed for its user.
// Both sides are in this process: the device has an emulated TPM, and the server
// is every party that it meets.
func Example() {
	ctx := context.Background()
	server := provisiontest.NewServer()
	defer server.Close()
	device, err := server.NewDevice(ctx, attesttest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer device.Close()

	p := server.Provisioner(device)
	p.Steps = provision.Technician()
	p.Observe = func(ev provision.Event) {
		if ev.Status == provision.Done {
			fmt.Println(ev.Step)
		}
	}
	state, err := p.Run(ctx)
	if err != nil {
		log.Fatal(diagnose.Explain(err))
	}
	fmt.Println("sealed:", !state.Sealed.IsZero())
	// Unordered output:
	// ek
	// aik
	// discover
	// token
	// keys
	// join
	// enroll
	// session
	// seal
	// sealed: true
}
