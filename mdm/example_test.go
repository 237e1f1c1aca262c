package mdm_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/whiteglove/whiteglove/drs/drstest"
	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
)

// A joined device enrolls. Its keys are in software here; keys in a TPM are
// crypto.Signers, too.
func Example() {
	directory := new(drstest.Server)
	login := httptest.NewServer(directory)
	defer login.Close()
	management := httptest.NewServer(&mdmtest.Server{TokenKey: directory.TokenKey})
	defer management.Close()

	deviceKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		log.Fatal(err)
	}
	device, err := directory.AddDevice(&deviceKey.PublicKey) // the join
	if err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	tokens := &mdm.TokenClient{Endpoint: login.URL + "/" + drstest.DefaultTenant + "/oauth2/token"}
	token, err := tokens.Exchange(ctx, &mdm.TokenRequest{Certificate: device, DeviceKey: deviceKey})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("token:", token)

	client := &mdm.Client{Device: mdm.Device{ID: device.Subject.CommonName}}
	services, err := client.Discover(ctx, management.URL+mdmtest.DiscoveryPath, "")
	if err != nil {
		log.Fatal(err)
	}
	policy, err := client.Policy(ctx, services, token)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("policy: RSA of", policy.MinimalKeyLength, "bits,", policy.Hash)

	key, err := rsa.GenerateKey(rand.Reader, policy.MinimalKeyLength)
	if err != nil {
		log.Fatal(err)
	}
	enrolled, err := client.Enroll(ctx, services, policy, &mdm.Request{
		Credential: token,
		Key:        key,
		Context: []mdm.Item{
			{Name: mdm.ItemZeroTouch, Value: "7a1c2f5e-93b4-4d0a-8e6f-1b2c3d4e5f60"},
			{Name: mdm.ItemWhiteGlove, Value: "true"},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	cert := enrolled.Certificate
	fmt.Println("certificate by:", cert.Issuer)
	fmt.Println("managed by:", enrolled.ProviderID)
	// Output:
	// token: [token]
	// policy: RSA of 2048 bits, SHA-256
	// certificate by: CN=Test MDM Device CA
	// managed by: TestMDM
}

// An error knows the code that Windows would show, and what may help.
func ExampleError() {
	server := httptest.NewServer(new(mdmtest.Server)) // it knows no token issuer
	defer server.Close()

	ctx := context.Background()
	client := new(mdm.Client)
	services, err := client.Discover(ctx, server.URL+mdmtest.DiscoveryPath, "")
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Policy(ctx, services, mdm.Token("not.a.token"))
	var failed *mdm.Error
	if errors.As(err, &failed) {
		fmt.Printf("%s: %s (%#x), retry: %t\n", failed.Op, failed.Fault.Subcode, failed.HRESULT(), failed.Retryable())
		fmt.Println(failed.Message)
		fmt.Println(failed.Remedy())
	}
	// Output:
	// Policy: s:Authentication (0x80180002), retry: false
	// the server has no key to check tokens with
	// The server did not accept the token: check its audience, its tenant and the device's clock. The token is not a JWT: send tokens of other kinds as OpaqueToken.
}

// A management certificate is renewed before it ends: the present one proves
// the device, and the new one is of a new key.
func ExampleClient_Renew() {
	server := &mdmtest.Server{Passwords: func(_, password string) bool { return password == "secret" }}
	h := httptest.NewUnstartedServer(server)
	h.TLS = server.TLSConfig(nil)
	h.StartTLS()
	defer h.Close()

	ctx := context.Background()
	client := &mdm.Client{Device: mdm.Device{ID: "unit-7", EnrollmentType: "Full"}, HTTPClient: h.Client()}
	services, err := client.Discover(ctx, h.URL+mdmtest.DiscoveryPath, "")
	if err != nil {
		log.Fatal(err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		log.Fatal(err)
	}
	enrolled, err := client.Enroll(ctx, services, nil, &mdm.Request{
		Credential: mdm.Password{User: "user@contoso.test", Secret: "secret"}, Key: key,
	})
	if err != nil {
		log.Fatal(err)
	}
	present := enrolled.Certificate
	document, err := mdm.ParseDocument(enrolled.Document)
	if err != nil {
		log.Fatal(err)
	}
	schedule := document.Schedule()
	fmt.Println("renew", schedule.Before, "before the end, automatically:", schedule.Automatic)

	next, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		log.Fatal(err)
	}
	services.EnrollURL = schedule.Server
	renewed, err := client.Renew(ctx, services, nil, &mdm.Renewal{
		Certificate: present, Key: key, Issuers: enrolled.Issuers, NewKey: next,
	})
	if err != nil {
		log.Fatal(err)
	}
	cert := renewed.Certificate
	fmt.Println("of the new key:", next.PublicKey.Equal(cert.PublicKey))
	// Output:
	// renew 1008h0m0s before the end, automatically: true
	// of the new key: true
}
