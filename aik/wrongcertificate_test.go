package aik_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/internal/wcce"
	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// TestLyingCA has the CA issue certificates that were not asked for.
func TestLyingCA(t *testing.T) {
	d := newDevice(t, isRSA, rsaAIK)
	root, err := sceptest.NewAuthority("liar's root", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := sceptest.NewAuthority("liar", root, nil)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	good := &wcce.Device{}
	for _, e := range d.EKChain[0].Extensions {
		if e.Id.Equal(wcce.OIDSubjectAltName) {
			if good, err = wcce.ParseAltName(e.Value); err != nil {
				t.Fatal(err)
			}
		}
	}
	other := *good
	other.Model = "another"
	for _, tt := range []struct {
		name   string
		device *wcce.Device
		key    crypto.PublicKey
		usage  x509.KeyUsage
		want   error
	}{
		{"another key", good, stranger.Public(), x509.KeyUsageDigitalSignature, scep.ErrMismatch},
		{"another TPM", &other, d.key.Public(), x509.KeyUsageDigitalSignature, aik.ErrCertificate},
		{"another usage", good, d.key.Public(), x509.KeyUsageKeyEncipherment, aik.ErrCertificate},
		{"good", good, d.key.Public(), x509.KeyUsageDigitalSignature, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &sceptest.Server{
				Authority: ca, RA: true, Caps: scep.Caps{"SHA-256", "AES128", "POSTPKIOperation", "IdentityKeyAttestation"},
				CheckCSR:  func(*sceptest.Request) error { return nil },
				Challenge: func(*sceptest.Request) ([]byte, error) { return challenge(d) },
				Check:     func(*sceptest.Request, []byte) error { return nil },
				Issue: func(req *sceptest.Request) (*x509.Certificate, error) {
					cert, err := issue(ca, tt.device, tt.key, tt.usage)
					if err == nil {
						cert.PublicKey = req.PublicKey // what is sent is its Raw
					}
					return cert, err
				},
			}
			chain, err := start(t, s, s.Roots()).Enroll(t.Context(), d.Request)
			if (err == nil) != (tt.name == "good") || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("got %d certificates, %v", len(chain), err)
			}
		})
	}
}

// TestNoChallenge has the CA issue a certificate without a proof.
func TestNoChallenge(t *testing.T) {
	d := newDevice(t, isRSA, rsaAIK)
	s := &sceptest.Server{
		RA: true, Caps: scep.Caps{"SHA-256", "AES128", "POSTPKIOperation", "IdentityKeyAttestation"},
		CheckCSR: func(*sceptest.Request) error { return nil },
	}
	_, err := start(t, s, s.Roots()).Enroll(t.Context(), d.Request)
	if !errors.Is(err, aik.ErrChallenge) || !strings.Contains(err.Error(), scep.StatusSuccess.String()) {
		t.Errorf("error is %v", err)
	}
}

// challenge returns one that d can open.
func challenge(d *device) ([]byte, error) {
	c, err := attest.MakeCredential(d.ek.PublicArea, d.key.Name(), []byte("secret"))
	if err != nil {
		return nil, err
	}
	tach, err := (&wcce.TACH{Blob: c.Blob, EncryptedSecret: c.EncryptedSecret}).Marshal()
	if err != nil {
		return nil, err
	}
	return (&wcce.Challenge{TACH: tach, Context: []byte{0x04, 0x01, 0x01}}).Marshal()
}

func issue(ca *sceptest.Authority, device *wcce.Device, key crypto.PublicKey, usage x509.KeyUsage) (*x509.Certificate, error) {
	san, err := device.AltName(true)
	if err != nil {
		return nil, err
	}
	return ca.Issue(&x509.Certificate{
		KeyUsage: usage, BasicConstraintsValid: true,
		UnknownExtKeyUsage: []asn1.ObjectIdentifier{wcce.OIDKeyPurposeAIK}, ExtraExtensions: []pkix.Extension{san},
	}, key)
}
