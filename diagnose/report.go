package diagnose

import (
	"fmt"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/hresult"
)

// isReport reports whether err itself says in which operation or step it occurred,
// as the errors of this module's packages do.
func isReport(err error) bool {
	switch err.(type) {
	case interface{ Operation() string }, interface{ StepName() string }:
		return true
	}
	return false
}

// collectReport adds what the methods of an error tell; see [Explain].
func (d *diagnoser) collectReport(err error) {
	if e, ok := err.(interface{ StepName() string }); ok {
		setDefault(&d.Step, e.StepName())
	}
	if e, ok := err.(interface{ Operation() string }); ok {
		d.Op = e.Operation()
	}
	if e, ok := err.(interface{ Service() string }); ok {
		setDefault(&d.URL, e.Service())
	}
	if e, ok := err.(interface{ Status() int }); ok {
		setDefault(&d.HTTPStatus, e.Status())
	}
	if e, ok := err.(interface{ Protocol() string }); ok {
		setDefault(&d.Protocol, oneLine(e.Protocol()))
	}
	if e, ok := err.(interface{ ResponseCode() uint32 }); ok {
		setDefault(&d.Protocol, tpmName(e.ResponseCode()))
		if e.ResponseCode() != 0 && d.HTTPStatus == 0 {
			d.URL = "" // the TPM refused, and no service
		}
	}
	if e, ok := err.(interface{ ServerMessage() string }); ok {
		setDefault(&d.Message, e.ServerMessage())
	}
	if e, ok := err.(interface{ Reference() string }); ok {
		setDefault(&d.RequestID, e.Reference())
	}
	if e, ok := err.(interface{ RetryDelay() time.Duration }); ok {
		setDefault(&d.RetryAfter, e.RetryDelay())
	}
}

// tpmName returns the TCG's name of a response code and the parameter, handle or
// session that the code is about. It returns "" for 0.
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
