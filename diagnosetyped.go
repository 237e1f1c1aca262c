package whiteglove

import (
	"fmt"
	"slices"
	"strings"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/scep"
)

// isTyped reports whether err itself is an error of this module.
func isTyped(err error) bool {
	switch err.(type) {
	case *Error, *attest.Error, *ekcert.Error, *scep.Error, *aik.Error, *drs.Error, *mdm.Error:
		return true
	}
	return false
}

// collectTyped adds what the fields of an error of this module tell.
func (d *Diagnosis) collectTyped(err error) {
	switch e := err.(type) {
	case *Error:
		setDefault(&d.Step, e.Step)
	case *attest.Error:
		d.Op = e.Op
		setDefault(&d.Protocol, tpmName(uint32(e.RC)))
	case *ekcert.Error:
		d.Op = e.Op
		if strings.Contains(e.Origin, "://") {
			setDefault(&d.URL, e.Origin)
		}
		setDefault(&d.HTTPStatus, e.HTTPStatus)
		setDefault(&d.RetryAfter, e.RetryAfter)
		setDefault(&d.Message, e.Message)
	case *scep.Error:
		d.Op = e.Op
		setDefault(&d.URL, e.URL)
		setDefault(&d.HTTPStatus, e.HTTPStatus)
		setDefault(&d.RetryAfter, e.RetryAfter)
		setDefault(&d.Message, e.Message)
		if e.FailInfo != scep.NoFailInfo {
			setDefault(&d.Protocol, "SCEP "+e.FailInfo.String())
		}
	case *aik.Error:
		d.Op = e.Op
		setDefault(&d.URL, e.URL)
		setDefault(&d.RequestID, e.RequestID)
	case *drs.Error:
		d.Op = e.Op
		setDefault(&d.URL, e.URL)
		setDefault(&d.HTTPStatus, e.HTTPStatus)
		setDefault(&d.RetryAfter, e.RetryAfter)
		setDefault(&d.Message, e.Message)
		setDefault(&d.RequestID, e.RequestID)
		setDefault(&d.Protocol, protocol("DRS", e.Code, e.Subcode))
	case *mdm.Error:
		d.Op = e.Op
		setDefault(&d.URL, e.URL)
		setDefault(&d.HTTPStatus, e.HTTPStatus)
		setDefault(&d.RetryAfter, e.RetryAfter)
		setDefault(&d.Message, e.Message)
		setDefault(&d.RequestID, e.TraceID)
		if e.Fault != nil {
			setDefault(&d.Protocol, protocol("SOAP", e.Fault.Code, e.Fault.Subcode, e.Fault.Type))
		}
		setDefault(&d.Protocol, protocol("OAuth", e.OAuth))
	}
}

// tpmName returns the TCG's name of a response code with what it is about, or
// "" for 0.
func tpmName(rc uint32) string {
	if rc == 0 {
		return ""
	}
	name, ok := strings.CutPrefix(hresult.Symbol(hresult.TPM(rc)), "TPM_20_E_")
	if !ok {
		return fmt.Sprintf("TPM_RC 0x%03X", rc)
	}
	name = "TPM_RC_" + name
	if s := hresult.SubjectOf(rc); s.Kind != "" {
		name += fmt.Sprintf(" (%s %d)", s.Kind, s.Number)
	}
	return name
}

// protocol returns the codes of a protocol that are not empty, as in
// "DRS AuthorizationError/tpm_ek_unknown", or "" if all are.
func protocol(name string, codes ...string) string {
	codes = slices.DeleteFunc(codes, func(s string) bool { return s == "" })
	if len(codes) == 0 {
		return ""
	}
	return oneLine(name + " " + strings.Join(codes, "/"))
}
