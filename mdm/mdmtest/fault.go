package mdmtest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/whiteglove/whiteglove/internal/refusal"
)

// Subcodes of faults ([MS-MDE2] section 2.2.10).
const (
	formatFault         = "s:MessageFormat"
	authenticationFault = "s:Authentication"
	authorizationFault  = "s:Authorization"
	certificateFault    = "s:CertificateRequest"
	internalFault       = "a:InternalServiceFault"
	securityFault       = "a:InvalidSecurity"
)

// A Denial tells why a request is not granted. The server answers it with a
// SOAP fault ([MS-MDE2] section 2.2.10).
type Denial struct {
	Subcode   string // if it is empty, it is "s:Authorization"
	ErrorType string // in the detail, such as "DeviceNotSupported"; may be empty
	Message   string // for people
}

// denied returns a fault if s.Deny denies a request.
func (s *Server) denied(op, deviceID string) error {
	if s.Deny == nil {
		return nil
	}
	d := s.Deny(op, deviceID)
	if d == nil {
		return nil
	}
	no := &fault{subcode: d.Subcode, errorType: d.ErrorType, reason: errors.New(d.Message)}
	if no.subcode == "" {
		no.subcode = authorizationFault
	}
	return no
}

// A fault tells why a request is not granted.
type fault struct {
	subcode   string
	errorType string // in the detail; "" if there is no detail
	reason    error
}

// Error returns the reason.
func (f *fault) Error() string { return refusal.Text(f.reason) }

// Unwrap returns the reason as an error.
func (f *fault) Unwrap() error { return f.reason }

// refuse returns a fault with a subcode and a reason.
func refuse(subcode, format string, args ...any) error {
	return &fault{subcode: subcode, reason: fmt.Errorf(format, args...)}
}

// malformed returns the fault for a message against the protocol.
func malformed(format string, args ...any) error {
	return refuse(formatFault, format, args...)
}

// badItem returns the fault for a context item.
func badItem(format string, args ...any) error {
	return &fault{subcode: formatFault, errorType: "InvalidEnrollmentData", reason: fmt.Errorf(format, args...)}
}

// xml returns the fault in XML. A subcode with the prefix a is one of
// Microsoft's SOAP stack.
func (f *fault) xml() string {
	var b strings.Builder
	b.WriteString(`<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value`)
	if strings.HasPrefix(f.subcode, "a:") {
		b.WriteString(` xmlns:a="` + nsDispatcher + `"`)
	}
	b.WriteString(`>` + f.subcode + `</s:Value></s:Subcode></s:Code>`)
	b.WriteString(`<s:Reason><s:Text xml:lang="en-US">` + escape(f.Error()) + `</s:Text></s:Reason>`)
	if f.errorType != "" {
		b.WriteString(`<s:Detail><DeviceEnrollmentServiceError xmlns="` + nsEnrollment + `"><ErrorType>` + f.errorType +
			`</ErrorType><Message>` + escape(f.Error()) + `</Message><TraceId>` + newGUID() + `</TraceId></DeviceEnrollmentServiceError></s:Detail>`)
	}
	b.WriteString(`</s:Fault>`)
	return b.String()
}
