package mdmtest_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/whiteglove/whiteglove/mdm/mdmtest"
)

// Requests as others send them, described by their fields and not copied. Each
// names the lines that it was read from, or the recording. A placeholder is in
// braces: {guid} a random GUID, {device} the directory's identifier of the device
// without hyphens, {tenant} that of the tenant likewise, {activity} the ActivityId
// in the answer to the discovery.
type golden struct {
	name, source string
	path         string // with the query
	headers      map[string]string
	action       string // below its namespace
	token        string // "user", "device", "password" or ""
	subject      string // of the certificate request; "" for none
	items        []string
	body         string // of requests without a certificate request
	session      bool   // a message of a session, not SOAP
	strict       bool   // a server with no quirks takes it, too
}

const (
	aadInternals = "Gerenios/AADInternals@ec04e90 "
	pytune       = "secureworks/pytune@214760b "
	fleetDump    = "fleetdm/fleet@8e197bd tools/mdm/windows/poc-mdm-server/misc/mdm_ngrok_comm_dump.txt, recorded from Windows 10 19043: "

	namespace = "http://schemas.microsoft.com/windows/"
	policies  = namespace + "pki/2009/01/enrollmentpolicy/IPolicy/GetPolicies"
	issue     = namespace + "pki/2009/01/enrollment/RST/wstep"
	services  = namespace + "management/2012/01/enrollment/IDiscoveryService/Discover"
)

var (
	enrollHeaders = map[string]string{"Content-Type": "application/soap+xml; charset=utf-8", "User-Agent": "ENROLLClient"}
	python        = map[string]string{"Content-Type": "application/soap+xml; charset=utf-8"}
	syncPython    = map[string]string{"Content-Type": "application/vnd.syncml.dm+xml", "User-Agent": "MSFT Windows OMA DM Client/2.7"}
	syncPowers    = map[string]string{
		"Content-Type": "application/vnd.syncml.dm+xml; charset=utf-8", "User-Agent": "MSFT OMA DM Client/1.2.0.1",
		"Accept": "application/vnd.syncml.dm+xml, application/octet-stream", "Accept-Charset": "UTF-8",
	}
	syncWindows = map[string]string{
		"Content-Type": "application/vnd.syncml.dm+xml", "User-Agent": "MSFT OMA DM Client/1.2.0.1", "Client-Request-Id": "0", "Ms-Cv": "OTrP9+n7GU+OcSEg.0.0.0",
		"Accept": "application/vnd.syncml.dm+xml, application/vnd.syncml.dm+wbxml, application/octet-stream", "Accept-Charset": "UTF-8",
	}
)

// pytuneItems are the items that pytune sends always, with those that depend on
// its options.
func pytuneItems(machine string, more ...string) []string {
	return append([]string{
		"UXInitiated=true", "HWDevID=" + strings.Repeat("0", 64), "AzVMIAMExtensionJoin=" + machine, "BootstrapDomainJoin=true", "NotInOobe=false",
		"Locale=en-US", "TargetedUserLoggedIn=false", "EnrollmentData=null", "OSEdition=72", "DeviceName=PC", "MAC=00-00-00-00-00-00",
		"DeviceID={device}", "EnrollmentType=Device", "DeviceType=CIMClient_Windows", "OSVersion=10.0.19045.2006", "ApplicationVersion=10.0.19045.2006",
	}, more...)
}

// powerItems are those of AADInternals, for a bulk token or not.
func powerItems(bulk bool) []string {
	return []string{
		fmt.Sprintf("UXInitiated=%t", !bulk), "HWDevID={device}{tenant}", "OfflineAutoPilotEnrollmentCorrelator=", fmt.Sprintf("BulkAADJ=%t", bulk),
		"Locale=en-US", "TargetedUserLoggedIn=true", "EnrollmentData=", "OSEdition=4", "DeviceName=PC", "MAC=00-00-00-00-00-00", "DeviceID={device}",
		"EnrollmentType=Device", "DeviceType=CIMClient_Windows", "OSVersion=10.0.18363.0", "ApplicationVersion=10.0.18363.0", "NotInOobe=true", "RequestVersion=5.0",
	}
}

