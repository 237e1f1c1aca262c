package guides_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"log"
	"net/http"

	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/drs/login"
	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// What follows is in docs/clients.md.

// join joins a device by the right of a user. Its keys are in software.
func join(ctx context.Context, c *drs.Client, services *drs.Discovery, user string, password drs.Token) (*drs.Device, crypto.Signer, error) {
	signIn := &login.Client{HTTPClient: c.HTTPClient}
	token, err := signIn.Password(ctx, services, user, password) // DeviceCode outside of tests
	if err != nil {
		return nil, nil, err
	}
	deviceKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, nil, err
	}
	transportKey, err := rsa.GenerateKey(rand.Reader, 2048) // keep it for a sign-in
	if err != nil {
		return nil, nil, err
	}
	device, err := c.Join(ctx, services, &drs.Request{
		UserToken: token.Token, DeviceKey: deviceKey, TransportKey: &transportKey.PublicKey, DisplayName: "bench 7",
	})
	return device, deviceKey, err
}

// enrollFor enrolls a device in management for a user.
func enrollFor(ctx context.Context, client *mdm.Client, discovery string, token mdm.Credential) (*mdm.Enrollment, crypto.Signer, error) {
	services, err := client.Discover(ctx, discovery, "")
	if err != nil {
		return nil, nil, err
	}
	policy, err := client.Policy(ctx, services, token)
	if err != nil {
		return nil, nil, err
	}
	key, err := rsa.GenerateKey(rand.Reader, policy.MinimalKeyLength)
	if err != nil {
		return nil, nil, err
	}
	enrollment, err := client.Enroll(ctx, services, policy, &mdm.Request{Credential: token, Key: key})
	return enrollment, key, err
}

// managementToken gets a user's token for the management server.
func managementToken(ctx context.Context, c *http.Client, services *drs.Discovery, user string, password drs.Token) (mdm.Credential, error) {
	signIn := &login.Client{HTTPClient: c, Resource: mdm.DefaultResource}
	token, err := signIn.Password(ctx, services, user, password)
	if err != nil {
		return nil, err
	}
	return mdm.Token(token.Token), nil
}

// A device with keys in software joins and enrolls.
func Example_clients() {
	ctx := context.Background()
	server := provisiontest.NewServer()
	defer server.Close()
	server.AddUser("ada@contoso.test", "secret")
	c := &drs.Client{BaseURL: server.URL + provisiontest.DirectoryPath, HTTPClient: server.Client()}
	services, err := c.Discover(ctx, provisiontest.Tenant)
	if err != nil {
		log.Fatal(err)
	}
	device, _, err := join(ctx, c, services, "ada@contoso.test", "secret")
	if err != nil {
		log.Fatal(err)
	}
	token, err := managementToken(ctx, c.HTTPClient, services, "ada@contoso.test", "secret")
	if err != nil {
		log.Fatal(err)
	}
	client := &mdm.Client{Device: mdm.Device{ID: device.ID, Name: "bench 7"}, HTTPClient: c.HTTPClient}
	enrollment, _, err := enrollFor(ctx, client, server.URL+provisiontest.DiscoveryPath, token)
	if err != nil {
		log.Fatal(err, server.Refusals())
	}
	fmt.Println(enrollment.Certificate.Issuer)
	// Output:
	// CN=Test MDM Device CA
}
