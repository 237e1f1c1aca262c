package guides_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"
	"sync/atomic"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// What follows is in docs/scep.md.

// enroll is in the guide.
func enroll(ctx context.Context, client *scep.Client, key *rsa.PrivateKey, password string) (*x509.Certificate, error) {
	ca, err := client.CA(ctx, "")
	if err != nil {
		return nil, err
	}
	subject := pkix.Name{CommonName: "device 7"}
	csr, err := scep.NewCSR(&x509.CertificateRequest{Subject: subject}, key, password)
	if err != nil {
		return nil, err
	}
	req := &scep.Request{CSR: csr, Signer: key}
	reply, err := client.Enroll(ctx, ca, req)
	for err == nil && reply.Status == scep.StatusPending { // somebody has to approve it
		select {
		case <-time.After(interval):
			reply, err = client.Poll(ctx, ca, req, reply)
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if err != nil {
		return nil, err
	}
	return reply.Certificates[0], nil
}

// renew is in the guide.
func renew(ctx context.Context, client *scep.Client, old *x509.Certificate, oldKey, newKey *rsa.PrivateKey) (*x509.Certificate, error) {
	ca, err := client.CA(ctx, "")
	if err != nil {
		return nil, err
	}
	csr, err := scep.NewCSR(&x509.CertificateRequest{RawSubject: old.RawSubject}, newKey, "")
	if err != nil {
		return nil, err
	}
	reply, err := client.Renew(ctx, ca, &scep.Request{CSR: csr, Signer: oldKey, Certificate: old})
	if err != nil {
		return nil, err
	}
	if reply.Status != scep.StatusSuccess {
		return nil, errors.New("the CA wants to decide later")
	}
	return reply.Certificates[0], nil
}

// interval is a minute or more with a real CA.
const interval = 10 * time.Millisecond

// A CA approves a request at the second question, and renews the certificate.
func Example_scep() {
	ctx := context.Background()
	var asked atomic.Int32
	server := &sceptest.Server{Password: "secret", Pending: func(*sceptest.Request) bool { return asked.Add(1) < 3 }}
	ts := httptest.NewServer(server)
	defer ts.Close()
	var keys [2]*rsa.PrivateKey
	for i := range keys {
		var err error
		if keys[i], err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			log.Fatal(err)
		}
	}
	client := &scep.Client{URL: ts.URL, Roots: server.Roots()}
	cert, err := enroll(ctx, client, keys[0], "secret")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(cert.Subject, asked.Load())
	again, err := renew(ctx, client, cert, keys[0], keys[1])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(again.Subject, again.SerialNumber.Cmp(cert.SerialNumber) != 0)

	var e *scep.Error
	_, err = enroll(ctx, client, keys[0], "wrong")
	fmt.Println(errors.As(err, &e), e.FailInfo, server.Refusals())
	// Output:
	// CN=device 7 3
	// CN=device 7 true
	// true badRequest [PKCSReq: wrong challengePassword]
}

// An RSA key of the TPM signs the messages, opens the reply, and is certified.
func Example_scepTPM() {
	ctx := context.Background()
	server := new(sceptest.Server)
	ts := httptest.NewServer(server)
	defer ts.Close()
	chip, err := attesttest.New(attesttest.Config{FastKeys: true})
	if err != nil {
		log.Fatal(err)
	}
	defer chip.Close()
	tpm := &attest.TPM{Transport: chip}
	client := &scep.Client{URL: ts.URL, Roots: server.Roots()}
	ca, err := client.CA(ctx, "")
	if err != nil {
		log.Fatal(err)
	}

	key, err := tpm.CreateKey(ctx, attest.Template{Usage: attest.Sign | attest.Decrypt}) // RSA-2048
	if err != nil {
		log.Fatal(err)
	}
	csr, err := scep.NewCSR(&x509.CertificateRequest{Subject: pkix.Name{CommonName: "device 7"}}, key, "")
	if err != nil {
		log.Fatal(err)
	}
	reply, err := client.Enroll(ctx, ca, &scep.Request{CSR: csr, Signer: key})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(reply.Certificates[0].PublicKeyAlgorithm)
	// Output:
	// RSA
}
