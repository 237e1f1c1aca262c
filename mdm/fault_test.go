package mdm_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/mdm"
)

const (
	soap12 = `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing"><s:Body>`
	soap11 = `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>`
	end    = `</s:Body></s:Envelope>`
)

func fault(subcode, errorType string) string {
	detail := ""
	if errorType != "" {
		detail = `<s:Detail><DeviceEnrollmentServiceError xmlns="http://schemas.microsoft.com/windows/pki/2009/01/enrollment"><ErrorType>` +
			errorType + `</ErrorType><Message>in detail</Message><TraceId>trace-1</TraceId></DeviceEnrollmentServiceError></s:Detail>`
	}
	return soap12 + `<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>` + subcode + `</s:Value></s:Subcode></s:Code>` +
		`<s:Reason><s:Text xml:lang="en-us">in words</s:Text></s:Reason>` + detail + `</s:Fault>` + end
}

// Faults of [MS-MDE2] section 2.2.10, and those that servers make of them.
func TestFaults(t *testing.T) {
	for _, c := range []struct {
		body  string
		code  uint32
		retry bool
	}{
		{fault("s:MessageFormat", ""), 0x80180001, false},
		{fault("s:Authentication", ""), 0x80180002, false},
		{fault("s:Authorization", ""), 0x80180003, false},
		{fault("s:CertificateRequest", ""), 0x80180004, false},
		{fault("s:EnrollmentServer", ""), 0x80180005, true},
		{fault("a:InternalServiceFault", ""), 0x80180006, true},
		{fault("a:InvalidSecurity", ""), 0x80180007, false},
		{fault("a:ActionMismatch", ""), 0x80180006, true},
		{fault("x:Unheard", ""), 0x80180008, false},
		{fault("", ""), 0x80180008, false},
		{fault("s:Authorization", "DeviceCapReached"), 0x80180013, false},
		{fault("s:Authorization", "DeviceNotSupported"), 0x80180014, false},
		{fault("s:Authorization", "NotSupported"), 0x80180015, false},
		{fault("s:Authorization", "NotEligibleToRenew"), 0x80180016, false},
		{fault("s:EnrollmentServer", "InMaintenance"), 0x80180017, true},
		{fault("s:Authorization", "UserLicense"), 0x80180018, false},
		{fault("s:MessageFormat", "InvalidEnrollmentData"), 0x80180019, false},
		{fault("s:EnrollmentServer", "CustomServerError"), 0x80180032, false},
		{fault("s:EnrollmentServer", "unheard"), 0x80180005, true},
		// In lower case, as in the specification's own examples.
		{
			soap12 + `<s:fault><s:code><s:value>s:receiver</s:value><s:subcode><s:value>s:authorization</s:value></s:subcode></s:code>` +
				`<s:reason><s:text>in words</s:text></s:reason><s:detail><deviceenrollmentserviceerror><errortype>devicecapreached</errortype>` +
				`<traceid>trace-1</traceid></deviceenrollmentserviceerror></s:detail></s:fault>` + end,
			0x80180013, false,
		},
		{soap11 + `<s:Fault><faultcode>s:Authentication</faultcode><faultstring>in words</faultstring></s:Fault>` + end, 0x80180002, false},
		{soap11 + `<s:Fault><faultcode>s:Client.MessageFormat</faultcode><faultstring>in words</faultstring></s:Fault>` + end, 0x80180001, false},
		{soap11 + `<s:Fault><faultcode>Server</faultcode><faultstring>in words</faultstring></s:Fault>` + end, 0x80180008, false},
		{
			soap12 + `<s:Fault><s:Code><s:Value>s:Receiver</s:Value></s:Code><s:Reason><s:Text>in words</s:Text></s:Reason><s:Detail>` +
				`<CertificateEnrollmentWSDetail><ErrorCode>-2146875388</ErrorCode></CertificateEnrollmentWSDetail></s:Detail></s:Fault>` + end,
			0x80094804, false,
		},
	} {
		for _, status := range []int{http.StatusOK, http.StatusInternalServerError} {
			e := discoverCanned(t, canned{Status: status, Body: c.body})
			if e.HRESULT() != c.code || e.Retryable() != c.retry || e.Message != "in words" || e.Fault == nil || e.HTTPStatus != status {
				t.Errorf("%s: %v, retryable %t", c.body, e, e.Retryable())
			}
			if strings.Contains(c.body, "trace-1") && (e.TraceID != "trace-1" || e.Fault.TraceID != "trace-1") {
				t.Errorf("%s: trace %q", c.body, e.TraceID)
			}
		}
	}
}

// discoverCanned returns the error of a discovery that gets one answer.
func discoverCanned(t *testing.T, answer http.RoundTripper) *mdm.Error {
	t.Helper()
	c := &mdm.Client{HTTPClient: &http.Client{Transport: answer}}
	d, err := c.Discover(t.Context(), "https://mdm.test/EnrollmentServer/Discovery.svc?key=secret", "")
	if d != nil {
		t.Fatalf("accepted: %+v", d)
	}
	e := failure(t, err)
	if e.Op != "Discover" || strings.Contains(e.Error(), "secret") {
		t.Errorf("error: %v", e)
	}
	return e
}

