package omadm_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/mdm/esp"
	"github.com/whiteglove/whiteglove/mdm/internal/fixture"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
	"github.com/whiteglove/whiteglove/mdm/omadm"
	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// A session over mutual TLS with a key that never leaves the TPM, in which the
// server orders a certificate, for another key of the TPM, from a SCEP CA.
func TestSessionTPM(t *testing.T) {
	fixture.TPMs(t, func(t *testing.T, tr transport.TPM) {
		chip := &attest.TPM{Transport: tr}
		key := fixture.TPMKey(t, chip)
		ca := &sceptest.Server{Password: "once"}
		issuer := httptest.NewServer(ca)
		defer issuer.Close()
		root := ca.Certificates()[len(ca.Certificates())-1]

		m := fixture.Manage(t, key, mdmtest.SessionConfig{Commands: append(
			[]mdmtest.Command{mdmtest.Page(map[string]string{
				"ExpectedSCEPCerts": "./Vendor/MSFT/ClientCertificateInstall/SCEP/wifi", "ServerHasFinishedProvisioning": "true",
			})},
			mdmtest.Order("wifi", map[string]string{
				"ServerURL": issuer.URL + "/scep", "Challenge": "once", "SubjectName": "CN=wifi", "CAThumbprint": sha1Hex(root),
			})...,
		)})
		var made *x509.Certificate
		m.Session.Tree.HandleSCEP(func(ctx context.Context, o *omadm.SCEPOrder) (*x509.Certificate, error) {
			var err error
			made, err = carryOut(ctx, o, root, fixture.TPMKey(t, chip))
			return made, err
		})
		page := &esp.Page{Tree: m.Session.Tree, Provider: "TestMDM"}
		page.Watch()
		if got := m.Run(t); !got.CertificateSent || got.Failed != 0 {
			t.Fatalf("got %+v; %v", got, m.Server.Responses(fixture.Device))
		}
		if m.Status("Exec", mdmtest.OrderRoot+"wifi/Install/Enroll") != 200 || made == nil {
			t.Fatal("the order was not carried out")
		}
		if v, _ := m.Session.Tree.Get(mdmtest.OrderRoot + "wifi/CertThumbprint"); v.Data != sha1Hex(made) {
			t.Errorf("thumbprint %s, want %s", v.Data, sha1Hex(made))
		}
		if r := page.Report(); r.State != esp.Succeeded || r.Categories[1].Steps[1].Text != "1 of 1 applied" {
			t.Errorf("page: %+v", r)
		}
	})
}

// carryOut enrolls the certificate of an order with package scep. The SCEP
// messages are signed and opened by a key in software, which is thrown away.
func carryOut(ctx context.Context, o *omadm.SCEPOrder, root *x509.Certificate, key crypto.Signer) (*x509.Certificate, error) {
	if !o.IsRoot(root) {
		return nil, errors.New("the order names another CA")
	}
	if o.KeyProtection != omadm.KeyInTPM || o.KeyLength != 2048 {
		return nil, fmt.Errorf("order %+v", o)
	}
	roots := x509.NewCertPool()
	roots.AddCert(root)
	client := &scep.Client{URL: o.URLs[0], Roots: roots}
	ca, err := client.CA(ctx, "")
	if err != nil {
		return nil, err
	}
	csr, err := scep.NewCSR(&x509.CertificateRequest{
		Subject: pkix.Name{CommonName: strings.TrimPrefix(o.Subject, "CN=")},
	}, key, string(o.Challenge))
	if err != nil {
		return nil, err
	}
	envelope, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	reply, err := client.Enroll(ctx, ca, &scep.Request{CSR: csr, Signer: envelope})
	if err != nil {
		return nil, err
	}
	return reply.Certificates[0], nil
}
