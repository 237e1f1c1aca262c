package mdm_test

import (
	"crypto/x509"
	"encoding/base64"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/mdm"
)

// A recorder keeps the requests that pass.
type recorder struct {
	methods, types, bodies []string

	next http.RoundTripper // if nil, the network
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
		req.Body = io.NopCloser(strings.NewReader(string(body)))
	}
	r.methods = append(r.methods, req.Method)
	r.types = append(r.types, req.Header.Get("Content-Type"))
	r.bodies = append(r.bodies, string(body))
	if r.next != nil {
		return r.next.RoundTrip(req)
	}
	return http.DefaultTransport.RoundTrip(req)
}

// What changes between requests, and what stands for it below.
var (
	uuid          = regexp.MustCompile(`urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)
	base          = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)
	base64Content = regexp.MustCompile(`>[A-Za-z0-9+/=]{200,}<`)
)

// start of every envelope, as servers compare it.
const head = `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing"` +
	` xmlns:u="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"` +
	` xmlns:wsse="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"` +
	` xmlns:wst="http://docs.oasis-open.org/ws-sx/ws-trust/200512"` +
	` xmlns:ac="http://schemas.xmlsoap.org/ws/2006/12/authorization"><s:Header><a:Action s:mustUnderstand="1">`

const (
	middle = `</a:Action><a:MessageID>ID</a:MessageID><a:ReplyTo><a:Address>http://www.w3.org/2005/08/addressing/anonymous</a:Address></a:ReplyTo>` +
		`<a:To s:mustUnderstand="1">BASE`
	security = `</a:To><wsse:Security s:mustUnderstand="1"><wsse:BinarySecurityToken ValueType="urn:ietf:params:oauth:token-type:jwt"` +
		` EncodingType="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd#base64binary">BASE64</wsse:BinarySecurityToken></wsse:Security>`
	hardware = "2F3C64AD0364F2A934A9A7BAA26D9D4F1C07E32CB46ADAD8B25C4133A5BD7333"
	tail     = `</s:Body></s:Envelope>`
	xsi      = ` xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"/>`
)

var wanted = []string{
	"",
	head + `http://schemas.microsoft.com/windows/management/2012/01/enrollment/IDiscoveryService/Discover` + middle +
		`/EnrollmentServer/Discovery.svc</a:To></s:Header><s:Body>` +
		`<Discover xmlns="http://schemas.microsoft.com/windows/management/2012/01/enrollment">` +
		`<request xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><EmailAddress>user@alt.none</EmailAddress>` +
		`<RequestVersion>5.0</RequestVersion><DeviceType>CIMClient_Windows</DeviceType>` +
		`<ApplicationVersion>10.0.26100.1</ApplicationVersion><OSEdition>48</OSEdition>` +
		`<AuthPolicies><AuthPolicy>OnPremise</AuthPolicy><AuthPolicy>Federated</AuthPolicy></AuthPolicies></request></Discover>` + tail,
	head + `http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy/IPolicy/GetPolicies` + middle +
		`/EnrollmentServer/Policy.svc` + security + `</s:Header><s:Body>` +
		`<GetPolicies xmlns="http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy"><client>` +
		`<lastUpdate xsi:nil="true"` + xsi + `<preferredLanguage xsi:nil="true"` + xsi + `</client>` +
		`<requestFilter xsi:nil="true"` + xsi + `</GetPolicies>` + tail,
	head + `http://schemas.microsoft.com/windows/pki/2009/01/enrollment/RST/wstep` + middle +
		`/EnrollmentServer/Enrollment.svc` + security + `</s:Header><s:Body><wst:RequestSecurityToken>` +
		`<wst:TokenType>http://schemas.microsoft.com/5.0.0.0/ConfigurationManager/Enrollment/DeviceEnrollmentToken</wst:TokenType>` +
		`<wst:RequestType>http://docs.oasis-open.org/ws-sx/ws-trust/200512/Issue</wst:RequestType>` +
		`<wsse:BinarySecurityToken ValueType="http://schemas.microsoft.com/windows/pki/2009/01/enrollment#PKCS10"` +
		` EncodingType="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd#base64binary">BASE64</wsse:BinarySecurityToken>` +
		`<ac:AdditionalContext xmlns="http://schemas.xmlsoap.org/ws/2006/12/authorization">` +
		// SHA-256 of "unit-7", as sha256sum(1) has it.
		item("HWDevID", hardware) +
		item("OSEdition", "48") + item("DeviceName", "DESKTOP-UNIT7") + item("DeviceID", "unit-7") + item("EnrollmentType", "Device") +
		item("DeviceType", "CIMClient_Windows") + item("OSVersion", "10.0.26100.1") + item("ApplicationVersion", "10.0.26100.1") +
		item("ZeroTouchProvisioning", testZTD) + item("WhiteGlove", "true") + item("RequestVersion", "5.0") +
		`</ac:AdditionalContext></wst:RequestSecurityToken>` + tail,
}

func item(name, value string) string {
	return `<ac:ContextItem Name="` + name + `"><ac:Value>` + value + `</ac:Value></ac:ContextItem>`
}

// The bytes we send are those that real servers look for: they compare
// prefixes, the order of attributes and the absence of white space literally.
func TestLiteralRequests(t *testing.T) {
	_, discovery := start(t)
	var r recorder
	c := &mdm.Client{Device: mdm.Device{ID: "unit-7"}, HTTPClient: &http.Client{Transport: &r}}
	if _, err := enroll(t, c, discovery); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(r.methods, " "); got != "GET POST POST POST" {
		t.Fatalf("requests: %s", got)
	}
	for i, body := range r.bodies {
		got := uuid.ReplaceAllString(base.ReplaceAllString(body, "BASE"), "ID")
		got = base64Content.ReplaceAllString(got, ">BASE64<")
		if got != wanted[i] {
			t.Errorf("request %d:\n%s\nwant:\n%s", i, got, wanted[i])
		}
		if i > 0 && r.types[i] != "application/soap+xml; charset=utf-8" {
			t.Errorf("request %d: content type %q", i, r.types[i])
		}
	}
	checkContents(t, r.bodies[3])
}

// checkContents checks the token and the certificate request of an enrollment.
func checkContents(t *testing.T, body string) {
	t.Helper()
	found := base64Content.FindAllString(body, -1)
	if len(found) != 2 {
		t.Fatalf("%d tokens", len(found))
	}
	var contents [2][]byte
	for i, f := range found {
		var err error
		if contents[i], err = base64.StdEncoding.DecodeString(strings.Trim(f, "<>")); err != nil {
			t.Fatal(err)
		}
	}
	if parts := strings.Split(string(contents[0]), "."); len(parts) != 3 || !strings.HasPrefix(parts[0], "eyJ") {
		t.Errorf("the token is %.40q", contents[0])
	}
	csr, err := x509.ParseCertificateRequest(contents[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := csr.CheckSignature(); err != nil || csr.SignatureAlgorithm != x509.SHA256WithRSA ||
		csr.Subject.String() != "CN=unit-7" || len(csr.Extensions) != 0 {
		t.Errorf("request of %s by %s: %v", csr.Subject, csr.SignatureAlgorithm, err)
	}
}

var itemNames = regexp.MustCompile(`<ac:ContextItem Name="([^"]*)"`)

// Items are sent in the order of Windows, an item of the caller in the place of
// ours, and those of attestation only to servers that know them.
func TestContextItems(t *testing.T) {
	_, discovery := start(t)
	const common = "HWDevID Locale OSEdition DeviceName MAC MAC DeviceID EnrollmentType DeviceType OSVersion ApplicationVersion " +
		"NotInOobe ZeroTouchProvisioning WhiteGlove Manufacturer DeviceModel SerialNumber"
	for _, c := range []struct{ version, want string }{
		{"5.0", "AIKPub UXInitiated " + common + " RequestVersion Unheard Of"},
		{"4.0", "UXInitiated " + common + " Unheard Of"},
		{"", "UXInitiated " + common + " Unheard Of"},
	} {
		var r recorder
		client := &mdm.Client{HTTPClient: &http.Client{Transport: &r}, Device: mdm.Device{
			ID: testDevice, Locale: "de-DE", MACs: []string{"0A", "0B"}, Manufacturer: "A", Model: "B & C", Serial: "1",
		}}
		d := &mdm.Discovery{
			EnrollURL:     strings.Replace(discovery, "Discovery", "Enrollment", 1) + "?client-request-id=1",
			EnrollVersion: c.version,
		}
		_, err := client.Enroll(t.Context(), d, nil, &mdm.Request{
			Credential: newToken(t), Key: mdmKey(),
			Context: append(extra(), mdm.Item{"Unheard", "x"}, mdm.Item{"Of", "y"}, mdm.Item{"AIKPub", keyBlob()}, mdm.Item{"OSEdition", "4"},
				mdm.BoolItem(mdm.ItemNotInOOBE, false), mdm.BoolItem(mdm.ItemUXInitiated, false)),
		})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, m := range itemNames.FindAllStringSubmatch(r.bodies[0], -1) {
			names = append(names, m[1])
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("version %q: items\n%s, want\n%s", c.version, got, c.want)
		}
		for _, want := range []string{item("OSEdition", "4"), item("NotInOobe", "false"), item("DeviceModel", "B &amp; C"), item("MAC", "0A") + item("MAC", "0B")} {
			if !strings.Contains(r.bodies[0], want) {
				t.Errorf("no %s", want)
			}
		}
		if strings.Contains(r.bodies[0], "client-request-id") {
			t.Error("a:To has the query")
		}
	}
}

// keyBlob is a BCRYPT_RSAPUBLIC_BLOB.
func keyBlob() string {
	key := otherKey()
	b := append([]byte("RSA1\x00\x08\x00\x00\x03\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01"), key.N.Bytes()...)
	return base64.StdEncoding.EncodeToString(b)
}
