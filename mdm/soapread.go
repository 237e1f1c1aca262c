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
	if err := envelope.unique(); err != nil {
		return nil, err
	}
	body := envelope.at("Body")
	known := envelope.space == nsSOAP12 || envelope.space == nsSOAP11 || !strings.Contains(envelope.space, ":") && body.at("Fault") != nil
	if !envelope.is("Envelope") || !known {
		return nil, fmt.Errorf("<%.40s> is no SOAP envelope", envelope.name)
	}
	if body == nil || len(body.children) != 1 {
		return nil, errors.New("the SOAP envelope has no body with one element")
	}
	r := &reply{relatesTo: envelope.value("Header", "RelatesTo"), body: body.children[0]}
	if r.body.is("Fault") {
		r.fault = readFault(r.body)
	}
	return r, nil
}

// readFault reads a fault of either SOAP version, in any case.
func readFault(e *element) *Fault {
	f := &Fault{
		Code:    e.value("Code", "Value"),
		Subcode: e.value("Code", "Subcode", "Value"),
		Reason:  e.value("Reason", "Text"),
	}
	if e.at("Code") == nil {
		f.Code, f.Reason = e.value("faultcode"), e.value("faultstring")
		f.Subcode = subcode11(f.Code)
	}
	detail := e.at("Detail")
	if d := detail.below("DeviceEnrollmentServiceError"); d != nil {
		f.Type, f.TraceID = shorten(d.value("ErrorType")), shorten(d.value("TraceId"))
		if f.Reason == "" {
			f.Reason = d.value("Message")
		}
	}
	if d := detail.below("CertificateEnrollmentWSDetail"); d != nil {
		f.Number = number(d.value("ErrorCode"))
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
