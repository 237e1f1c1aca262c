package mdmtest

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// Quirks are deviations from [MS-MDE2] that were measured at public management
// servers. Each field switches one on; the zero value has none.
type Quirks struct {
	// Discovery.

	NoGET               bool // answer GET with status 405
	SaysOnPremise       bool // say OnPremise as AuthPolicy, and expect tokens all the same
	FewVersions         bool // accept only RequestVersion 4.0, 5.0 and 6.0, and only clients that offer OnPremise
	NoEnrollmentVersion bool // leave out EnrollmentVersion

	// Policy.

	BareProviders bool // leave out the element cryptoProviders around the providers
	EmptyPolicy   bool // answer with three nil elements whose prefix is not declared
	WrongOIDs     bool // put OIDs into wrong groups, under wrong names
	LongKeys      bool // ask for keys of 4096 bits, and accept shorter ones

	// Envelopes.

	SOAP11          bool // answer in SOAP 1.1
	PlainAction     bool // write Action in no namespace
	DoubleRelatesTo bool // write RelatesTo as urn:uuid:urn:uuid:…
	FixedRelatesTo  bool // write the same RelatesTo always
	Chunked         bool // answer without Content-Length

	// Refusals.

	LowerCaseFaults bool // write names and codes in faults in lower case
	FaultsAsOK      bool // send faults with HTTP status 200
	EmptyRefusals   bool // send HTTP status 200 and an empty body instead of a fault
	PlainFaults     bool // write faults without any namespace
	HTMLRefusals    bool // send HTTP status 500 and a web page instead of a fault

	// Requests.

	NeedUPN         bool // refuse tokens without upn as malformed
	SmallRequests   bool // refuse requests of more than 10000 bytes
	AnySubject      bool // accept every subject of a certificate request, as servers that replace it
	LiteralRequests bool // search requests for fixed text, and close the connection if it is missing

	// Provisioning documents and the answers that hold them.

	OtherTypes           bool // write another TokenType and ValueType
	NoDisposition        bool // leave out DispositionMessage
	LowerCaseThumbprints bool // write thumbprints in lower case
	Indented             bool // write an XML declaration, and white space between elements
	SplitStores          bool // write two CertificateStore blocks
	NestedAddress        bool // write the account's ADDR in an APPADDR
	UserStore            bool // file the certificate under My/User

	// Renewal.

	NoRenewal       bool // know no renewal: refuse it, and leave its schedule out of the document
	ServerPKCS7Only bool // accept only the ValueType in the enrollment namespace
	SpecPKCS7Only   bool // accept only the ValueType of the specification
}

// QuirksOf returns the quirks of a public server by name: "fleet" (Fleet),
// "poc" (Fleet's first demonstration), "dominion" (Mattrax), "wmdm"
// (windows_mdm), "baby" (an imitation of Intune) or "intune" (Intune, as far as
// open clients show what it takes). For another name it returns none.
func QuirksOf(server string) Quirks {
	switch server {
	case "fleet":
		return Quirks{
			NoGET: true, SaysOnPremise: true, FewVersions: true, BareProviders: true, WrongOIDs: true, PlainAction: true,
			LowerCaseFaults: true, FaultsAsOK: true, NeedUPN: true, Indented: true, SplitStores: true, NoRenewal: true,
		}
	case "poc":
		return Quirks{LiteralRequests: true, WrongOIDs: true, NoRenewal: true}
	case "dominion":
		return Quirks{
			SaysOnPremise: true, WrongOIDs: true, LongKeys: true, DoubleRelatesTo: true, EmptyRefusals: true, NeedUPN: true,
			SmallRequests: true, ServerPKCS7Only: true,
		}
	case "wmdm":
		return Quirks{EmptyPolicy: true, LiteralRequests: true, NoRenewal: true}
	case "baby":
		return Quirks{
			NoEnrollmentVersion: true, WrongOIDs: true, FixedRelatesTo: true, OtherTypes: true, NoDisposition: true,
			LowerCaseThumbprints: true, LiteralRequests: true, NoRenewal: true,
		}
	case "intune":
		return Quirks{AnySubject: true}
	}
	return Quirks{}
}

