package main

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/examples/internal/device"
)

// An enroller has a key of a TPM certified.
type enroller struct {
	tpm      *attest.TPM
	template attest.Template
	ekcert   *ekcert.Client
	aik      *aik.Client

	// What it finds and makes.
	ek      *attest.EK
	ekChain []*x509.Certificate
	key     *attest.Key
	chain   []*x509.Certificate
}

// enroll does all in one run.
func (e *enroller) enroll(ctx context.Context) error {
	req, err := e.request(ctx)
	if err != nil {
		return err
	}
	e.chain, err = e.aik.Enroll(ctx, req)
	return err
}

// request finds the first endorsement key with a certificate that holds, and
// makes an attestation key.
func (e *enroller) request(ctx context.Context) (*aik.Request, error) {
	for ek, err := range e.tpm.EKs(ctx) {
		if err != nil {
			return nil, err
		}
		cert, err := e.ekcert.Find(ctx, e.tpm, "", ek.Public)
		if errors.Is(err, ekcert.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		report, err := e.ekcert.Verify(ctx, cert, ek.Public)
		if err != nil {
			return nil, err
		}
		e.ek, e.ekChain = ek, report.Chain
		e.key, err = e.tpm.CreateKey(ctx, e.template)
		if err != nil {
			return nil, err
		}
		return &aik.Request{
			EK: ek.Public, EKChain: report.Chain, AIKCreation: e.key.Creation(),
			Activate: e.tpm.Activator(ek, e.key),
		}, nil
	}
	return nil, errors.New("the TPM has no endorsement key with a certificate")
}

// A half is what is kept between two runs.
type half struct {
	EK        []byte         `json:"ek"`        // SubjectPublicKeyInfo, DER
	Key       string         `json:"key"`       // attestation key, wrapped by the TPM (TSS2 PEM)
	Challenge *aik.Challenge `json:"challenge"` // with the secret key of the SCEP messages
}

// begin asks the CA and writes its challenge to a file.
func (e *enroller) begin(ctx context.Context, name string, stdout io.Writer) error {
	req, err := e.request(ctx)
	if err != nil {
		return err
	}
	h := new(half)
	if h.Challenge, err = e.aik.Begin(ctx, req); err != nil {
		return err
	}
	if h.EK, err = x509.MarshalPKIXPublicKey(e.ek.Public); err != nil {
		return err
	}
	key, err := e.key.MarshalText()
	if err != nil {
		return err
	}
	h.Key = string(key)
	text, err := json.MarshalIndent(h, "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(name, append(text, '\n'), 0o600); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "challenge of %s written to %s\n", h.Challenge.URL, name)
	return err
}

// complete opens the challenge of begin and answers it.
func (e *enroller) complete(ctx context.Context, name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var h half
	if err := json.Unmarshal(text, &h); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if h.Challenge == nil {
		return fmt.Errorf("%s: no challenge in it", name)
	}
	if err := e.findEK(ctx, h.EK); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if e.key, err = e.tpm.LoadKey(ctx, []byte(h.Key)); err != nil {
		return err
	}
	secret, err := e.tpm.ActivateCredential(ctx, e.ek, e.key, h.Challenge.Credential)
	if err != nil {
		return err
	}
	e.chain, err = e.aik.Complete(ctx, h.Challenge, secret)
	return err
}

// findEK finds the endorsement key with a SubjectPublicKeyInfo.
func (e *enroller) findEK(ctx context.Context, spki []byte) error {
	want, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return err
	}
	for ek, err := range e.tpm.EKs(ctx) {
		if err != nil {
			return err
		}
		if k, ok := ek.Public.(interface{ Equal(crypto.PublicKey) bool }); ok && k.Equal(want) {
			e.ek = ek
			return nil
		}
	}
	return errors.New("the challenge is for another TPM")
}

// write writes the certificate, with its issuers, and the key.
func (e *enroller) write(dir string) error {
	key, err := e.key.MarshalText()
	if err != nil {
		return err
	}
	var ders [][]byte
	for _, c := range e.chain {
		ders = append(ders, c.Raw)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "aik.pem"), device.EncodeCertificates(ders...), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "aik-key.pem"), key, 0o600)
}
