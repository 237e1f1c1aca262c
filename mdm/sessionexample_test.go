package mdm_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
)

// An enrolled device holds its first session, with a handler for one command
// and a look at the enrollment status page.
func ExampleSession() {
	// The server: it sets a policy, wants a restart, and has then finished.
	server := &mdmtest.Server{
		TokenKey: func() *rsa.PublicKey { return &tokenKey().PublicKey },
		Session: mdmtest.SessionConfig{Commands: []mdmtest.Command{
			mdmtest.Page(map[string]string{
				"ExpectedPolicies":              "./Device/Vendor/MSFT/Policy/Config/Camera/AllowCamera",
				"ServerHasFinishedProvisioning": "true",
			}),
			mdmtest.Atomic(mdmtest.Write("Replace", "./Device/Vendor/MSFT/Policy/Config/Camera/AllowCamera", "int", "0")),
			mdmtest.Write("Exec", "./Device/Vendor/MSFT/Reboot/RebootNow", "null", ""),
		}},
	}
	h := httptest.NewUnstartedServer(server)
	h.TLS = server.TLSConfig(nil) // it asks for client certificates
	h.StartTLS()
	defer h.Close()

	ctx := context.Background()
	enrolled, key, err := exampleEnroll(ctx, h)
	if err != nil {
		log.Fatal(err)
	}
	cert, err := x509.ParseCertificate(enrolled.Certificate)
	if err != nil {
		log.Fatal(err)
	}

	tree := new(mdm.Tree)
	tree.Handle("./Vendor/MSFT/Reboot/RebootNow", func(_ context.Context, op *mdm.Operation) int {
		fmt.Println(op.Command, op.URI)
		return 200
	})
	page := &mdm.ESP{Tree: tree, Provider: enrolled.ProviderID}
	page.Watch()
	session := &mdm.Session{
		Server: enrolled.Server, Device: mdm.Device{ID: testDevice},
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
	for _, c := range page.Report().Categories {
		fmt.Println(c.Title+":", c.Text)
	}
	// Output:
	// Exec ./Device/Vendor/MSFT/Reboot/RebootNow
	// camera: 0
	// failed: 0 of 6 - certificate sent: true
	// Device preparation: Complete
	// Device setup: Complete
}

// exampleEnroll enrolls a device by a token that the server trusts.
func exampleEnroll(ctx context.Context, h *httptest.Server) (*mdm.Enrollment, *rsa.PrivateKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, nil, err
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodRS256, tokenClaims()).SignedString(tokenKey())
	if err != nil {
		return nil, nil, err
	}
	client := &mdm.Client{Device: mdm.Device{ID: testDevice}, HTTPClient: h.Client()}
	services, err := client.Discover(ctx, h.URL+mdmtest.DiscoveryPath, "")
	if err != nil {
		return nil, nil, err
	}
	enrolled, err := client.Enroll(ctx, services, nil, &mdm.Request{Token: mdm.Token(token), Key: key, Context: extra()})
	return enrolled, key, err
}
