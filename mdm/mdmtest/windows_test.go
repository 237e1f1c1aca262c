package mdmtest_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"encoding/asn1"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/whiteglove/whiteglove/internal/syncml"
	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
)

// windowsID is a DeviceID as Windows makes them.
const windowsID = "0D9E0F0A6D354B7E8C113A0F5B1C2D3E"

// windowsCSR returns a certificate request in the form that Windows writes: a
// common name of the given kind of string, an extension with raw bytes, and a
// signature of SHA-1 (sha1WithRSA of OIW) or SHA-256.
func windowsCSR(t testing.TB, tag cbasn1.Tag, name string, hash crypto.Hash) []byte {
	t.Helper()
	oid := func(b *cryptobyte.Builder, arcs ...int) { b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier(arcs)) }
	key := deviceKey()
	var info cryptobyte.Builder
	info.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					oid(b, 2, 5, 4, 3)
					b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(name)) })
				})
			})
		})
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				oid(b, 1, 2, 840, 113549, 1, 1, 1)
				b.AddASN1NULL()
			})
			var pub cryptobyte.Builder
			pub.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1BigInt(key.N)
				b.AddASN1Int64(int64(key.E))
			})
			b.AddASN1BitString(pub.BytesOrPanic())
		})
		b.AddASN1(cbasn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				oid(b, 1, 2, 840, 113549, 1, 9, 14)
				b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
							oid(b, 1, 3, 6, 1, 4, 1, 311, 66, 1, 0)
							b.AddASN1OctetString([]byte(windowsID + "\x00"))
						})
					})
				})
			})
		})
	})
	tbs := info.BytesOrPanic()
	algorithm, digest := []int{1, 3, 14, 3, 2, 29}, sha1.Sum(tbs)
	sum := digest[:]
	if hash == crypto.SHA256 {
		digest := sha256.Sum256(tbs)
		algorithm, sum = []int{1, 2, 840, 113549, 1, 1, 11}, digest[:]
	}
	signature, err := rsa.SignPKCS1v15(nil, key, hash, sum)
	if err != nil {
		t.Fatal(err)
	}
	var out cryptobyte.Builder
	out.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { oid(b, algorithm...) })
		b.AddASN1BitString(signature)
	})
	return out.BytesOrPanic()
}

// A windows device sends what was recorded from Windows 10 and 11, to a server
// whose Host header has no port.
type windows struct {
	*mdmtest.Server
	t    *testing.T
	base string // in a:To
}

// post sends a message and returns status and answer.
func (w *windows) post(path, media, body string) (int, string) {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), http.MethodPost, "https://enterpriseenrollment.contoso.test"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", media)
	r.TLS = new(tls.ConnectionState)
	if all := w.Enrolled(); len(all) > 0 {
		r.TLS.PeerCertificates = all[len(all)-1:]
	}
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	return rec.Code, rec.Body.String()
}

// soap posts an envelope, in the white space of which Windows is free.
func (w *windows) soap(path, action, security, body string) (int, string) {
	w.t.Helper()
	return w.post(path, "application/soap+xml; charset=utf-8", `<s:Envelope xmlns:a="http://www.w3.org/2005/08/addressing" xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:u="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd" xmlns:wsse="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd" xmlns:wst="http://docs.oasis-open.org/ws-sx/ws-trust/200512" xmlns:ac="http://schemas.xmlsoap.org/ws/2006/12/authorization">
	<s:Header><a:Action s:mustUnderstand="1">`+action+`</a:Action>
	<a:MessageID>urn:uuid:72048B64-0F19-448F-8C2E-B4C661860AA0</a:MessageID>
	<a:ReplyTo> <a:Address>http://www.w3.org/2005/08/addressing/anonymous</a:Address> </a:ReplyTo>
	<a:To s:mustUnderstand="1">`+w.base+path+`</a:To>`+security+`</s:Header><s:Body>`+body+`</s:Body></s:Envelope>`)
}

const windowsUser = `<wsse:Security s:mustUnderstand="1"><wsse:UsernameToken u:Id="uuid-cc1ccc1f-2fba-4bcf-b063-ffc0cac77917-4">` +
	`<wsse:Username>user</wsse:Username><wsse:Password wsse:Type="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText">secret</wsse:Password>` +
	`</wsse:UsernameToken></wsse:Security>`