func discoverBody(user, application, edition string) string {
	return `<Discover xmlns="` + namespace + `management/2012/01/enrollment"><request xmlns:i="http://www.w3.org/2001/XMLSchema-instance">
<EmailAddress>` + user + `</EmailAddress><RequestVersion>4.0</RequestVersion><DeviceType>CIMClient_Windows</DeviceType>
<ApplicationVersion>` + application + `</ApplicationVersion><OSEdition>` + edition + `</OSEdition>
<AuthPolicies><AuthPolicy>OnPremise</AuthPolicy><AuthPolicy>Federated</AuthPolicy></AuthPolicies></request></Discover>`
}

func devInfoItems(source, man, mod string) string {
	text := ""
	for _, i := range [][2]string{{"DevId", source}, {"Man", man}, {"Mod", mod}, {"DmV", "1.3"}, {"Lang", "en-US"}} {
		text += `<Item><Source><LocURI>./DevInfo/` + i[0] + `</LocURI></Source><Data>` + i[1] + `</Data></Item>`
	}
	return text
}

func alert(id, code, kind, data string) string {
	if kind == "" {
		return `<Alert><CmdID>` + id + `</CmdID><Data>` + code + `</Data></Alert>`
	}
	return `<Alert><CmdID>` + id + `</CmdID><Data>` + code + `</Data><Item><Meta><Type xmlns="syncml:metinf">com.microsoft/MDM/` + kind +
		`</Type></Meta><Data xmlns="SYNCML:SYNCML1.2">` + data + `</Data></Item></Alert>`
}

// answered writes a Status of a device.
func answeredWith(id, msg, ref, cmd, code string) string {
	return `<Status><CmdID>` + id + `</CmdID><MsgRef>` + msg + `</MsgRef><CmdRef>` + ref + `</CmdRef><Cmd>` + cmd + `</Cmd><Data>` + code + `</Data></Status>`
}

func syncML(attributes, session, msg, target, source, body string) string {
	return `<?xml version="1.0" encoding="utf-8"?>` + "\n" + `<SyncML` + attributes + `><SyncHdr><VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto><SessionID>` + session + `</SessionID><MsgID>` + msg +
		`</MsgID><Target><LocURI>` + target + `</LocURI></Target><Source><LocURI>` + source + `</LocURI></Source></SyncHdr><SyncBody>` + body + `<Final></Final></SyncBody></SyncML>`
}

const (
	inNamespace = ` xmlns="SYNCML:SYNCML1.2"`
	imei        = "imei:562a7f9a-6cd8-40b0-9e7e-0dbdd8a1b2c3"
	intuneSync  = "https://r.manage.microsoft.com/devicegatewayproxy/cimhandler.ashx"
	sessionPath = "/ManagementServer/MDM.svc"
	value       = `<Item><Source><LocURI>./DevDetail/SwV</LocURI></Source><Meta><Format xmlns="syncml:metinf">chr</Format></Meta><Data>10.0.19045.2006</Data></Item>`
)

