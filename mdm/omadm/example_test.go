package omadm_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
	"github.com/whiteglove/whiteglove/mdm/omadm"
)

// An enrolled device holds its first session, with a handler for one command.
func ExampleSession() {
	// The server: it sets a policy, and wants a restart.
	server := &mdmtest.Server{
		Passwords: func(_, password string) bool { return password == "secret" },
		Session: mdmtest.SessionConfig{Commands: []mdmtest.Command{
			mdmtest.Atomic(mdmtest.Write("Replace", "./Device/Vendor/MSFT/Policy/Config/Camera/AllowCamera", "int", "0")),
			mdmtest.Write("Exec", "./Device/Vendor/MSFT/Reboot/RebootNow", "null", ""),
		}},
	}
	h := httptest.NewUnstartedServer(server)
	h.TLS = server.TLSConfig(nil) // it asks for client certificates
	h.StartTLS()
	defer h.Close()

	ctx := context.Background()
	device := mdm.Device{ID: "unit-7", EnrollmentType: "Full"}
	enrolled, key, err := exampleEnroll(ctx, h, device)
	if err != nil {
		log.Fatal(err)
	}
	cert := enrolled.Certificate

	tree := new(omadm.Tree)
	tree.Handle("./Vendor/MSFT/Reboot/RebootNow", func(_ context.Context, op *omadm.Operation) int {
		fmt.Println(op.Command, op.URI)
		return 200
	})
	session := &omadm.Session{
		Server: enrolled.Server, Device: device,
		Certificate: cert, Issuers: enrolled.Issuers, Key: key,
		Tree: tree, HTTPClient: h.Client(),
	}
	result, err := session.Run(ctx)
	if err != nil {
		log.Fatal(err)
	}
	camera, _ := tree.Get("./Vendor/MSFT/Policy/Config/Camera/AllowCamera")
	fmt.Println("camera:", camera.Data)
	fmt.Println("failed:", result.Failed, "of", result.Commands, "- certificate sent:", result.CertificateSent)
	// Output:
	// Exec ./Device/Vendor/MSFT/Reboot/RebootNow
	// camera: 0
	// failed: 0 of 3 - certificate sent: true
}

// exampleEnroll enrolls a device of a user's, with a key in software.
func exampleEnroll(ctx context.Context, h *httptest.Server, device mdm.Device) (*mdm.Enrollment, *rsa.PrivateKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, nil, err
	}
	client := &mdm.Client{Device: device, HTTPClient: h.Client()}
	services, err := client.Discover(ctx, h.URL+mdmtest.DiscoveryPath, "")
	if err != nil {
		return nil, nil, err
	}
	enrolled, err := client.Enroll(ctx, services, nil, &mdm.Request{
		Credential: mdm.Password{User: "user@contoso.test", Secret: "secret"}, Key: key,
	})
	return enrolled, key, err
}
