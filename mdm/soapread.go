package mdm

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A reply is a SOAP answer: its body's element, or a fault.
type reply struct {
	relatesTo string
	body      *element
	fault     *Fault
}

// parseReply reads a SOAP envelope, 1.1 or 1.2. That of a fault may have lost
// its namespace: what it says is worth more than its form.
func parseReply(data []byte) (*reply, error) {
	envelope, err := parseXML(data)
	if err != nil {
		return nil, err
	}
	if err := envelope.Unique(); err != nil {
		return nil, err
	}
	body := envelope.At("Body")
	known := envelope.Space == nsSOAP12 || envelope.Space == nsSOAP11 || !strings.Contains(envelope.Space, ":") && body.At("Fault") != nil
	if !envelope.Is("Envelope") || !known {
		return nil, fmt.Errorf("<%.40s> is no SOAP envelope", envelope.Name)
	}
	if body == nil || len(body.Children) != 1 {
		return nil, errors.New("the SOAP envelope has no body with one element")
	}
	r := &reply{relatesTo: envelope.Value("Header", "RelatesTo"), body: body.Children[0]}
	if r.body.Is("Fault") {
		r.fault = readFault(r.body)
	}
	return r, nil
}

// readFault reads a fault of either SOAP version, in any case.
func readFault(e *element) *Fault {
	f := &Fault{
		Code:    e.Value("Code", "Value"),
		Subcode: e.Value("Code", "Subcode", "Value"),
		Reason:  e.Value("Reason", "Text"),
	}
	if e.At("Code") == nil {
		f.Code, f.Reason = e.Value("faultcode"), e.Value("faultstring")
		f.Subcode = subcode11(f.Code)
	}
	detail := e.At("Detail")
	if d := detail.Below("DeviceEnrollmentServiceError"); d != nil {
		f.Type, f.TraceID = shorten(d.Value("ErrorType")), shorten(d.Value("TraceId"))
		if f.Reason == "" {
			f.Reason = d.Value("Message")
		}
	}
	if d := detail.Below("CertificateEnrollmentWSDetail"); d != nil {
		f.Number = number(d.Value("ErrorCode"))
	}
	f.Code, f.Subcode, f.Reason = shorten(f.Code), shorten(f.Subcode), shorten(f.Reason)
	return f
}

// subcode11 returns the subcode in a SOAP 1.1 fault code: what follows the dot
// in "s:Client.Authentication", or all of a code that SOAP does not define.
func subcode11(code string) string {
	prefix, name, ok := strings.Cut(code, ":")
	if !ok {
		prefix, name = "", code
	}
	if _, sub, ok := strings.Cut(name, "."); ok {
		if prefix == "" {
			return sub
		}
		return prefix + ":" + sub
	}
	switch strings.ToLower(name) {
	case "client", "server", "sender", "receiver", "mustunderstand", "versionmismatch":
		return ""
	}
	return code
}

// number reads an HRESULT written as a signed or unsigned decimal number, or 0.
func number(s string) uint32 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < -1<<31 || n >= 1<<32 {
		return 0
	}
	return uint32(n)
}
