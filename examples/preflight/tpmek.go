package main

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/ekcert/roots"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
)

// ekClient returns the client that finds and verifies EK certificates. It asks
// nothing but the TPM and the system.
func (o *options) ekClient() (*ekcert.Client, error) {
	c := &ekcert.Client{Services: map[string]ekcert.Fetcher{}}
	if o.ekRoots != "" {
		pool, err := command.ReadRoots("-ek-roots", o.ekRoots)
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

// endorsement finds the endorsement key that has a certificate, or the first key
// if none has one, and checks both. It returns nil if there is no key.
func (c *tpmCheck) endorsement(ctx context.Context) *attest.EK {
	key, certified := c.add("ek"), c.add("ek-certificate")
	ek, cert, err := c.find(ctx)
	if ek == nil {
		key.failed(err, "Clear the TPM in the firmware's setup. If that does not help, update its firmware.")
		certified.note(skip, "there is no endorsement key", "")
		return nil
	}
	judgeEK(key, ek)
	switch {
	case errors.Is(err, ekcert.ErrNotFound):
		c.noCertificate(certified)
	case err != nil:
		certified.failed(err, "The certificate in the TPM cannot be used: ask the maker of the machine.")
	default:
		certified.note(pass, "it is for this key; found at "+cert.Origin+", issued by "+issuerName(cert.Certificate), "")
		c.chain(ctx, cert, ek)
	}
	return ek
}

// find returns the first endorsement key that has a certificate. If none has
// one, it returns the first key and the reason.
func (c *tpmCheck) find(ctx context.Context) (first *attest.EK, cert *ekcert.Certificate, why error) {
	why = attest.ErrNotFound
	for ek, err := range c.tpm.EKs(ctx) {
		if err != nil {
			if first == nil {
				why = err
			}
			break
		}
		cert, err := c.client.Find(ctx, c.tpm, c.info.Manufacturer, ek.Public)
		if err == nil {
			return ek, cert, nil
		}
		if first == nil || errors.Is(why, ekcert.ErrNotFound) {
			first, why = ek, err
		}
	}
	return first, nil, why
}

// judgeEK notes of which kind an endorsement key is, and where it comes from.
func judgeEK(r *result, ek *attest.EK) {
	where := "made from its template"
	if ek.Handle != 0 {
		where = fmt.Sprintf("at handle 0x%08X", ek.Handle)
	}
	name := device.KeyName(ek.Public)
	if !strings.HasPrefix(name, "rsa") {
		r.note(warn, name+" "+where, "The attestation CA of Windows is known to accept RSA endorsement keys; this TPM has none with a certificate.")
		return
	}
	r.note(pass, name+" "+where, "")
}

// noCertificate notes what a missing certificate means for a TPM of this maker.
func (c *tpmCheck) noCertificate(r *result) {
	service := func(e endpoint) bool { return e.Maker != "" && e.Maker == c.facts.maker }
	switch {
	case c.enrolls:
		r.note(warn, "the TPM has none; the mock server's maker can issue one over SCEP", "Let it issue one before the TPM is attested.")
	case slices.ContainsFunc(endpoints, service):
		r.note(warn, "the TPM has none; it has to come from the service of its maker", "See whether the maker's service can be reached.")
	default:
		r.note(fail, "the TPM has none, and no service of its maker is known", "Ask the maker of the machine for one: without a certificate the TPM cannot be attested.")
	}
}

// chain checks that a certificate leads to a root of the maker.
func (c *tpmCheck) chain(ctx context.Context, cert *ekcert.Certificate, ek *attest.EK) {
	r := c.add("ek-chain")
	c.facts.vendor = cmp.Or(cert.Vendor(), c.facts.maker)
	c.facts.chain = append([]*x509.Certificate{cert.Certificate}, cert.Issuers...)
	report, err := c.client.Verify(ctx, cert, ek.Public)
	if err != nil {
		r.failed(err, "Look for the maker's CA certificates and name them with -ek-roots.")
		if errors.Is(err, ekcert.ErrUntrusted) && !c.ownRoots {
			r.Status = warn // the roots that come with this program are not all that exist
		}
		return
	}
	c.facts.chain = report.Chain
	r.note(pass, "it leads to "+issuerName(report.Chain[len(report.Chain)-1]), "")
	for _, f := range report.Findings {
		note(r, f)
	}
}
