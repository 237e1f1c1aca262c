package mdmtest_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"log"
	"net/http/httptest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
)

// A management server that trusts the tokens of one issuer, met by a token of
// another tenant.
func Example() {
	issuer, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		log.Fatal(err)
	}
	server := &mdmtest.Server{
		TokenKey: func() *rsa.PublicKey { return &issuer.PublicKey },
		Issuer:   "https://login.test/",
		TenantID: "11111111-2222-4333-8444-555555555555",
	}
	h := httptest.NewServer(server)
	defer h.Close()

	token, err := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"iss": "https://login.test/", "aud": mdmtest.DefaultResource, "tid": "99999999-2222-4333-8444-555555555555",
		"idtyp": "device", "deviceid": "aaaaaaaa-2222-4333-8444-555555555555",
		"nbf": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	}).SignedString(issuer)
	if err != nil {
		log.Fatal(err)
	}
	client := new(mdm.Client)
	services, err := client.Discover(context.Background(), h.URL+mdmtest.DiscoveryPath, "")
	if err != nil {
		log.Fatal(err)
	}
	if _, err = client.Policy(context.Background(), services, mdm.Token(token)); err != nil {
		fmt.Println(server.Refusals()[0])
	}
	fmt.Println(len(server.Enrolled()), "devices enrolled")
	// Output:
	// Policy: token of tenant "99999999-2222-4333-8444-555555555555"
	// 0 devices enrolled
}
