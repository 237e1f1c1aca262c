package sceptest_test

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"
	"testing"

	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// A CA that asks a question before it issues a certificate.
func Example() {
	ctx := context.Background()
	server := &sceptest.Server{
		RA:        true,
		Caps:      scep.Caps{"AES128", "SHA-256", "POSTPKIOperation", "Riddle"},
		Challenge: func(*sceptest.Request) ([]byte, error) { return []byte("6 × 7"), nil },
		Check: func(_ *sceptest.Request, answer []byte) error {
			if string(answer) != "42" {
				return errors.New("wrong answer")
			}
			return nil
		},
		Issue: func(req *sceptest.Request) (*x509.Certificate, error) {
			return req.Certify(&x509.Certificate{Subject: pkix.Name{CommonName: "solver"}})
		},
	}
	ts := httptest.NewServer(server)
	defer ts.Close()

	client := &scep.Client{URL: ts.URL, Roots: server.Roots(), Challenge: "Riddle"}
	ca, err := client.CA(ctx, "")
	if err != nil {
		log.Fatal(err)
	}
	req := &scep.Request{CSR: newCSR(new(testing.B)), Signer: testKey()}
	for _, answer := range []string{"41", "42"} {
		reply, err := client.Enroll(ctx, ca, req)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: %s\n", reply.Status, reply.Content)
		reply, err = client.Answer(ctx, ca, req, reply, []byte(answer))
		if err != nil {
			fmt.Println(server.Refusals()[0])
			continue
		}
		fmt.Println(reply.Certificates[0].Subject)
	}
	// Output:
	// challenge: 6 × 7
	// ChallengeAnswer: wrong answer
	// challenge: 6 × 7
	// CN=solver
}