// SessionQuirksOf returns the quirks of a public server in sessions, by a name that
// [QuirksOf] knows. It knows those of "intune" only, and returns none otherwise.
func SessionQuirksOf(server string) SessionQuirks {
	if server == "intune" {
		return SessionQuirks{AnySource: true, LooseForm: true}
	}
	return SessionQuirks{}
}

// smallRequest is the limit of requests with the quirk SmallRequests, in bytes.
const smallRequest = 10000

// literal has, by operation, the text that servers with the quirk
// LiteralRequests look for in requests; those under "" are for all operations.
var literal = map[string][]*regexp.Regexp{
	"": {
		regexp.MustCompile(`^<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing"`),
		regexp.MustCompile(`<a:MessageID>urn:uuid:[0-9a-fA-F-]{36}</a:MessageID>`),
		regexp.MustCompile(`<a:To s:mustUnderstand="1">[^<>\s]+</a:To>`),
	},
	"Enroll": {
		regexp.MustCompile(`<wsse:BinarySecurityToken ValueType="[^"]+#PKCS(7|10)" EncodingType="[^"]+#base64binary">[A-Za-z0-9+/=]+</wsse:BinarySecurityToken>`),
		regexp.MustCompile(`<ac:ContextItem Name="DeviceID"><ac:Value>[^<]+</ac:Value></ac:ContextItem>`),
		regexp.MustCompile(`<ac:ContextItem Name="OSEdition"><ac:Value>\d+</ac:Value></ac:ContextItem>`),
	},
}

// checkLiteral returns an error if a request lacks text that literal has.
func checkLiteral(op string, body []byte) error {
	for _, name := range []string{"", op} {
		for _, re := range literal[name] {
			if !re.Match(body) {
				return fmt.Errorf("request has no text like %.100q", re)
			}
		}
	}
	return nil
}

// hangUp closes the connection without an answer.
func hangUp(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	conn.Close()
}

// refuse answers a request that is not granted, with the quirks of refusals.
func (s *Server) refuse(w http.ResponseWriter, relatesTo string, no *fault) {
	q := s.Quirks
	switch {
	case q.EmptyRefusals:
		w.WriteHeader(http.StatusOK)
		return
	case q.HTMLRefusals:
		http.Error(w, "<html><body>Server error</body></html>", http.StatusInternalServerError)
		return
	}
	text := no.xml()
	if q.LowerCaseFaults {
		text = lowerNames(text)
	}
	status := http.StatusInternalServerError
	if q.FaultsAsOK {
		status = http.StatusOK
	}
	answer := s.envelope(actionFault, relatesTo, text)
	if q.PlainFaults {
		answer = regexp.MustCompile(` xmlns(:\w+)?="[^"]*"`).ReplaceAllString(answer, "")
		answer = regexp.MustCompile(`<(/?)\w+:`).ReplaceAllString(answer, "<$1")
	}
	s.reply(w, status, answer)
}

// lowerNames returns a fault with its tags and the values of its codes in lower
// case.
func lowerNames(fault string) string {
	fault = regexp.MustCompile(`<[^>]*>`).ReplaceAllStringFunc(fault, func(tag string) string {
		if strings.Contains(tag, "xmlns") {
			name, rest, _ := strings.Cut(tag, " ")
			return strings.ToLower(name) + " " + rest
		}
		return strings.ToLower(tag)
	})
	return regexp.MustCompile(`<(s:value|errortype)[^>]*>[^<]*<`).ReplaceAllStringFunc(fault, func(found string) string {
		at := strings.IndexByte(found, '>')
		return found[:at] + strings.ToLower(found[at:])
	})
}