// Sequences of requests of one client each. The server has two commands: a Get of
// ./DevDetail/SwV (CmdID 1), and an Atomic (2) with a Replace (3).
var goldens = map[string][]golden{
	"AADInternals, a user's token": {
		{name: "discover", source: aadInternals + "MDM_utils.ps1:19-51", path: discoverPath, headers: enrollHeaders, action: services, body: discoverBody("user@alt.none", "10.0.18363.0", "4"), strict: true},
		{name: "enroll", source: aadInternals + "MDM_utils.ps1:89-194", path: enrollPath + "?client-request-id={activity}", headers: enrollHeaders, action: issue, token: "user", subject: "{deviceid}", items: powerItems(false), strict: true},
		{
			name: "check-in", source: aadInternals + "MDM.ps1:474-488, MDM_utils.ps1:510-530, 688-699", path: sessionPath + "?mode=Maintenance&Platform=WoA", headers: syncPowers, session: true,
			body: syncML("", "1", "1", intuneSync, "PC", alert("1", "1201", "", "")+strings.ReplaceAll(alert("2", "1224", "LoginStatus", "none"), inNamespace, "")+
				`<Replace><CmdID>3</CmdID>`+devInfoItems("PC", "Microsoft Corporation", "Virtual Machine")+`</Replace>`),
		},
		{
			name: "answers", source: aadInternals + "MDM_utils.ps1:240-340, 558-656", path: sessionPath + "?mode=Maintenance&Platform=WoA", headers: syncPowers, session: true,
			body: syncML("", "1", "2", intuneSync, "PC", answeredWith("1", "1", "0", "SyncHdr", "200")+answeredWith("2", "2", "1", "Get", "400")+
				answeredWith("3", "2", "3", "Replace", "200")+answeredWith("4", "2", "2", "Atomic", "200")),
		},
	},
	"AADInternals, a bulk token": {
		{name: "enroll", source: aadInternals + "MDM_utils.ps1:89-194, MDM.ps1:61-66", path: enrollPath, headers: enrollHeaders, action: issue, token: "user", subject: "{deviceid}", items: powerItems(true), strict: true},
	},
	"pytune, a user's token": {
		{name: "enroll", source: pytune + "device/windows.py:45-156", path: enrollPath, headers: python, action: issue, token: "user", subject: "ConfigMgrEnroll", items: pytuneItems("False")},
		{
			name: "check-in", source: pytune + "device/windows.py:158-198, device/device.py:442-459", path: sessionPath, headers: syncPython, session: true,
			body: syncML(inNamespace, "1", "1", intuneSync, imei, `<Replace><CmdID>6</CmdID>`+devInfoItems(imei, "Microsoft Corporation", "VMware7.1")+`</Replace>`),
		},
		{
			name: "answers", source: pytune + "device/device.py:464-528", path: sessionPath, headers: syncPython, session: true,
			body: syncML(inNamespace, "1", "2", intuneSync, imei, answeredWith("1", "1", "0", "SyncHdr", "200")+answeredWith("3", "1", "1", "Status", "200")+
				answeredWith("8", "1", "1", "Get", "200")+answeredWith("10", "1", "2", "Atomic", "200")+answeredWith("11", "1", "3", "Replace", "200")+
				`<Results><CmdID>9</CmdID><MsgRef>1</MsgRef><CmdRef>1</CmdRef>`+value+`</Results>`),
		},
	},
	"pytune, a device token": {
		{name: "enroll", source: pytune + "device/windows.py:45-156, device/device.py:107-109", path: enrollPath, headers: python, action: issue, token: "device", subject: "ConfigMgrEnroll", items: pytuneItems("True")},
		{
			name: "check-in with a hardware hash", source: pytune + "device/windows.py:158-198", path: sessionPath, headers: syncPython, session: true,
			body: syncML(inNamespace, "1", "1", intuneSync, imei, alert("2", "1201", "", "")+alert("3", "1224", "LoginStatus", "others")+alert("4", "1224", "BootstrapSync", "device")+
				alert("5", "1224", "OdjSync", "device")+`<Replace><CmdID>6</CmdID>`+devInfoItems(imei, "Microsoft Corporation", "VMware7.1")+`</Replace>`),
		},
	},
	"pytune, a hybrid join": {
		{name: "enroll", source: pytune + "device/windows.py:45-156", path: enrollPath, headers: python, action: issue, token: "user", subject: "ConfigMgrEnroll", items: pytuneItems("False", "DomainName=contoso.test")},
	},
	"Windows 10": {
		{name: "discover", source: fleetDump + "second request", path: discoverPath, headers: enrollHeaders, action: services, body: discoverBody("user@contoso.test", "10.0.19043.2364", "72"), strict: true},
		{
			name: "policy", source: fleetDump + "third request", path: policyPath, headers: enrollHeaders, action: policies, token: "password", strict: true,
			body: `<GetPolicies xmlns="` + namespace + `pki/2009/01/enrollmentpolicy" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><client><lastUpdate xsi:nil="true"/><preferredLanguage xsi:nil="true"/></client><requestFilter xsi:nil="true"/></GetPolicies>`,
		},
		{
			name: "enroll", source: fleetDump + "fourth request", path: enrollPath, headers: enrollHeaders, action: issue, token: "password", subject: "562A7F9A-6CD8-40B0-9E7E-0DBDD8!{device}\x00", strict: true,
			items: []string{
				"UXInitiated=true", "HWDevID=" + strings.Repeat("3B3ED6D0", 8), "Locale=en-US", "TargetedUserLoggedIn=true", "OSEdition=72", "DeviceName=PC", "MAC=02-00-00-00-00-01", "MAC=02-00-00-00-00-01",
				"DeviceID={device}", "EnrollmentType=Full", "DeviceType=CIMClient_Windows", "OSVersion=10.0.19043.2364", "ApplicationVersion=10.0.19043.2364", "NotInOobe=false",
			},
		},
		{
			name: "check-in", source: fleetDump + "fifth request", path: sessionPath + "?mode=Maintenance&Platform=WoA", headers: syncWindows, session: true, strict: true,
			body: syncML(inNamespace, "1", "1", "https://mdm.contoso.test"+sessionPath, "{device}", alert("2", "1201", "", "")+strings.ReplaceAll(alert("3", "1224", "LoginStatus", "user"), inNamespace, "")+
				`<Replace><CmdID>4</CmdID>`+devInfoItems("{device}", "VMware, Inc.", "VMware7,1")+`</Replace>`),
		},
	},
}

