package main

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/examples/internal/device"
)

// Verdicts.
const (
	good = "good" // the certificate is of the key and leads to a root
	bad  = "bad"  // it does not or is revoked, or the key is known to be weak
	none = "none" // there is no certificate of this key
)

// A result is what is known of one endorsement key.
type result struct {
	Key          string    `json:"key"` // "rsa2048", "p256"
	Verdict      string    `json:"verdict"`
	Error        string    `json:"error,omitempty"` // why it is not good
	Origin       string    `json:"origin,omitempty"`
	SHA256       string    `json:"sha256,omitempty"` // of the certificate
	Manufacturer string    `json:"manufacturer,omitempty"`
	Vendor       string    `json:"vendor,omitempty"`
	Model        string    `json:"model,omitempty"`
	Version      string    `json:"version,omitempty"`
	Firmware     string    `json:"firmware,omitempty"` // that the TPM runs
	Serial       string    `json:"serial,omitempty"`
	Issuer       string    `json:"issuer,omitempty"`
	NotBefore    time.Time `json:"notBefore,omitzero"`
	NotAfter     time.Time `json:"notAfter,omitzero"`
	Chain        []string  `json:"chain,omitempty"` // subjects above the certificate, root last
	Revocation   string    `json:"revocation,omitempty"`
	Findings     []finding `json:"findings,omitempty"`
}

type finding struct {
	ID       string `json:"id"`
	Severity string `json:"severity"`
	Detail   string `json:"detail,omitempty"`
	CVE      string `json:"cve,omitempty"`
}

// judge judges the file, the dump, or all endorsement keys of the TPM.
func (o *options) judge(ctx context.Context) ([]*result, error) {
	client, err := o.client()
	if err != nil {
		return nil, err
	}
	switch {
	case o.file != "":
		return judgeFile(ctx, client, o.file)
	case o.nv != "":
		return judgeDump(ctx, client, o.nv)
	}
	dev, err := device.Open(o.tpm)
	if err != nil {
		return nil, err
	}
	defer dev.Close()
	return judgeTPM(ctx, client, &attest.TPM{Transport: dev})
}

// judgeFile has no key to compare the certificate with but its own.
func judgeFile(ctx context.Context, c *ekcert.Client, name string) ([]*result, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	cert, err := ekcert.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	cert.Origin = name
	return []*result{check(ctx, c, cert, cert.PublicKey, "")}, nil
}

func judgeTPM(ctx context.Context, c *ekcert.Client, tpm *attest.TPM) ([]*result, error) {
	info, err := tpm.Info(ctx)
	if err != nil {
		return nil, err
	}
	var results []*result
	for ek, err := range tpm.EKs(ctx) {
		if err != nil {
			return nil, err
		}
		cert, err := c.Find(ctx, tpm, info.Manufacturer, ek.Public)
		switch {
		case err == nil:
			results = append(results, check(ctx, c, cert, ek.Public, info.Firmware))
		case errors.Is(err, ekcert.ErrNotFound):
			results = append(results, &result{Key: device.KeyName(ek.Public), Verdict: none, Error: explain(err)})
		default:
			results = append(results, &result{Key: device.KeyName(ek.Public), Verdict: bad, Error: explain(err)})
		}
	}
	return results, nil
}

// check checks a certificate. firmware is what the TPM runs, or "".
func check(ctx context.Context, c *ekcert.Client, cert *ekcert.Certificate, ek crypto.PublicKey, firmware string) *result {
	r := describe(cert)
	r.Firmware = firmware
	report, err := c.Verify(ctx, cert, ek)
	if err != nil {
		r.Verdict, r.Error = bad, explain(err)
		return r
	}
	for _, issuer := range report.Chain[1:] {
		r.Chain = append(r.Chain, issuer.Subject.String())
	}
	r.Revocation = report.Revocation.String()
	if report.RevocationDetail != "" {
		r.Revocation += ": " + report.RevocationDetail
	}
	r.Verdict = good
	for _, f := range append(report.Findings, ekcert.Advisories(cert.Manufacturer, firmware)...) {
		r.Findings = append(r.Findings, finding{f.ID, f.Severity.String(), f.Detail, f.CVE})
	}
	return r
}

func describe(cert *ekcert.Certificate) *result {
	sum := sha256.Sum256(cert.Raw)
	return &result{
		Key: device.KeyName(cert.PublicKey), Origin: cert.Origin, SHA256: hex.EncodeToString(sum[:]),
		Manufacturer: cert.Manufacturer, Vendor: cert.Vendor(), Model: cert.Model, Version: cert.Version,
		Serial: cert.SerialNumber.Text(16), Issuer: cert.Issuer.String(),
		NotBefore: cert.NotBefore, NotAfter: cert.NotAfter,
	}
}

func pool(certs []*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c)
	}
	return p
}

// explain returns an error on one line, with the code and remedy it may have.
func explain(err error) string {
	line := strings.TrimPrefix(err.Error(), "ekcert: ")
	var e *ekcert.Error
	if errors.As(err, &e) {
		if code := e.HRESULT(); code != 0 {
			line += fmt.Sprintf(" (0x%08X)", code)
		}
		if remedy := e.Remedy(); remedy != "" {
			line += ". " + remedy
		}
	}
	return strings.Join(strings.Fields(line), " ")
}
