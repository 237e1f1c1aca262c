package main

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/internal/traffic"
)

// tpmFacts are the facts about a TPM that decide which services it needs.
type tpmFacts struct {
	maker  string              // short name of the maker that the TPM names; "" if that is not known
	vendor string              // the maker that the EK certificate names
	chain  []*x509.Certificate // EK certificate and its issuers, as far as they are known; nil if there is no certificate
}

// lacksCertificate reports whether the EK certificate has to come from the
// maker's service.
func (f *tpmFacts) lacksCertificate() bool { return f != nil && len(f.chain) == 0 }

// tpmTime is how long the checks of the TPM may take. Chips make RSA keys slowly.
const tpmTime = 2 * time.Minute

const remedyNoTPM = "Turn on the TPM (PTT, fTPM or security device) in the firmware's setup."

// checkTPM checks the TPM that -tpm names. facts is nil if there is none, or it cannot be
// used. The error means that -tpm names no TPM, or that ctx ended.
func (o *options) checkTPM(ctx context.Context) (facts *tpmFacts, results []*result, err error) {
	r := &result{Phase: traffic.PhaseTPM, Name: "present"}
	if o.tpm == "" {
		return nil, []*result{r.note(skip, "no TPM was checked; -tpm device checks this machine's", "")}, nil
	}
	client, err := o.ekClient()
	if err != nil {
		return nil, nil, err
	}
	found := o.found()
	dev, err := o.open(ctx)
	var failed *attest.Error
	switch {
	case errors.Is(err, attest.ErrNoTPM):
		return nil, append(found, r.failed(err, remedyNoTPM)), nil
	case errors.As(err, &failed) && ctx.Err() == nil:
		return nil, append(found, r.failed(err, "")), nil
	case err != nil:
		return nil, nil, err
	}
	defer dev.Close()
	ctx, cancel := context.WithTimeout(ctx, tpmTime)
	defer cancel()
	c := &tpmCheck{results: found, dev: dev, tpm: &attest.TPM{Transport: dev}, client: client, ownRoots: o.ekRoots != "", enrolls: o.server != "", facts: new(tpmFacts)}
	c.run(ctx, dev.Name)
	return c.facts, c.results, nil
}

// open opens the TPM. It takes no longer than a service may take.
func (o *options) open(ctx context.Context) (*device.Device, error) {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	return device.Open(ctx, o.tpm)
}

// found says of each way to this machine's TPMs whether it can be used, if -tpm is for
// one of these. One that cannot be used is passed over if another can.
func (o *options) found() (results []*result) {
	if kind, _, _ := strings.Cut(o.tpm, ":"); kind != "device" {
		return nil
	}
	devices := attest.Find()
	status := warn
	if slices.ContainsFunc(devices, func(d attest.Device) bool { return d.Err == nil }) {
		status = skip
	}
	for _, d := range devices {
		r := &result{Phase: traffic.PhaseTPM, Name: "device"}
		results = append(results, r.note(pass, cmp.Or(d.Path, "TBS")+" can be used", ""))
		if d.Err != nil {
			r.failed(d.Err, "").Status = status
		}
	}
	return results
}

// A tpmCheck makes the checks of one TPM.
type tpmCheck struct {
	dev      transport.TPM
	tpm      *attest.TPM
	client   *ekcert.Client
	ownRoots bool // client trusts the roots of -ek-roots
	enrolls  bool // there is a CA that issues EK certificates

	facts   *tpmFacts
	info    *attest.Info
	results []*result
}

// add adds a result, whose outcome the caller notes.
func (c *tpmCheck) add(name string) *result {
	r := &result{Phase: traffic.PhaseTPM, Name: name}
	c.results = append(c.results, r)
	return r
}

// run makes all checks. It stops after the first if that finds no TPM 2.0, and
// before those of keys if there is no endorsement key.
func (c *tpmCheck) run(ctx context.Context, name string) {
	if !c.version(ctx, name) {
		return
	}
	c.advisories()
	c.state()
	if ek := c.endorsement(ctx); ek != nil {
		c.keys(ctx, ek)
	}
}

// version checks that the TPM is a TPM 2.0, and reports whether it is.
func (c *tpmCheck) version(ctx context.Context, name string) bool {
	r := c.add("version")
	family, err := properties(c.dev, tpm2.TPMPTFamilyIndicator, 1)
	if err == nil {
		c.info, err = c.tpm.Info(ctx)
	}
	if err != nil {
		r.failed(err, "It does not answer as a TPM 2.0 does. Firmware of its maker may turn a TPM 1.2 into one.")
		return false
	}
	text := strings.Trim(string(binary.BigEndian.AppendUint32(nil, family[tpm2.TPMPTFamilyIndicator])), "\x00 ")
	if text != "2.0" {
		r.note(fail, "it is of family "+fmt.Sprintf("%q", text), "A TPM 2.0 is needed; firmware of its maker may turn this one into one.")
		return false
	}
	c.facts.maker = ekcert.VendorName(c.info.Manufacturer)
	detail := fmt.Sprintf("%s: TPM 2.0, revision %s, %s %s, firmware %s", name, c.info.Revision, c.info.Manufacturer, c.info.Vendor, c.info.Firmware)
	if virtual(c.info) {
		r.note(warn, detail+": a TPM of a virtual machine or an emulator", "Attestation services refuse TPMs of makers that they do not know: use a physical machine, or a mode that needs no attestation.")
		return true
	}
	r.note(pass, detail, "")
	return true
}

// virtual reports whether a TPM is made of software, as in virtual machines.
func virtual(info *attest.Info) bool {
	makers := []string{"VMW", "GOOG", "AMZN", "PRLS", "IBM"}
	return slices.Contains(makers, info.Manufacturer) || strings.HasPrefix(info.Manufacturer, "SIM") || info.Manufacturer == "00001014" || info.Revision == "1.15"
}

// advisories checks the firmware's version for known weaknesses.
func (c *tpmCheck) advisories() {
	r := c.add("firmware").note(pass, "it has no known weakness", "")
	for _, f := range ekcert.Advisories(c.info.Manufacturer, c.info.Firmware) {
		note(r, f)
	}
}

// note turns a result into a warning about a finding, unless it is one already.
func note(r *result, f ekcert.Finding) {
	const remedy = "Install the firmware update of the maker of the TPM or machine, then clear the TPM."
	text := command.OneLine(f.ID + " " + f.CVE + " " + f.Detail)
	if f.Severity == ekcert.Warning && r.Status == pass {
		r.note(warn, text, remedy)
	}
}

// properties returns n properties of a TPM, from first on
// (TPM2_GetCapability).
func properties(tpm transport.TPM, first tpm2.TPMPT, n uint32) (map[tpm2.TPMPT]uint32, error) {
	rsp, err := tpm2.GetCapability{Capability: tpm2.TPMCapTPMProperties, Property: uint32(first), PropertyCount: n}.Execute(tpm)
	if err != nil {
		return nil, fmt.Errorf("TPM2_GetCapability: %w", err)
	}
	list, err := rsp.CapabilityData.Data.TPMProperties()
	if err != nil {
		return nil, fmt.Errorf("TPM2_GetCapability: %w", err)
	}
	m := make(map[tpm2.TPMPT]uint32)
	for _, p := range list.TPMProperty {
		m[p.Property] = p.Value
	}
	return m, nil
}
