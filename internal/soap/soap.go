package soap

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/whiteglove/whiteglove/internal/wire"
	"github.com/whiteglove/whiteglove/internal/xmltree"
)

// Namespaces of the envelope.
const (
	Namespace11 = "http://schemas.xmlsoap.org/soap/envelope/"
	Namespace12 = "http://www.w3.org/2003/05/soap-envelope"
)

// MaxElements is how many elements an envelope may have.
const MaxElements = 20000

// An Envelope is a SOAP answer.
type Envelope struct {
	Content *xmltree.Element // the one element in the body
	Fault   *Fault           // what Content says if it is a fault; nil otherwise
	Detail  string           // Message in the detail of Fault, as [wire.Words] returns it

	// Activity is the ActivityId in the header, by which a server knows which of
	// its records belong together. It is a GUID as the server wrote it, or "".
	Activity string
}

// A Fault is a SOAP fault, 1.1 or 1.2. Its fields are those of mdm.Fault, to
// which a *Fault converts. Texts are trimmed,
// cleaned and shortened by [wire.Words].
type Fault struct {
	Code    string
	Subcode string
	Reason  string
	Type    string
	Number  uint32
	TraceID string
}

// Parse reads the envelope in data. An envelope in no namespace of SOAP's is
// read only if it holds a fault. The error is of no type of its own.
func Parse(data []byte) (*Envelope, error) {
	root, err := xmltree.Parse(data, MaxElements)
	if err != nil {
		return nil, fmt.Errorf("reading XML: %w", err)
	}
	if err := root.Unique(); err != nil {
		return nil, err
	}
	body := root.At("Body")
	known := root.Space == Namespace12 || root.Space == Namespace11 || !strings.Contains(root.Space, ":") && body.At("Fault") != nil
	if !root.Is("Envelope") || !known {
		return nil, fmt.Errorf("<%.40s> is not a SOAP envelope", root.Name)
	}
	if body == nil || len(body.Children) != 1 {
		return nil, errors.New("the SOAP envelope has no body with one element")
	}
	e := &Envelope{Content: body.Children[0]}
	if id := root.Value("Header", "ActivityId"); wire.IsGUID(id) {
		e.Activity = id
	}
	if e.Content.Is("Fault") {
		e.Fault = readFault(e.Content)
		e.Detail = wire.Words(e.Content.At("Detail").Below("DeviceEnrollmentServiceError").Value("Message"))
	}
	return e, nil
}

// readFault reads a fault of either SOAP version, in any letter case.
func readFault(e *xmltree.Element) *Fault {
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
		f.Type, f.TraceID = wire.Words(d.Value("ErrorType")), wire.Words(d.Value("TraceId"))
		if f.Reason == "" {
			f.Reason = d.Value("Message")
		}
	}
	if d := detail.Below("CertificateEnrollmentWSDetail"); d != nil {
		f.Number = number(d.Value("ErrorCode"))
	}
	f.Code, f.Subcode, f.Reason = wire.Words(f.Code), wire.Words(f.Subcode), wire.Words(f.Reason)
	return f
}

// subcode11 returns the subcode in a SOAP 1.1 fault code: the part after the
// dot in "s:Client.Authentication", or the whole of a code that SOAP does not
// define.
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

// number reads an HRESULT written as a signed or unsigned decimal number, or
// returns 0.
func number(s string) uint32 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < -1<<31 || n >= 1<<32 {
		return 0
	}
	return uint32(n)
}