// A replay sends golden requests to a server.
type replay struct {
	*mdmtest.Server
	activity string
}

// newReplay returns a server for golden requests, as Intune takes them if intune
// is set.
func newReplay(intune bool) *replay {
	s := &mdmtest.Server{
		TokenKey: func() *rsa.PublicKey { return &issuerKey().PublicKey }, Users: func(upn string) bool { return upn == "user@contoso.test" },
		Passwords: func(user, password string) bool { return user == "user" && password == "secret" },
		Session: mdmtest.SessionConfig{Commands: []mdmtest.Command{
			mdmtest.Read("./DevDetail/SwV"), mdmtest.Atomic(mdmtest.Write("Replace", "./Device/Vendor/MSFT/Policy/Config/x", "chr", "1")),
		}},
	}
	if intune {
		s.Quirks, s.Session.Quirks = mdmtest.QuirksOf("intune"), mdmtest.SessionQuirksOf("intune")
	}
	return &replay{s, ""}
}

// send sends one request and returns status and answer.
func (r *replay) send(t *testing.T, g *golden) (int, string) {
	t.Helper()
	body, err := g.write(t)
	if err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("{guid}", "748132ec-a575-4329-b01b-6171a9cf8478", "{deviceid}", testDevice, "{device}", sentDevice,
		"{tenant}", strings.ReplaceAll(mdmtest.DefaultTenantID, "-", ""), "{activity}", r.activity)
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://mdm.contoso.test"+fill.Replace(g.path), strings.NewReader(fill.Replace(body)))
	for name, text := range g.headers {
		req.Header.Set(name, text)
	}
	req.TLS = new(tls.ConnectionState)
	if all := r.Enrolled(); len(all) > 0 {
		req.TLS.PeerCertificates = all[len(all)-1:]
	}
	rec := httptest.NewRecorder()
	r.ServeHTTP(rec, req)
	if _, after, ok := strings.Cut(rec.Body.String(), `<ActivityId CorrelationId="`); ok {
		r.activity, _, _ = strings.Cut(after, `"`)
	}
	return rec.Code, rec.Body.String()
}

