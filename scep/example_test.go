package scep_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// Enroll a key with a SCEP CA.
func Example() {
	ctx := context.Background()
	server := new(sceptest.Server)
	ts := httptest.NewServer(server)
	defer ts.Close()

	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		log.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "device 7"},
	}, key)
	if err != nil {
		log.Fatal(err)
	}

	client := &scep.Client{URL: ts.URL + "/scep", Roots: server.Roots()}
	ca, err := client.CA(ctx, "")
	if err != nil {
		log.Fatal(err)
	}
	reply, err := client.Enroll(ctx, ca, &scep.Request{CSR: csr, Signer: key})
	if err != nil {
		log.Fatal(err)
	}
	cert := reply.Certificates[0]
	fmt.Println(reply.Status)
	fmt.Println(cert.Subject, "by", cert.Issuer)
	// Output:
	// success
	// CN=device 7 by CN=SCEP Test CA
}