// enroll enrolls with a certificate request and returns status and answer.
func (w *windows) enroll(csr []byte) (int, string) {
	w.t.Helper()
	items := ""
	for _, i := range []mdm.Item{
		{Name: "UXInitiated", Value: "true"},
		{Name: "HWDevID", Value: strings.Repeat("3B3ED6D0", 8)},
		{Name: "Locale", Value: "en-US"},
		{Name: "TargetedUserLoggedIn", Value: "true"},
		{Name: "OSEdition", Value: "72"},
		{Name: "DeviceName", Value: "DESKTOP-7"},
		{Name: "MAC", Value: "02-00-00-00-00-01"},
		{Name: "MAC", Value: "02-00-00-00-00-01"},
		{Name: "DeviceID", Value: windowsID},
		{Name: "EnrollmentType", Value: "Full"},
		{Name: "DeviceType", Value: "CIMClient_Windows"},
		{Name: "OSVersion", Value: "10.0.19043.2364"},
		{Name: "ApplicationVersion", Value: "10.0.19043.2364"},
		{Name: "NotInOobe", Value: "false"},
	} {
		items += item(i.Name, i.Value) + "\n"
	}
	return w.soap(enrollPath, "http://schemas.microsoft.com/windows/pki/2009/01/enrollment/RST/wstep", windowsUser,
		`<wst:RequestSecurityToken><wst:TokenType>http://schemas.microsoft.com/5.0.0.0/ConfigurationManager/Enrollment/DeviceEnrollmentToken</wst:TokenType>`+
			`<wst:RequestType>http://docs.oasis-open.org/ws-sx/ws-trust/200512/Issue</wst:RequestType>`+
			`<wsse:BinarySecurityToken ValueType="http://schemas.microsoft.com/windows/pki/2009/01/enrollment#PKCS10" EncodingType="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd#base64binary">`+
			base64.StdEncoding.EncodeToString(csr)+`</wsse:BinarySecurityToken>`+
			`<ac:AdditionalContext xmlns="http://schemas.xmlsoap.org/ws/2006/12/authorization">`+items+`</ac:AdditionalContext></wst:RequestSecurityToken>`)
}

// sync posts a message of a session and returns status and answer.
func (w *windows) sync(id, source, body string) (int, string) {
	w.t.Helper()
	return w.post("/ManagementServer/MDM.svc?mode=Maintenance&Platform=WoA", "application/vnd.syncml.dm+xml",
		`<SyncML xmlns="SYNCML:SYNCML1.2"><SyncHdr><VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto><SessionID>D</SessionID><MsgID>`+id+`</MsgID>`+
			`<Target><LocURI>`+w.base+`/ManagementServer/MDM.svc</LocURI></Target><Source><LocURI>`+windowsID+`</LocURI>`+source+`</SyncHdr>`+
			`<SyncBody xmlns:msft="http://schemas.microsoft.com/MobileDevice/MDM">`+body+`</SyncBody></SyncML>`)
}

var windowsBegin = strings.NewReplacer(testDevice, windowsID, "</Replace>", `<Item><Source><LocURI>./Vendor/MSFT/DMClient/HWDevID</LocURI></Source><Data>def</Data></Item></Replace>`).Replace(begin)

// newWindows returns a device at a server that has its password.
func newWindows(t *testing.T) *windows {
	return &windows{&mdmtest.Server{Passwords: func(user, password string) bool { return user == "user" && password == "secret" }}, t, "https://EnterpriseEnrollment.contoso.test:443"}
}

