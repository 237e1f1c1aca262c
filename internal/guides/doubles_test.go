package guides_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/drs/drstest"
	"github.com/whiteglove/whiteglove/provision"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// What follows is in docs/doubles.md.

func TestProvision(t *testing.T) {
	server := provisiontest.NewServer()
	defer server.Close()
	device, err := server.NewDevice(t.Context(), attesttest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()

	p := server.Provisioner(device) // put your own fields here
	p.Steps = provision.Technician()
	if _, err := p.Run(t.Context()); err != nil {
		t.Fatalf("%v\nrefused: %q", err, server.Refusals())
	}
	if objects, sessions := device.Chip.Loaded(); objects+sessions != 0 {
		t.Errorf("left in the TPM: %d objects, %d sessions", objects, sessions)
	}
}

func TestLostAnswer(t *testing.T) {
	server := provisiontest.NewServer()
	defer server.Close()
	device, err := server.NewDevice(t.Context(), attesttest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()

	server.SetFaults(
		provisiontest.Fault{Step: provision.StepJoin, Kind: "503", Requests: 2},
		provisiontest.Fault{Step: provision.StepJoin, Kind: "lost"}, // done, and the answer is lost
	)
	if _, err := server.Provisioner(device).Run(t.Context()); err != nil {
		t.Fatalf("%v\nrefused: %q", err, server.Refusals())
	}
	if server.Met() != 3 {
		t.Errorf("%d requests went wrong, not 3", server.Met())
	}
	if n := len(server.Directory.Objects()); n != 1 {
		t.Errorf("%d devices", n)
	}
}

// One double alone refuses a client's mistake, and says why.
func Example_refusal() {
	directory := new(drstest.Server)
	ts := httptest.NewServer(directory)
	defer ts.Close()

	res, err := http.Get(ts.URL + "/fabrikam.test/Discover?api-version=1.9") // your client
	if err != nil {
		log.Fatal(err)
	}
	res.Body.Close()
	fmt.Println(res.StatusCode, directory.Refusals())
	// Output:
	// 400 [Discover: tenant "fabrikam.test" not found]
}

// A server of another is tested with our client.
func Example_yourServer() {
	ctx := context.Background()
	yourServer := new(sceptest.Server) // stands for yours
	ts := httptest.NewServer(yourServer)
	defer ts.Close()
	roots := yourServer.Roots()

	c := &scep.Client{URL: ts.URL, Roots: roots}
	ca, err := c.CA(ctx, "")
	if err != nil {
		log.Fatal(err) // says what a client could not accept
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		log.Fatal(err)
	}
	csr, err := scep.NewCSR(&x509.CertificateRequest{Subject: pkix.Name{CommonName: "device 7"}}, key, "")
	if err != nil {
		log.Fatal(err)
	}
	reply, err := c.Enroll(ctx, ca, &scep.Request{CSR: csr, Signer: key})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(reply.Certificates[0].Subject)
	// Output:
	// CN=device 7
}
