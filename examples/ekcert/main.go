// Ekcert finds, prints and judges the certificates of endorsement keys: those of
// a TPM, those in a dump of its NV memory, or one in a file.
//
//	go run ./examples/ekcert
//	go run ./examples/ekcert -tpm device -online
//	go run ./examples/ekcert -file ek.der -json
//
// Without flags it uses an emulated TPM in this process. It fetches nothing
// unless -online is given.
//
// It exits with 0 if there is a certificate and none is bad, with 1 if not or if
// something failed, and with 2 if it was called wrongly.
package main

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/ekcert/roots"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
)

func main() { command.Main(program()) }

// judgeTPM judges the certificates of all endorsement keys of a TPM.
func judgeTPM(ctx context.Context, c *ekcert.Client, tpm *attest.TPM) ([]*result, error) {
	info, err := tpm.Info(ctx)
	if err != nil {
		return nil, err
	}
	var results []*result
	missing := make(map[*result]error)
	for ek, err := range tpm.EKs(ctx) {
		if err != nil {
			return nil, err
		}
		cert, err := c.Find(ctx, tpm, info.Manufacturer, ek.Public)
		switch {
		case err == nil:
			results = append(results, judge(ctx, c, cert, ek.Public, info.Firmware))
		case errors.Is(err, ekcert.ErrNotFound):
			r := &result{Key: device.KeyName(ek.Public), Verdict: none, Error: command.Explain(err)}
			results, missing[r] = append(results, r), err
		default:
			results = append(results, &result{Key: device.KeyName(ek.Public), Verdict: bad, Error: command.Explain(err)})
		}
	}
	if slices.ContainsFunc(results, func(r *result) bool { return r.Verdict == good }) {
		for r, err := range missing {
			r.Error = spared(err)
		}
	}
	return results, nil
}

// spared says that a key has no certificate, where another key of its TPM has one.
func spared(err error) string {
	cause := diagnose.Explain(err).Cause
	cause = strings.Replace(cause, ekcert.ErrNotFound.Error(), "no certificate for this key", 1)
	return strings.ReplaceAll(cause, ": none", "") + ". Others of this TPM's keys have one, which is enough."
}

// judgeFile judges a certificate in a file. There is no key to compare it with
// but the certificate's own.
func judgeFile(ctx context.Context, c *ekcert.Client, name string) ([]*result, error) {
	text, err := command.ReadFile(name)
	if err != nil {
		return nil, command.Wrong("-file", err)
	}
	const takes = ". Name a file with a certificate in DER, PEM, PKCS #7 or Intel's JSON, or as NV memory or the registry of Windows holds it"
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, command.Wrong("-file "+name, errors.New("the file is empty"+takes))
	}
	cert, err := ekcert.Parse(text)
	if err != nil {
		return nil, command.Wrong("-file "+name, fmt.Errorf("there is no certificate in it that can be read: %s%s", diagnose.Explain(err).Cause, takes))
	}
	cert.Origin = name
	return []*result{judge(ctx, c, cert, cert.PublicKey, "")}, nil
}

// judge verifies the certificate of a key. firmware is the version that the TPM
// runs, or "" if it is not known.
func judge(ctx context.Context, c *ekcert.Client, cert *ekcert.Certificate, ek crypto.PublicKey, firmware string) *result {
	r := describe(cert)
	r.Firmware = firmware
	report, err := c.Verify(ctx, cert, ek)
	if err != nil {
		r.Verdict, r.Error = bad, command.Explain(err)
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

// client returns the client that finds and verifies certificates.
func (o *options) client() (*ekcert.Client, error) {
	c := &ekcert.Client{FetchIssuers: o.online, CheckRevocation: o.online, AllowPrivateHosts: o.private, Cache: new(ekcert.MemoryCache)}
	if !o.online {
		c.Services = map[string]ekcert.Fetcher{} // none, and not the defaults
	}
	if o.roots != "" {
		pool, err := command.ReadRoots("-ek-roots", o.roots)
		c.Roots = ekcert.Roots{"": pool}
		return c, err
	}
	var err error
	if c.Roots, c.Intermediates, err = roots.Load(); err != nil {
		return nil, err
	}
	c.Pins = roots.Pins()
	c.Roots[attesttest.Vendor] = attesttest.Roots()
	return c, nil
}

// run judges what the flags name and prints the results.
func (o *options) run(ctx context.Context, stdout, _ io.Writer) error {
	client, err := o.client()
	if err != nil {
		return err
	}
	var results []*result
	switch {
	case o.file != "":
		results, err = judgeFile(ctx, client, o.file)
	case o.nv != "":
		results, err = judgeDump(ctx, client, o.nv)
	default:
		dev, derr := device.Open(ctx, o.tpm)
		if derr != nil {
			return derr
		}
		defer dev.Close()
		tpm := &attest.TPM{Transport: dev}
		if err = o.auth.Set(tpm, dev); err == nil {
			results, err = judgeTPM(ctx, client, tpm)
		}
	}
	if err != nil {
		return err
	}
	return o.print(stdout, results)
}
