package drs_test

import (
	"context"
	"crypto/rsa"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log"
	"net/http/httptest"
	"net/url"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/drs/drstest"
	"github.com/whiteglove/whiteglove/prove"
)

// A device that joined without a user leaves the tenant, and its user joins it again. It
// is the same object in the directory, with a new certificate.
func ExampleClient_Rejoin() {
	ctx := context.Background()
	s := startSite(ctx)
	defer s.close()
	device := s.joinAlone(ctx)
	if err := s.client.Leave(ctx, s.tenant, device, s.dk); err != nil {
		log.Fatal(err)
	}
	fmt.Println("left, enabled:", s.directory.Objects()[0].Enabled)

	nonce, err := s.client.Nonce(ctx, s.tenant, nil)
	if err != nil {
		log.Fatal(err)
	}
	req := s.request([]byte(nonce))
	req.UserToken = s.userToken()
	again, err := s.client.Rejoin(ctx, s.tenant, device.ID, req)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("rejoined for", again.UPN, "same device:", again.ID == device.ID, "same certificate:", again.Certificate.Equal(device.Certificate))
	// Output:
	// left, enabled: false
	// rejoined for alice@contoso.test same device: true same certificate: false
}

// A user signs in on a joined device and gets an access token with the session.
func ExampleClient_SignIn() {
	ctx := context.Background()
	s := startSite(ctx)
	defer s.close()
	device := s.joinAlone(ctx)
	session, err := s.client.SignIn(ctx, s.tenant, &drs.SignIn{
		Certificate: device.Certificate, DeviceKey: s.dk, TransportKey: s.tk, Username: "alice@contoso.test", Password: "c0rrect horse",
	})
	if err != nil {
		log.Fatal(err)
	}
	token, err := s.client.AccessToken(ctx, s.tenant, session, &drs.AccessRequest{Resource: drstest.ManagementResource})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("session of", session.UPN)
	fmt.Println("token:", token.Token)
	// Output:
	// session of alice@contoso.test
	// token: [token]
}

// A site is a test server with a user and an imported device.
type site struct {
	directory *drstest.Server
	server    *httptest.Server
	client    *drs.Client
	tenant    *drs.Discovery
	id        *prove.Identity
	dk, tk    *attest.Key
}

func startSite(ctx context.Context) *site {
	emulator, err := attesttest.New(attesttest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	s := &site{directory: new(drstest.Server), id: &prove.Identity{TPM: &attest.TPM{Transport: emulator}}}
	s.id.EK, s.id.AIK, s.dk, s.tk = keys(ctx, s.id.TPM)
	s.directory.AddUser(drstest.User{UPN: "alice@contoso.test", Password: "c0rrect horse"})
	if _, err := s.directory.Import(s.id.EK.Public); err != nil {
		log.Fatal(err)
	}
	s.server = httptest.NewUnstartedServer(s.directory)
	s.server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	s.server.StartTLS()
	s.client = &drs.Client{BaseURL: s.server.URL, HTTPClient: s.server.Client()}
	if s.tenant, err = s.client.Discover(ctx, "contoso.test"); err != nil {
		log.Fatal(err)
	}
	return s
}

func (s *site) close() {
	s.server.Close()
	s.id.TPM.Close()
}

// request returns a join for which the attestation key certifies both keys.
func (s *site) request(nonce []byte) *drs.Request {
	return &drs.Request{
		DeviceKey: s.dk, TransportKey: s.tk.Public().(*rsa.PublicKey),
		Attestation: s.id.JoinAttestation(s.dk, s.tk, nonce),
	}
}

// joinAlone joins the device without a user.
func (s *site) joinAlone(ctx context.Context) *drs.Device {
	token, err := s.client.Authenticate(ctx, s.tenant, s.id.Proof())
	if err != nil {
		log.Fatal(err)
	}
	req := s.request(nil)
	req.DeviceToken = token
	device, err := s.client.Join(ctx, s.tenant, req)
	if err != nil {
		log.Fatal(err)
	}
	return device
}

// userToken signs the user in with a password and returns a token for the join. A program
// would show the sign-in page of the directory instead.
func (s *site) userToken() drs.Token {
	res, err := s.server.Client().PostForm(s.tenant.TokenEndpoint, url.Values{
		"grant_type": {"password"}, "client_id": {drs.BrokerClient}, "resource": {s.tenant.JoinResource},
		"username": {"alice@contoso.test"}, "password": {"c0rrect horse"},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		log.Fatal(err)
	}
	return drs.Token(answer.Token)
}
