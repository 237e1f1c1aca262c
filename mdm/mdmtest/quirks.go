package mdmtest

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// Quirks are what real management servers do otherwise than the specification
// has it, as they were measured. All are off in its zero value.
type Quirks struct {
	// Discovery.
	NoGET               bool // GET is answered with 405
	SaysOnPremise       bool // AuthPolicy is OnPremise, though tokens are wanted
	FewVersions         bool // only RequestVersion 4.0, 5.0 and 6.0 are accepted, and OnPremise must be offered
	NoEnrollmentVersion bool // the answer has no EnrollmentVersion

	// Policy.
	BareProviders bool // providers are not wrapped in cryptoProviders
	EmptyPolicy   bool // nothing but three nil elements, with a prefix that is not declared
	WrongOIDs     bool // OIDs are in wrong groups and have wrong names
	LongKeys      bool // the policy asks for 4096 bits; fewer are accepted

	// Envelopes.
	SOAP11          bool // answers are of SOAP 1.1
	PlainAction     bool // Action is in no namespace
	DoubleRelatesTo bool // RelatesTo is doubled: urn:uuid:urn:uuid:
	FixedRelatesTo  bool // RelatesTo is always the same
	Chunked         bool // answers have no Content-Length

	// Refusals.
	LowerCaseFaults bool // names and values in faults are in lower case
	FaultsAsOK      bool // faults have HTTP status 200
	EmptyRefusals   bool // HTTP status 200 and nothing in place of a fault
	PlainFaults     bool // faults have no namespaces at all
	HTMLRefusals    bool // HTTP status 500 and a page in place of a fault

	// Requests.
	NeedUPN         bool // tokens without upn are refused as malformed
	SmallRequests   bool // requests over 10000 bytes are refused
	LiteralRequests bool // requests are searched for fixed text; without it, the connection is closed

	// Provisioning documents and what they come in.
	OtherTypes           bool // TokenType and ValueType are others
	NoDisposition        bool // there is no DispositionMessage
	LowerCaseThumbprints bool
	Indented             bool // an XML declaration, and white space between elements
	SplitStores          bool // two CertificateStore blocks
	NestedAddress        bool // the account's ADDR is in an APPADDR
	UserStore            bool // the certificate is for My/User

	// Renewal.
	NoRenewal       bool // not known
	ServerPKCS7Only bool // ValueType must be that of the enrollment namespace
	SpecPKCS7Only   bool // ValueType must be that of the specification
}

// QuirksOf returns the quirks of a public server: "fleet" (Fleet), "poc" (its
// first demonstration), "dominion" (Mattrax), "wmdm" (windows_mdm) and "baby"
// (an imitation of Intune). For other names it returns none.
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
	}
	return Quirks{}
}

// smallRequest is the limit with SmallRequests, in bytes.
const smallRequest = 10000

// literal has, by operation, what servers look for in the raw text.
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

// checkLiteral checks that a request has the text that servers look for.
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

// refuse answers a request that is not granted.
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

// lowerNames puts the tags of a fault and the values of its codes in lower
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
