package provisiontest_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
	"github.com/whiteglove/whiteglove/provision"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// A device goes from a bare TPM to an enrolled device, against every party that
// it meets.
func Example() {
	ctx := context.Background()
	server := provisiontest.NewServer()
	defer server.Close()
	device, err := server.NewDevice(ctx, attesttest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer device.Close()
	state, err := server.Provisioner(device).Run(ctx)
	if err != nil {
		log.Fatalf("%v\nrefused: %q", err, server.Refusals())
	}

	object := server.Directory.Objects()[0]
	fmt.Println("joined:", object.Enabled && object.DeviceID == state.DeviceID)
	fmt.Println("enrolled:", len(server.Management.Enrolled()))
	objects, sessions := device.Chip.Loaded()
	fmt.Println("left in the TPM:", objects, sessions)
	// Output:
	// joined: true
	// enrolled: 1
	// left in the TPM: 0 0
}

// A rehearsal: the directory is busy when the device joins, twice, and answers
// the third request, but its answer is lost. The run ends well all the same, with
// one device in the directory.
func ExampleServer_SetFaults() {
	ctx := context.Background()
	server := provisiontest.NewServer()
	defer server.Close()
	device, err := server.NewDevice(ctx, attesttest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer device.Close()
	server.SetFaults(
		provisiontest.Fault{Step: provision.StepJoin, Kind: "503", Requests: 2},
		provisiontest.Fault{Step: provision.StepJoin, Kind: "lost"},
	)
	p := server.Provisioner(device)
	p.Observe = func(ev provision.Event) {
		if ev.Step == provision.StepJoin && ev.Status != provision.Started {
			fmt.Println(ev.Status, ev.Step)
		}
	}
	if _, err := p.Run(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println(server.Met(), "requests went wrong;", len(server.Directory.Objects()), "device")
	// Output:
	// retrying join
	// retrying join
	// retrying join
	// done join
	// 3 requests went wrong; 1 device
}

// Both phases of a device's life: a technician prepares the device and seals it,
// and later its user signs in.
func ExampleServer_User() {
	ctx := context.Background()
	server := provisiontest.NewServer()
	defer server.Close()
	server.AddUser("ada@contoso.test", "correct horse")
	device, err := server.NewDevice(ctx, attesttest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer device.Close()

	dir, err := os.MkdirTemp("", "provisiontest")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir) // a test has t.TempDir

	p := server.Provisioner(device)
	p.Store = provision.FileStore(filepath.Join(dir, "state.json"))
	p.Steps = provision.Technician()
	state, err := p.Run(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("sealed:", !state.Sealed.IsZero(), server.Directory.Objects()[0].Enabled)
	if err := device.Chip.Reboot(); err != nil {
		log.Fatal(err)
	}

	p.Steps = provision.UserPhase()
	p.User = server.User("ada@contoso.test")
	if _, err = p.Run(ctx); err != nil {
		log.Fatal(err)
	}
	object := server.Directory.Objects()[0]
	fmt.Println("joined:", object.Enabled, object.Owner)
	fmt.Println("signed in:", server.Directory.Sessions()[0].UPN)
	// Output:
	// sealed: true false
	// joined: true ada@contoso.test
	// signed in: ada@contoso.test
}

// The clock of the attestation CA is a day fast: what it issues is not valid yet.
// When the clock is right again, so is everything.
func ExampleServer_SetClock() {
	ctx := context.Background()
	server := provisiontest.NewServer()
	defer server.Close()
	device, err := server.NewDevice(ctx, attesttest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer device.Close()
	for _, ahead := range []time.Duration{24 * time.Hour, 0} {
		server.SetClock(ahead, provisiontest.PartyAIK)
		_, err := server.Provisioner(device).Run(ctx)
		fmt.Println(ahead, err == nil)
	}
	// Output:
	// 24h0m0s false
	// 0s true
}

// A party can be set up before Start: here a management server that refuses every
// device.
func ExampleServer() {
	ctx := context.Background()
	server := &provisiontest.Server{Management: &mdmtest.Server{
		Deny: func(op, _ string) *mdmtest.Denial {
			return &mdmtest.Denial{ErrorType: "DeviceNotSupported", Message: op + " is not for you"}
		},
	}}
	if err := server.Start(""); err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	device, err := server.NewDevice(ctx, attesttest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer device.Close()
	_, err = server.Provisioner(device).Run(ctx)
	fmt.Println(err != nil, len(server.Management.Enrolled()))
	// Output:
	// true 0
}