// Answers that are no SOAP.
func TestTransport(t *testing.T) {
	seconds := http.Header{"Retry-After": {"30"}}
	for _, c := range []struct {
		name  string
		got   canned
		code  uint32
		retry bool
		want  string
	}{
		{"empty 200", canned{Status: 200}, 0x801900C8, false, "empty"},
		{"HTML 200", canned{Status: 200, Body: "<html><body>Sign in</body></html>"}, 0x801900C8, false, "not a SOAP envelope"},
		{"envelope of nobody", canned{Status: 200, Body: `<Envelope xmlns="urn:x"><Body/></Envelope>`}, 0x801900C8, false, "not a SOAP envelope"},
		{"no body", canned{Status: 200, Body: `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"/>`}, 0x801900C8, false, "no body"},
		{"two bodies", canned{Status: 200, Body: soap12 + "<a/><b/>" + end}, 0x801900C8, false, "one element"},
		{"another answer", canned{Status: 200, Body: soap12 + "<GetPoliciesResponse/>" + end}, 0x801900C8, false, "DiscoverResponse"},
		{"document type", canned{Status: 200, Body: "<!DOCTYPE a>" + soap12 + end}, 0x801900C8, false, "document type"},
		{"entity bomb", canned{Status: 200, Body: `<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]>` + soap12 + "&c;" + end}, 0x801900C8, false, "document type"},
		{"depth bomb", canned{Status: 200, Body: strings.Repeat("<a>", 200000)}, 0x801900C8, false, "32 levels"},
		{"other encoding", canned{Status: 200, Body: `<?xml version="1.0" encoding="utf-16"?>` + soap12 + end}, 0x801900C8, false, "encoding"},
		{"too large", canned{Status: 200, Body: strings.Repeat(" ", 1<<20+1)}, 0, false, "too large"},
		{"HTML 500", canned{Status: 500, Body: "<html><br>oops</html>"}, 0x801901F4, true, "status 500"},
		{"404", canned{Status: 404}, 0x80190194, false, "status 404"},
		{"429", canned{Status: 429, Header: seconds}, 0x80180033, true, "status 429"},
		{"503", canned{Status: 503, Header: seconds}, 0x801901F7, true, "status 503"},
		{"redirect to http", canned{Status: 302, Header: http.Header{"Location": {"http://mdm.test/"}}}, 0x8018001A, false, "redirect"},
		{"redirect in a circle", canned{Status: 307, Header: http.Header{"Location": {"/again"}}}, 0x80072F7C, false, "redirect is not followed: more than 5, the last to https://mdm.test/again"},
		{"no enrollment service", canned{Status: 200, Body: soap12 + "<DiscoverResponse><DiscoverResult/></DiscoverResponse>" + end}, 0x80180031, false, "no enrollment service"},
		{"service in clear text", canned{Status: 200, Body: discovered("<EnrollmentServiceUrl>http://mdm.test/e</EnrollmentServiceUrl>")}, 0x8018001A, false, "not https"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := discoverCanned(t, c.got)
			if e.HRESULT() != c.code || e.Retryable() != c.retry || !strings.Contains(e.Error(), c.want) || e.Fault != nil {
				t.Errorf("%v, retryable %t", e, e.Retryable())
			}
			if want := c.got.Header.Get("Retry-After") != ""; want != (e.RetryAfter == 30*time.Second) {
				t.Errorf("retry after %v", e.RetryAfter)
			}
		})
	}
}

// What to do about a redirect names the host that was asked.
func TestRedirectRemedy(t *testing.T) {
	for location, want := range map[string]string{
		"/again":                     "The redirects go in a circle, or are too many: tell the operator of mdm.test, or look",
		"http://login.portal.test/x": "The redirect leads to an address without https, and is not followed. If it is a portal's or a proxy's, sign in there, or let mdm.test pass. Else the operator of mdm.test must correct it.",
	} {
		e := discoverCanned(t, canned{Status: 302, Header: http.Header{"Location": {location}}})
		if got := e.Remedy(); !strings.HasPrefix(got, want) {
			t.Errorf("%v: %s", e, got)
		}
	}
}

func discovered(content string) string {
	return soap12 + "<DiscoverResponse><DiscoverResult>" + content + "</DiscoverResult></DiscoverResponse>" + end
}

// A broken connection.
type broken struct{}

func (broken) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, fmt.Errorf("read: %w", syscall.ECONNRESET)
}

func TestBrokenConnection(t *testing.T) {
	e := discoverCanned(t, broken{})
	if !e.Retryable() || e.HRESULT() != 0x80072EFF || !errors.Is(e, syscall.ECONNRESET) {
		t.Errorf("%v, %#x", e, e.HRESULT())
	}
}

// The code with three causes names all three.
func TestRemedy(t *testing.T) {
	e := &mdm.Error{Op: "Enroll", Fault: &mdm.Fault{Type: "DeviceNotSupported"}}
	for _, cause := range []string{"platform", "personally owned", "record still exists"} {
		if !strings.Contains(e.Remedy(), cause) {
			t.Errorf("%q does not name %q", e.Remedy(), cause)
		}
	}
	if other := (&mdm.Error{Op: "Enroll", Err: errors.New("x")}).Remedy(); other != "" {
		t.Errorf("remedy for nothing known: %q", other)
	}
}
