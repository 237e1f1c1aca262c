package scep_test

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"testing"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

func encryptTo(cert *x509.Certificate, content []byte) ([]byte, error) {
	return cms.Encrypt(content, cert, cms.AES128CBC)
}

// tpmKeys returns keys in an emulated TPM: an RSA key for messages, and an ECDSA
// key on P-256.
func tpmKeys(t testing.TB) (message, ec *attest.Key) {
	t.Helper()
	tpm, err := attesttest.New(attesttest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tpm.Close() })
	device := &attest.TPM{Transport: tpm}
	if message, err = device.CreateKey(t.Context(), attest.Template{Usage: attest.Sign | attest.Decrypt}); err != nil {
		t.Fatal(err)
	}
	if ec, err = device.CreateKey(t.Context(), attest.Template{Algorithm: attest.P256, Usage: attest.Sign}); err != nil {
		t.Fatal(err)
	}
	return message, ec
}

// TestTPM enrolls keys of a TPM, polls and renews. A key of the TPM or one in
// software signs and decrypts the messages.
func TestTPM(t *testing.T) {
	t.Parallel()
	message, ec := tpmKeys(t)
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "device 7"}}
	for name, tt := range map[string]struct {
		key    crypto.Signer
		signer crypto.Signer
		ra     bool
	}{
		"one key for all":              {message, message, false},
		"P-256 key, messages by RSA":   {ec, message, true},
		"messages by a software key":   {ec, testKey(), false},
		"software key, messages by it": {testKey(), message, true},
	} {
		wait := true
		server := &sceptest.Server{RA: tt.ra, Password: "secret", Pending: func(*sceptest.Request) bool {
			wait = !wait
			return !wait
		}}
		c := start(t, server, server.Roots())
		ca := asked(t, c)
		csr, err := scep.NewCSR(template, tt.key, "secret")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		req := &scep.Request{CSR: csr, Signer: tt.signer}
		reply, err := c.Enroll(t.Context(), ca, req)
		if err != nil || reply.Status != scep.StatusPending {
			t.Fatalf("%s: %+v, %v", name, reply, err)
		}
		if reply, err = c.Poll(t.Context(), ca, req, reply); err != nil || reply.Status != scep.StatusSuccess {
			t.Fatalf("%s: %+v, %v; %q", name, reply, err, server.Refusals())
		}
		if !tt.key.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(reply.Certificates[0].PublicKey) {
			t.Errorf("%s: another key", name)
		}
		if tt.key != tt.signer {
			continue // its certificate cannot sign a renewal
		}
		req.Certificate = reply.Certificates[0]
		if reply, err = c.Renew(t.Context(), ca, req); err == nil {
			_, err = c.Poll(t.Context(), ca, req, reply)
		}
		if err != nil {
			t.Errorf("%s: renewal: %v", name, err)
		}
	}
}