// Windows enrolls, is managed and leaves, in the forms recorded from it.
func TestWindows(t *testing.T) {
	w := newWindows(t)
	w.Session.Commands = []mdmtest.Command{mdmtest.Read("./DevDetail/SwV"), mdmtest.Read("./No"), mdmtest.Read("./DevDetail/LrgObj", "./X"), mdmtest.Write("Replace", "./Y", "", "1")}
	if code, answer := w.soap(discoverPath, "http://schemas.microsoft.com/windows/management/2012/01/enrollment/IDiscoveryService/Discover", "",
		`<Discover xmlns="http://schemas.microsoft.com/windows/management/2012/01/enrollment"><request xmlns:i="http://www.w3.org/2001/XMLSchema-instance">`+
			`<EmailAddress>user@contoso.test</EmailAddress><RequestVersion>4.0</RequestVersion><DeviceType>CIMClient_Windows</DeviceType>`+
			`<ApplicationVersion>10.0.19043.2364</ApplicationVersion><OSEdition>72</OSEdition>`+
			`<AuthPolicies><AuthPolicy>OnPremise</AuthPolicy><AuthPolicy>Federated</AuthPolicy></AuthPolicies></request></Discover>`); code != 200 {
		t.Fatalf("discovery: %s, %q", answer, w.Refusals())
	}
	if code, answer := w.soap(policyPath, "http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy/IPolicy/GetPolicies", windowsUser,
		`<GetPolicies xmlns="http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">`+
			`<client><lastUpdate xsi:nil="true"/><preferredLanguage xsi:nil="true"/></client><requestFilter xsi:nil="true"/></GetPolicies>`); code != 200 {
		t.Fatalf("policy: %s, %q", answer, w.Refusals())
	}
	if code, answer := w.enroll(windowsCSR(t, cbasn1.PrintableString, "562A7F9A-6CD8-40B0-9E7E-0DBDD8!"+windowsID+"\x00", crypto.SHA1)); code != 200 {
		t.Fatalf("enrollment: %s, %q", answer, w.Refusals())
	}
	status := func(id, ref, cmd, code string) string {
		return `<Status><CmdID>` + id + `</CmdID><MsgRef>1</MsgRef><CmdRef>` + ref + `</CmdRef><Cmd>` + cmd + `</Cmd>` + code + `</Status>`
	}
	const ok, no = `<Data>200</Data>`, `<Data>404</Data>`
	for i, body := range []string{
		windowsBegin + `<Final/>`,
		// The numbers of the server's commands begin at 1. Final is missing.
		status("1", "0", "SyncHdr", ok) +
			status("2", "1", "Get", ok) + `<Results><CmdID>3</CmdID><MsgRef>1</MsgRef><CmdRef>1</CmdRef><Item><Source><LocURI>./DevDetail/SwV</LocURI></Source><Data>10.0</Data></Item></Results>` +
			status("4", "2", "Get", no) +
			status("5", "3", "Get", `<TargetRef>./DevDetail/LrgObj</TargetRef>`+ok) + status("6", "3", "Get", `<TargetRef>./X</TargetRef>`+no) +
			`<Results><CmdID>7</CmdID><MsgRef>1</MsgRef><CmdRef>3</CmdRef><Item><Source><LocURI>./DevDetail/LrgObj</LocURI></Source><Meta><Format xmlns="syncml:metinf">xml</Format></Meta><Data><a b="&lt;"/></Data></Item></Results>` +
			status("8", "4", "Replace", ok),
	} {
		if code, answer := w.sync(string(rune('1'+i)), `</Source>`, body); code != 200 || !strings.Contains(answer, "<MsgID>"+string(rune('1'+i))) {
			t.Fatalf("message %d: %d %s, %q", i+1, code, answer, w.Refusals())
		}
	}
	done := w.Responses(windowsID)
	if n, gone := w.Sessions(windowsID); n != 1 || gone || len(done) != 5 || done[0].Result.Data != "10.0" || done[2].Result.Data != `<a b="&lt;"/>` || done[4].Status != 200 {
		t.Errorf("%d sessions, gone %v, %+v", n, gone, done)
	}
	leave := `<Alert><CmdID>5</CmdID><Data>1226</Data><Item><Meta><Type xmlns="syncml:metinf">com.microsoft:mdm.unenrollment.userrequest</Type>` +
		`<Format xmlns="syncml:metinf">int</Format><Mark xmlns="syncml:metinf">critical</Mark></Meta><Data>1</Data></Item></Alert>`
	if code, answer := w.sync("1", `</Source>`, windowsBegin+leave+`<Final/>`); code != 200 {
		t.Errorf("%s, %q", answer, w.Refusals())
	}
	if _, gone := w.Sessions(windowsID); !gone {
		t.Error("the device is still managed")
	}
}

// After a challenge, Windows repeats its credentials in every message.
func TestWindowsDigest(t *testing.T) {
	w := newWindows(t)
	w.base = "https://enterpriseenrollment.contoso.test"
	w.Session = mdmtest.SessionConfig{DigestSecret: "secret", Commands: []mdmtest.Command{mdmtest.Write("Replace", "./Y", "", "1")}}
	if code, answer := w.enroll(windowsCSR(t, cbasn1.UTF8String, "562A7F9A-6CD8-40B0-9E7E-0DBDD8000000!"+windowsID, crypto.SHA256)); code != 200 {
		t.Fatalf("%s, %q", answer, w.Refusals())
	}
	_, answer := w.sync("1", `</Source>`, windowsBegin+`<Final/>`)
	found := regexp.MustCompile(`<NextNonce[^>]*>([^<]*)<`).FindStringSubmatch(answer)
	if found == nil {
		t.Fatalf("no challenge: %s, %q", answer, w.Refusals())
	}
	nonce, err := base64.StdEncoding.DecodeString(found[1])
	if err != nil {
		t.Fatal(err)
	}
	name := w.Enrolled()[0].Subject.CommonName
	cred := `<LocName>` + name + `</LocName></Source><Cred><Meta><Format xmlns="syncml:metinf">b64</Format><Type xmlns="syncml:metinf">syncml:auth-md5</Type></Meta>` +
		`<Data>` + syncml.Digest(name, "secret", nonce) + `</Data></Cred>`
	if _, answer = w.sync("2", cred, status("1", "0", "SyncHdr", "200")+windowsBegin[:0]+strings.ReplaceAll(windowsBegin, "<CmdID>", "<CmdID>1")+`<Final/>`); !strings.Contains(answer, "<Data>212</Data>") {
		t.Fatalf("not accepted: %s, %q", answer, w.Refusals())
	}
	answers := strings.ReplaceAll(status("1", "0", "SyncHdr", "200")+status("2", "1", "Replace", "200"), "<MsgRef>1", "<MsgRef>2")
	if code, answer := w.sync("3", cred, answers); code != 200 {
		t.Errorf("%s, %q", answer, w.Refusals())
	}
}

