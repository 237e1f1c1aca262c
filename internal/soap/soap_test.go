package soap_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/internal/soap"
)

const (
	open12 = `<s:Envelope xmlns:s="` + soap.Namespace12 + `"><s:Body>`
	open11 = `<s:Envelope xmlns:s="` + soap.Namespace11 + `"><s:Body>`
	end    = `</s:Body></s:Envelope>`
)

func TestParse(t *testing.T) {
	for _, open := range []string{open12, open11} {
		e, err := soap.Parse([]byte(open + "<Answer>1</Answer>" + end))
		if err != nil || e.Fault != nil || e.Content.Name != "Answer" || e.Content.Value() != "1" {
			t.Errorf("%s: %+v, %v", open, e, err)
		}
	}
	for body, want := range map[string]soap.Fault{
		`<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>s:Authorization</s:Value></s:Subcode></s:Code><s:Reason><s:Text> no </s:Text></s:Reason>` +
			`<s:Detail><DeviceEnrollmentServiceError><ErrorType>UserLicense</ErrorType><TraceId>t</TraceId></DeviceEnrollmentServiceError>` +
			`<CertificateEnrollmentWSDetail><ErrorCode>-2147024891</ErrorCode></CertificateEnrollmentWSDetail></s:Detail></s:Fault>`: {
			Code: "s:Receiver", Subcode: "s:Authorization", Reason: "no", Type: "UserLicense", Number: 0x80070005, TraceID: "t",
		},
		`<s:Fault><faultcode>s:Client.Authentication</faultcode><faultstring>no</faultstring></s:Fault>`: {
			Code: "s:Client.Authentication", Subcode: "s:Authentication", Reason: "no",
		},
		`<s:Fault><s:Code/><s:Reason><s:Text>in words</s:Text></s:Reason><s:Detail><DeviceEnrollmentServiceError><Message>in detail</Message></DeviceEnrollmentServiceError></s:Detail></s:Fault>`: {
			Reason: "in words",
		},
		`<s:Fault><s:Code/><s:Detail><DeviceEnrollmentServiceError><Message>in detail</Message></DeviceEnrollmentServiceError></s:Detail></s:Fault>`: {Reason: "in detail"},
		`<s:Fault><faultcode>Server</faultcode></s:Fault>`:                {Code: "Server"},
		`<s:Fault><faultcode>Client.Authentication</faultcode></s:Fault>`: {Code: "Client.Authentication", Subcode: "Authentication"},
		`<s:Fault><faultcode>x:Unheard</faultcode></s:Fault>`:             {Code: "x:Unheard", Subcode: "x:Unheard"},
		`<s:fault><s:code><s:value>a</s:value></s:code></s:fault>`:        {Code: "a"},
	} {
		e, err := soap.Parse([]byte(open12 + body + end))
		if err != nil || e.Fault == nil || !reflect.DeepEqual(*e.Fault, want) {
			t.Errorf("%s: %+v, %v", body, e, err)
		}
	}
}

// Numbers in faults have 32 bits, with or without sign.
func TestNumbers(t *testing.T) {
	for text, want := range map[string]uint32{
		"0": 0, "-1": 0xFFFFFFFF, "4294967295": 0xFFFFFFFF, "-2147483648": 0x80000000, "2149056517": 0x80180005,
		"4294967296": 0, "-2147483649": 0, "": 0, "0x80180005": 0, "many": 0,
	} {
		e, err := soap.Parse([]byte(open12 + `<s:Fault><s:Detail><CertificateEnrollmentWSDetail><ErrorCode>` + text + `</ErrorCode></CertificateEnrollmentWSDetail></s:Detail></s:Fault>` + end))
		if err != nil || e.Fault == nil || e.Fault.Number != want {
			t.Errorf("%q: %+v, %v", text, e, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":           "no XML element",
		"<html/>":    "not a SOAP envelope",
		open12 + end: "one element",
		`<s:Envelope xmlns:s="` + soap.Namespace12 + `"/>`:                            "one element",
		`<s:Other xmlns:s="` + soap.Namespace12 + `"><s:Body><a/></s:Body></s:Other>`: "not a SOAP envelope",
		`<Other><Body><Fault/></Body></Other>`:                                        "not a SOAP envelope",

		open12 + "<a/><a/>" + end:                                  "one element",
		`<Envelope><Body><Answer/></Body></Envelope>`:              "not a SOAP envelope",
		`<Envelope xmlns="urn:x"><Body><Fault/></Body></Envelope>`: "not a SOAP envelope",
		`<s:Envelope xmlns:s="` + soap.Namespace12 + `"><s:Body><a/></s:Body><s:Body><b/></s:Body></s:Envelope>`: "twice",
		open12 + strings.Repeat("<a/>", soap.MaxElements) + end:                                                  "20000 elements",
	} {
		if e, err := soap.Parse([]byte(text)); e != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %+v, %v, want %q", text, e, err, want)
		}
	}
}

// Whatever is read has one element in its body, and a fault only if that is
// one.
func FuzzParse(f *testing.F) {
	f.Add([]byte(open12 + "<Answer/>" + end))
	f.Add([]byte(open11 + "<s:Fault><faultcode>s:Client.Authentication</faultcode></s:Fault>" + end))
	f.Add([]byte(`<Envelope><Body><Fault><Code><Value>1</Value></Code></Fault></Body></Envelope>`))
	f.Add([]byte(`<Envelope><Body><Fault><Detail><DeviceEnrollmentServiceError><Message>m</Message></DeviceEnrollmentServiceError></Detail></Fault></Body></Envelope>`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := soap.Parse(data)
		if (e == nil) == (err == nil) {
			t.Fatalf("%+v, %v", e, err)
		}
		if e != nil && (e.Content == nil || (e.Fault != nil) != e.Content.Is("Fault")) {
			t.Errorf("read %+v", e)
		}
	})
}
