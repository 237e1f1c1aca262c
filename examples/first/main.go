// First is the shortest whole program: a device with an emulated TPM goes through
// all of the technician's phase, and every service that it meets is a test double in
// the same process. docs/start.md begins with it.
//
//	go run ./examples/first
//
// It exits with 0 if the device is sealed, with 1 if a step failed, and with 2 if it was
// called with a flag.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"

	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/provision"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

func main() {
	flag.Parse() // there are no flags, which -h says
	ctx := context.Background()

	server := provisiontest.NewServer() // every service, on the loopback interface
	defer server.Close()
	device, err := server.NewDevice(ctx, attesttest.Config{}) // an emulated TPM that the directory expects
	if err != nil {
		log.Fatal(err)
	}
	defer device.Close()

	p := server.Provisioner(device) // knows the services, and whom to trust
	p.Steps = provision.Technician()
	p.Observe = func(ev provision.Event) { fmt.Println(ev.Status, ev.Step) }
	state, err := p.Run(ctx)
	if err != nil {
		log.Fatal(diagnose.Explain(err))
	}
	fmt.Println("sealed, as", state.DeviceID)
}