// Whatever names a request may have, its key must have signed it.
func TestWindowsRequests(t *testing.T) {
	broken := windowsCSR(t, cbasn1.PrintableString, "A!"+windowsID+"\x00", crypto.SHA1)
	broken[len(broken)-1] ^= 1
	for _, c := range []struct {
		name   string
		csr    []byte
		quirks mdmtest.Quirks
		want   string // of the refusal; "" if there is none
	}{
		{"DeviceID", windowsCSR(t, cbasn1.UTF8String, windowsID, crypto.SHA256), mdmtest.Quirks{}, ""},
		{"DeviceID with a NUL", windowsCSR(t, cbasn1.PrintableString, windowsID+"\x00", crypto.SHA256), mdmtest.Quirks{}, ""},
		{"GUID and DeviceID", windowsCSR(t, cbasn1.UTF8String, "562A7F9A!"+windowsID, crypto.SHA256), mdmtest.Quirks{}, ""},
		{"DeviceID first", windowsCSR(t, cbasn1.UTF8String, windowsID+"!562A7F9A", crypto.SHA256), mdmtest.Quirks{}, "not CN="},
		{"two NULs", windowsCSR(t, cbasn1.PrintableString, windowsID+"\x00\x00", crypto.SHA256), mdmtest.Quirks{}, "not CN="},
		{"another device", windowsCSR(t, cbasn1.PrintableString, "562A7F9A!x", crypto.SHA1), mdmtest.Quirks{}, "not CN="},
		{"another name", windowsCSR(t, cbasn1.UTF8String, "ConfigMgrEnroll", crypto.SHA256), mdmtest.Quirks{AnySubject: true}, ""},
		{"no signature", broken, mdmtest.Quirks{AnySubject: true}, "verification error"},
		{"control characters", windowsCSR(t, cbasn1.PrintableString, "\xff", crypto.SHA1), mdmtest.Quirks{AnySubject: true}, "string"},
	} {
		w := newWindows(t)
		w.Quirks = c.quirks
		code, answer := w.enroll(c.csr)
		if (code == 200) != (c.want == "") || !strings.Contains(strings.Join(w.Refusals(), ""), c.want) {
			t.Errorf("%s: %d %s, %q", c.name, code, answer, w.Refusals())
		}
	}
}

// No certificate request and no message of a session stops the server.
func FuzzWindows(f *testing.F) {
	f.Add(windowsCSR(f, cbasn1.PrintableString, "A!"+windowsID+"\x00", crypto.SHA1), windowsBegin+"<Final/>")
	f.Add(windowsCSR(f, cbasn1.UTF8String, windowsID, crypto.SHA256), status("1", "0", "SyncHdr", "200")+status("2", "1", "Get", "200")+
		`<Results><CmdID>3</CmdID><MsgRef>1</MsgRef><CmdRef>1</CmdRef><Item><Source><LocURI>./X</LocURI></Source><Data><a/></Data></Item></Results>`)
	f.Add([]byte("\x30\x06\x30\x04\x02\x00\x30\x00"), `<Results><CmdID>3</CmdID><MsgRef>1</MsgRef><CmdRef>0</CmdRef></Results>`)
	w := newWindows(nil)
	w.Session.Commands = []mdmtest.Command{mdmtest.Read("./X")}
	f.Fuzz(func(t *testing.T, csr []byte, body string) {
		w.t = t
		w.enroll(csr)
		w.enroll(windowsCSR(t, cbasn1.UTF8String, windowsID, crypto.SHA256))
		w.sync("1", `</Source>`, windowsBegin+`<Final/>`)
		w.sync("2", `</Source>`, body)
	})
}
