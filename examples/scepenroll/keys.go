package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/scep"
)

// errTPMKey is returned for a key file of a TPM if -key names another kind.
var errTPMKey = errors.New("key.pem is a key of a TPM: use -key tpm")

// keys makes, loads and writes keys.
type keys struct {
	o   *options
	tpm *attest.TPM // nil for keys in software
	dev *device.Device

	made crypto.Signer // the key that the certificate is for
}

// open opens the TPM if -key asks for a key in it.
func (o *options) open(ctx context.Context) (*keys, error) {
	k := &keys{o: o}
	if o.key != "tpm" {
		return k, nil
	}
	var err error
	if k.dev, err = device.Open(ctx, o.tpm); err != nil {
		return nil, err
	}
	k.tpm = &attest.TPM{Transport: k.dev}
	return k, nil
}

// close closes the TPM.
func (k *keys) close() {
	if k.dev != nil {
		k.dev.Close()
	}
}

// make makes the key that the certificate will be for.
func (k *keys) make(ctx context.Context) (err error) {
	switch k.o.key {
	case "tpm":
		k.made, err = k.tpm.CreateKey(ctx, attest.Template{Usage: attest.Sign | attest.Decrypt})
	case "p256":
		k.made, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	default:
		k.made, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	return err
}

// csr returns the certificate request (PKCS #10, DER) for the key made.
func (k *keys) csr() ([]byte, error) {
	subject, err := parseSubject(k.o.subject)
	if err != nil {
		return nil, err
	}
	template := &x509.CertificateRequest{Subject: subject}
	if k.o.dns != "" {
		template.DNSNames = strings.Split(k.o.dns, ",")
	}
	return scep.NewCSR(template, k.made, k.o.challenge)
}

// request returns a request for a first certificate. A key on P-256 cannot open
// the reply, so a temporary RSA key signs and opens messages for it.
func (k *keys) request(ctx context.Context) (*scep.Request, error) {
	if err := k.make(ctx); err != nil {
		return nil, err
	}
	csr, err := k.csr()
	if err != nil {
		return nil, err
	}
	req := &scep.Request{CSR: csr, Signer: k.made}
	if k.o.key == "p256" {
		if req.Signer, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			return nil, err
		}
	}
	return req, nil
}

// renewal returns a request for a certificate that replaces the one in the -out
// folder. It has the same subject and DNS names.
func (k *keys) renewal(ctx context.Context) (*scep.Request, error) {
	certs, err := command.ReadCertificates(filepath.Join(k.o.out, "cert.pem"))
	if err != nil {
		return nil, command.At("-out", err)
	}
	signer, err := k.load(ctx, filepath.Join(k.o.out, "key.pem"))
	if err != nil {
		return nil, err
	}
	if err := k.make(ctx); err != nil {
		return nil, err
	}
	template := &x509.CertificateRequest{RawSubject: certs[0].RawSubject, DNSNames: certs[0].DNSNames}
	csr, err := scep.NewCSR(template, k.made, k.o.challenge)
	if err != nil {
		return nil, err
	}
	return &scep.Request{CSR: csr, Signer: signer, Certificate: certs[0]}, nil
}

// load loads a key that write wrote.
func (k *keys) load(ctx context.Context, name string) (crypto.Signer, error) {
	text, err := command.ReadSmall(name)
	if err != nil {
		return nil, command.At("-out", err)
	}
	if k.tpm != nil {
		key, err := k.tpm.LoadKey(ctx, text)
		return key, device.Kept(name, err, "enroll again")
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s: there is no whole block of PEM in it: take the whole file that an enrollment wrote", name)
	}
	if block.Type != "PRIVATE KEY" {
		return nil, errTPMKey
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	signer, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("a renewal needs an RSA key: enroll again")
	}
	return signer, nil
}

// write writes the key made, the certificates of the reply and those of the CA
// to a folder.
func (k *keys) write(dir string, certs, ca []*x509.Certificate) error {
	key, err := k.encode()
	if err != nil {
		return err
	}
	return command.WriteDir(dir,
		command.File{Name: "key.pem", Text: key},
		command.File{Name: "cert.pem", Text: command.EncodeCertificates(certs...)},
		command.File{Name: "ca.pem", Text: command.EncodeCertificates(ca...)})
}

// encode returns the key made as PEM: wrapped by its TPM (TSS2), or PKCS #8.
func (k *keys) encode() ([]byte, error) {
	if key, ok := k.made.(*attest.Key); ok {
		return key.MarshalText()
	}
	der, err := x509.MarshalPKCS8PrivateKey(k.made)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