// write writes the body of a request.
func (g *golden) write(t *testing.T) (string, error) {
	if g.session {
		return g.body, nil
	}
	security := map[string]string{"": "", "password": windowsUser}[g.token]
	if claims := map[string]jwt.MapClaims{"device": {}, "user": {"idtyp": "user", "upn": "user@contoso.test", "scp": "mdm_delegation"}}[g.token]; claims != nil {
		all := goodClaims()
		maps.Copy(all, claims)
		security = `<wsse:Security s:mustUnderstand="1"><wsse:BinarySecurityToken ValueType="urn:ietf:params:oauth:token-type:jwt" EncodingType="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd#base64binary">` +
			encoded(signed(t, jwt.SigningMethodRS256, issuerKey(), all)) + `</wsse:BinarySecurityToken></wsse:Security>`
	}
	body := g.body
	if g.subject != "" {
		subject := strings.NewReplacer("{deviceid}", testDevice, "{device}", sentDevice).Replace(g.subject)
		tag := cbasn1.Tag(cbasn1.UTF8String)
		if strings.Contains(subject, "!") {
			tag = cbasn1.PrintableString
		}
		body = `<wst:RequestSecurityToken><wst:TokenType>http://schemas.microsoft.com/5.0.0.0/ConfigurationManager/Enrollment/DeviceEnrollmentToken</wst:TokenType>
<wst:RequestType>http://docs.oasis-open.org/ws-sx/ws-trust/200512/Issue</wst:RequestType>
<wsse:BinarySecurityToken ValueType="http://schemas.microsoft.com/windows/pki/2009/01/enrollment#PKCS10" EncodingType="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd#base64binary">` +
			base64.StdEncoding.EncodeToString(windowsCSR(t, tag, subject, crypto.SHA256)) + `</wsse:BinarySecurityToken>
<ac:AdditionalContext xmlns="http://schemas.xmlsoap.org/ws/2006/12/authorization">`
		for _, i := range g.items {
			name, text, _ := strings.Cut(i, "=")
			body += "\n" + `<ac:ContextItem Name="` + name + `">` + "\n" + `<ac:Value>` + text + `</ac:Value>` + "\n" + `</ac:ContextItem>`
		}
		body += "\n</ac:AdditionalContext></wst:RequestSecurityToken>"
	}
	return `
    <s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing" xmlns:u="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd" xmlns:wsse="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd" xmlns:wst="http://docs.oasis-open.org/ws-sx/ws-trust/200512" xmlns:ac="http://schemas.xmlsoap.org/ws/2006/12/authorization">
<s:Header><a:Action s:mustUnderstand="1">` + g.action + `</a:Action><a:MessageID>urn:uuid:{guid}</a:MessageID>
<a:ReplyTo>
  <a:Address>http://www.w3.org/2005/08/addressing/anonymous</a:Address>
</a:ReplyTo><a:To s:mustUnderstand="1">https://mdm.contoso.test:443` + g.path + `</a:To>` + security + `</s:Header><s:Body>` + body + `</s:Body></s:Envelope>
`, nil
}

// Whatever open clients and Windows send, a server like Intune takes, and what keeps
// to the specification a strict one takes, too.
func TestGolden(t *testing.T) {
	for client, requests := range goldens {
		t.Run(client, func(t *testing.T) {
			for _, intune := range []bool{true, false} {
				r := newReplay(intune)
				for _, g := range requests {
					if g.source == "" || g.name == "" {
						t.Fatalf("%+v has no source", g)
					}
					code, answer := r.send(t, &g)
					if want := intune || g.strict; (code == http.StatusOK) != want {
						t.Errorf("%s (%s), like Intune %v: %d %.300s; %q", g.name, g.source, intune, code, answer, r.Refusals())
					}
					if code != http.StatusOK && !intune {
						break // what follows builds on it
					}
				}
			}
		})
	}
}

// What the clients answer reaches the test, by the device's identifier.
func TestGoldenResponses(t *testing.T) {
	for client, want := range map[string]string{"pytune, a user's token": "10.0.19045.2006", "AADInternals, a user's token": ""} {
		r := newReplay(true)
		for _, g := range goldens[client] {
			r.send(t, &g)
		}
		done := r.Responses(testDevice)
		if len(done) != 3 || done[0].Verb != "Get" || done[2].Status != 200 || (done[0].Result == nil) != (want == "") || want != "" && done[0].Result.Data != want {
			t.Errorf("%s: %+v, %q", client, done, r.Refusals())
		}
		if n, _ := r.Sessions(testDevice); n != 1 {
			t.Errorf("%s: %d sessions", client, n)
		}
	}
}

// A server like Intune still wants a certificate that it has issued, and answers
// to what it asked.
func TestLooseFormRefused(t *testing.T) {
	requests := goldens["pytune, a user's token"]
	r := newReplay(true)
	if code, _ := r.send(t, &requests[1]); code != http.StatusForbidden {
		t.Errorf("no certificate: %d", code)
	}
	r.send(t, &requests[0])
	if code, answer := r.send(t, &requests[1]); code != http.StatusOK {
		t.Fatalf("%d: %s, %q", code, answer, r.Refusals())
	}
	silent := requests[2]
	silent.body = strings.Replace(silent.body, "<Cmd>Atomic</Cmd>", "<Cmd>Copy</Cmd>", 1)
	if code, _ := r.send(t, &silent); code == http.StatusOK {
		t.Error("an Atomic without an answer")
	}
}
