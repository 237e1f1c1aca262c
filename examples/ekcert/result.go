package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
)

// Verdicts.
const (
	good = "good" // the certificate is of the key and leads to a root
	bad  = "bad"  // it does not, or it is revoked, or the key is known to be weak
	none = "none" // the key has no certificate
)

// A result is the verdict on one endorsement key and its certificate.
type result struct {
	Key          string    `json:"key"` // "rsa2048", "p256"
	Verdict      string    `json:"verdict"`
	Error        string    `json:"error,omitempty"`  // why the verdict is not good
	Origin       string    `json:"origin,omitempty"` // where the certificate was found
	SHA256       string    `json:"sha256,omitempty"` // of the certificate, in hexadecimal
	Manufacturer string    `json:"manufacturer,omitempty"`
	Vendor       string    `json:"vendor,omitempty"`
	Model        string    `json:"model,omitempty"`
	Version      string    `json:"version,omitempty"`
	Firmware     string    `json:"firmware,omitempty"` // which the TPM runs
	Serial       string    `json:"serial,omitempty"`
	Issuer       string    `json:"issuer,omitempty"`
	NotBefore    time.Time `json:"notBefore,omitzero"`
	NotAfter     time.Time `json:"notAfter,omitzero"`
	Chain        []string  `json:"chain,omitempty"` // subjects of the issuers, root last
	Revocation   string    `json:"revocation,omitempty"`
	Findings     []finding `json:"findings,omitempty"`
}

// A finding is something odd about a certificate or its TPM.
type finding struct {
	ID       string `json:"id"`
	Severity string `json:"severity"`
	Detail   string `json:"detail,omitempty"`
	CVE      string `json:"cve,omitempty"`
}

// describe returns what a certificate says of itself.
func describe(cert *ekcert.Certificate) *result {
	sum := sha256.Sum256(cert.Raw)
	return &result{
		Key: device.KeyName(cert.PublicKey), Origin: cert.Origin, SHA256: hex.EncodeToString(sum[:]),
		Manufacturer: cert.Manufacturer, Vendor: cert.Vendor(), Model: cert.Model, Version: cert.Version,
		Serial: cert.SerialNumber.Text(16), Issuer: cert.Issuer.String(),
		NotBefore: cert.NotBefore, NotAfter: cert.NotAfter,
	}
}

// print prints results. The error is a [*command.ExitError] if no key has a
// certificate or one is bad.
func (o *options) print(w io.Writer, results []*result) error {
	found, isBad := false, false
	for i, r := range results {
		found = found || r.Verdict == good
		isBad = isBad || r.Verdict == bad
		if o.json {
			if err := command.WriteJSONLine(w, r); err != nil {
				return err
			}
			continue
		}
		if i > 0 {
			fmt.Fprintln(w)
		}
		r.print(w)
	}
	if !found || isBad {
		return &command.ExitError{Code: 1}
	}
	return nil
}

// print prints a result for people.
func (r *result) print(w io.Writer) {
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%-13s%s\n", name, value)
		}
	}
	line("key", r.Key)
	line("verdict", strings.TrimSuffix(r.Verdict+": "+r.Error, ": "))
	line("origin", r.Origin)
	line("maker", strings.TrimSpace(r.Vendor+" "+r.Manufacturer))
	line("model", r.Model)
	line("version", r.Version)
	line("firmware", r.Firmware)
	line("serial", r.Serial)
	line("sha256", r.SHA256)
	line("issuer", r.Issuer)
	if !r.NotAfter.IsZero() {
		line("valid", r.NotBefore.Format("2006-01-02")+" to "+r.NotAfter.Format("2006-01-02"))
	}
	for _, subject := range r.Chain {
		line("chain", subject)
	}
	line("revocation", r.Revocation)
	for _, f := range r.Findings {
		line("finding", strings.Join(strings.Fields(f.Severity+" "+f.ID+" "+f.CVE+" "+f.Detail), " "))
	}
}
