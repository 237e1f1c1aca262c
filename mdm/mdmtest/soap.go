package mdmtest

import (
	"bytes"
	"crypto/rand"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Namespaces ([MS-MDE2] section 2.2.1), and strings that begin with them.
const (
	nsSOAP       = "http://www.w3.org/2003/05/soap-envelope"
	nsAddressing = "http://www.w3.org/2005/08/addressing"
	nsSecurity   = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
	nsUtility    = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
	nsTrust      = "http://docs.oasis-open.org/ws-sx/ws-trust/200512"
	nsDiscovery  = "http://schemas.microsoft.com/windows/management/2012/01/enrollment"
	nsPolicy     = "http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy"
	nsEnrollment = "http://schemas.microsoft.com/windows/pki/2009/01/enrollment"
	nsDispatcher = "http://schemas.microsoft.com/net/2005/12/windowscommunicationfoundation/dispatcher"

	actionFault      = nsAddressing + "/soap/fault"
	actionDiscovered = nsDiscovery + "/IDiscoveryService/DiscoverResponse"
	anonymous        = nsAddressing + "/anonymous"
	typeBase64       = nsSecurity + "#base64binary"
)

// Limits of requests.
const (
	maxRequest  = 128 << 10 // bytes
	maxDepth    = 24        // levels of elements
	maxElements = 1000
)

// An operation is a SOAP operation of the server.
type operation struct {
	name, path       string
	action, response string // Action of the request and of the answer
	serve            func(*Server, *http.Request, *envelope) (string, error)
}

// operations has the operations by path in lower case.
var operations = map[string]*operation{
	strings.ToLower(DiscoveryPath): {
		name: "Discover", path: DiscoveryPath, serve: (*Server).serveDiscover,
		action: nsDiscovery + "/IDiscoveryService/Discover", response: actionDiscovered,
	},
	strings.ToLower(policyPath): {
		name: "Policy", path: policyPath, serve: (*Server).servePolicy,
		action: nsPolicy + "/IPolicy/GetPolicies", response: nsPolicy + "/IPolicy/GetPoliciesResponse",
	},
	strings.ToLower(enrollmentPath): {
		name: "Enroll", path: enrollmentPath, serve: (*Server).serveEnroll,
		action: nsEnrollment + "/RST/wstep", response: nsEnrollment + "/RSTRC/wstep",
	},
}

// An understood is a header with its mustUnderstand attribute.
type understood struct {
	MustUnderstand string `xml:"http://www.w3.org/2003/05/soap-envelope mustUnderstand,attr"`
	Text           string `xml:",chardata"`
}

// A binaryToken is a BinarySecurityToken.
type binaryToken struct {
	ValueType    string `xml:"ValueType,attr"`
	EncodingType string `xml:"EncodingType,attr"`
	Text         string `xml:",chardata"`
}

// A userToken is a UsernameToken.
type userToken struct {
	ID       string   `xml:"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd Id,attr"`
	Name     []string `xml:"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd Username"`
	Password []struct {
		Type string `xml:"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd Type,attr"`
		Text string `xml:",chardata"`
	} `xml:"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd Password"`
}

// An envelope is a request. Elements that may appear once are slices, so that
// repetitions are noticed.
type envelope struct {
	XMLName xml.Name `xml:"http://www.w3.org/2003/05/soap-envelope Envelope"`
	Header  []struct {
		Action    []understood `xml:"http://www.w3.org/2005/08/addressing Action"`
		MessageID []string     `xml:"http://www.w3.org/2005/08/addressing MessageID"`
		ReplyTo   []struct {
			Address string `xml:"http://www.w3.org/2005/08/addressing Address"`
		} `xml:"http://www.w3.org/2005/08/addressing ReplyTo"`
		To       []understood `xml:"http://www.w3.org/2005/08/addressing To"`
		Security []struct {
			MustUnderstand string        `xml:"http://www.w3.org/2003/05/soap-envelope mustUnderstand,attr"`
			Token          []binaryToken `xml:"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd BinarySecurityToken"`
			User           []userToken   `xml:"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd UsernameToken"`
		} `xml:"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd Security"`
	} `xml:"http://www.w3.org/2003/05/soap-envelope Header"`
	Body []struct {
		Discover    []discoverRequest `xml:"http://schemas.microsoft.com/windows/management/2012/01/enrollment Discover"`
		GetPolicies []policyRequest   `xml:"http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy GetPolicies"`
		Token       []enrollRequest   `xml:"http://docs.oasis-open.org/ws-sx/ws-trust/200512 RequestSecurityToken"`
		Other       []struct {
			XMLName xml.Name
		} `xml:",any"`
	} `xml:"http://www.w3.org/2003/05/soap-envelope Body"`
}

// messageID returns the MessageID of a request, or "" if it has none.
func (e *envelope) messageID() string {
	if e == nil || len(e.Header) != 1 || len(e.Header[0].MessageID) != 1 {
		return ""
	}
	return e.Header[0].MessageID[0]
}

var uuidURN = regexp.MustCompile(`^urn:uuid:[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// readEnvelope reads a request to one of two URLs of a service, its own and that
// under which it was reached, and checks what all requests have in common. It may
// return the envelope beside an error, for the MessageID.
func readEnvelope(data []byte, op *operation, to, reached string) (*envelope, error) {
	if err := walk(data); err != nil {
		return nil, malformed("%w", err)
	}
	e := new(envelope)
	if err := xml.Unmarshal(data, e); err != nil {
		return nil, malformed("envelope: %w", err)
	}
	if len(e.Header) != 1 || len(e.Body) != 1 {
		return e, malformed("%d headers and %d bodies", len(e.Header), len(e.Body))
	}
	h, b := e.Header[0], e.Body[0]
	switch {
	case len(h.Action) != 1 || h.Action[0].MustUnderstand != "1":
		return e, malformed("not exactly one a:Action that must be understood")
	case h.Action[0].Text != op.action:
		return e, &fault{subcode: "a:ActionMismatch", reason: fmt.Errorf("action %.200q", h.Action[0].Text)}
	case len(h.To) != 1 || h.To[0].MustUnderstand != "1":
		return e, malformed("not exactly one a:To that must be understood")
	case !sameURL(h.To[0].Text, to) && !sameURL(h.To[0].Text, reached):
		return e, &fault{subcode: "a:EndpointUnavailable", reason: fmt.Errorf("a:To is %.200q, not %q", h.To[0].Text, to)}
	case !uuidURN.MatchString(e.messageID()):
		return e, malformed("a:MessageID %.100q is not a urn:uuid", e.messageID())
	case len(h.ReplyTo) != 1 || h.ReplyTo[0].Address != anonymous:
		return e, malformed("a:ReplyTo is not anonymous")
	case len(b.Discover)+len(b.GetPolicies)+len(b.Token) != 1 || len(b.Other) != 0:
		return e, malformed("the body is not one known element")
	}
	return e, nil
}

// sameURL reports whether two URLs are equal in any letter case, without the
// query of the first. A port that is the default of the scheme may be there or
// not: Windows writes ":443" into a:To, and not into the header Host.
func sameURL(a, b string) bool {
	a, _, _ = strings.Cut(a, "?")
	return strings.EqualFold(withoutPort(a), withoutPort(b))
}

// withoutPort returns a URL without the default port of its scheme.
func withoutPort(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Port() != map[string]string{"https": "443", "http": "80"}[u.Scheme] {
		return raw
	}
	u.Host = strings.TrimSuffix(u.Host, ":"+u.Port())
	return u.String()
}

// walk checks that data is one XML element within the limits, with no document
// type declaration and nothing but white space around it.
func walk(data []byte) error {
	d := xml.NewDecoder(bytes.NewReader(data))
	depth, count := 0, 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.Directive:
			return errors.New("document type declaration")
		case xml.StartElement:
			if depth == 0 && count > 0 {
				return errors.New("second root element")
			}
			depth++
			count++
		case xml.EndElement:
			depth--
		case xml.CharData:
			if depth == 0 && len(bytes.TrimSpace(t)) > 0 {
				return errors.New("text outside of the root element")
			}
		}
		if depth > maxDepth || count > maxElements {
			return errors.New("too many or too deep elements")
		}
	}
	if count == 0 {
		return errors.New("no element")
	}
	return nil
}

// nsSOAP11 is the namespace of envelopes with the quirk SOAP11.
const nsSOAP11 = "http://schemas.xmlsoap.org/soap/envelope/"

// fixedID is RelatesTo with the quirk FixedRelatesTo.
const fixedID = "urn:uuid:0d5a1441-5891-453b-becf-a2e5f6ea3749"

// envelope returns an answer with its header.
func (s *Server) envelope(action, relatesTo, content string) string {
	now := s.now().UTC()
	stamp := func(t time.Time) string { return t.Format("2006-01-02T15:04:05.000Z") }
	soap := nsSOAP
	if s.Quirks.SOAP11 {
		soap = nsSOAP11
	}
	var b strings.Builder
	b.WriteString(`<s:Envelope xmlns:s="` + soap + `" xmlns:a="` + nsAddressing + `" xmlns:u="` + nsUtility + `"><s:Header>`)
	if s.Quirks.PlainAction {
		b.WriteString(`<Action mustUnderstand="1">` + action + `</Action>`)
	} else {
		b.WriteString(`<a:Action s:mustUnderstand="1">` + action + `</a:Action>`)
	}
	switch {
	case s.Quirks.FixedRelatesTo:
		relatesTo = fixedID
	case s.Quirks.DoubleRelatesTo && relatesTo != "":
		relatesTo = "urn:uuid:" + relatesTo
	}
	if action == actionDiscovered {
		id := newGUID()
		b.WriteString(`<ActivityId CorrelationId="` + id + `" xmlns="http://schemas.microsoft.com/2004/09/ServiceModel/Diagnostics">` + id + `</ActivityId>`)
	}
	if relatesTo != "" {
		b.WriteString(`<a:RelatesTo>` + escape(relatesTo) + `</a:RelatesTo>`)
	}
	b.WriteString(`<o:Security s:mustUnderstand="1" xmlns:o="` + nsSecurity + `"><u:Timestamp u:Id="_0"><u:Created>` + stamp(now) +
		`</u:Created><u:Expires>` + stamp(now.Add(5*time.Minute)) + `</u:Expires></u:Timestamp></o:Security>`)
	b.WriteString(`</s:Header><s:Body>` + content + `</s:Body></s:Envelope>`)
	return b.String()
}

// reply sends an envelope with the server's quirks.
func (s *Server) reply(w http.ResponseWriter, status int, envelope string) {
	if s.Quirks.Chunked {
		w.Header().Set("Content-Type", "application/soap+xml; charset=utf-8")
		w.WriteHeader(status)
		_ = http.NewResponseController(w).Flush() // a writer that cannot sends everything at once
		_, _ = io.WriteString(w, envelope)
		return
	}
	reply(w, status, envelope)
}

// reply sends an envelope with its length, because clients of this protocol
// need not know chunked encoding.
func reply(w http.ResponseWriter, status int, envelope string) {
	w.Header().Set("Content-Type", "application/soap+xml; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(envelope)))
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// The client may have gone; nobody is left to tell.
	_, _ = io.WriteString(w, envelope)
}

// escape returns s as character data of XML.
func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder does not fail
	return b.String()
}

// newGUID returns a random GUID.
func newGUID() string {
	var u [16]byte
	_, _ = rand.Read(u[:]) // never fails
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}
