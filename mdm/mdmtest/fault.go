package mdmtest

import (
	"errors"
	"fmt"
	"strings"
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

// A Denial is a reason not to grant a request.
type Denial struct {
	Subcode   string // such as "s:Authorization"; if empty, that
	ErrorType string // of the detail, such as "DeviceNotSupported"; may be empty
	Message   string // for people
}

// denied asks s.Deny.
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

// A fault is a request that is not granted.
type fault struct {
	subcode   string
	errorType string // of the detail; "" for none
	reason    error
}

// Error implements error.
func (f *fault) Error() string { return f.reason.Error() }

// Unwrap returns the reason.
func (f *fault) Unwrap() error { return f.reason }

func refuse(subcode, format string, args ...any) error {
	return &fault{subcode: subcode, reason: fmt.Errorf(format, args...)}
}

// malformed refuses a message that is not as the protocol has it.
func malformed(format string, args ...any) error {
	return refuse(formatFault, format, args...)
}

// badItem refuses a context item.
func badItem(format string, args ...any) error {
	return &fault{subcode: formatFault, errorType: "InvalidEnrollmentData", reason: fmt.Errorf(format, args...)}
}

// xml writes the fault. A subcode with prefix a is one of Microsoft's SOAP
// stack.
func (f *fault) xml() string {
	var b strings.Builder
	b.WriteString(`<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value`)
	if strings.HasPrefix(f.subcode, "a:") {
		b.WriteString(` xmlns:a="` + nsDispatcher + `"`)
	}
	b.WriteString(`>` + f.subcode + `</s:Value></s:Subcode></s:Code>`)
	b.WriteString(`<s:Reason><s:Text xml:lang="en-US">` + escape(f.reason.Error()) + `</s:Text></s:Reason>`)
	if f.errorType != "" {
		b.WriteString(`<s:Detail><DeviceEnrollmentServiceError xmlns="` + nsEnrollment + `"><ErrorType>` + f.errorType +
			`</ErrorType><Message>` + escape(f.reason.Error()) + `</Message><TraceId>` + newGUID() + `</TraceId></DeviceEnrollmentServiceError></s:Detail>`)
	}
	b.WriteString(`</s:Fault>`)
	return b.String()
}
