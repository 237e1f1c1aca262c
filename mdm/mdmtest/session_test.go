package mdmtest_test

import (
	"crypto/rsa"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
	"github.com/whiteglove/whiteglove/mdm/omadm"
)

// A conversation is an enrolled device that writes its messages by hand.
type conversation struct {
	server *mdmtest.Server
	client *http.Client
	url    string // of sessions
	base   string
}

// converse enrolls a device and gives it a TLS client.
func converse(t *testing.T, commands ...mdmtest.Command) *conversation {
	t.Helper()
	s := &mdmtest.Server{
		TokenKey: func() *rsa.PublicKey { return &issuerKey().PublicKey }, Session: mdmtest.SessionConfig{Commands: commands},
	}
	h := httptest.NewUnstartedServer(s)
	h.TLS = s.TLSConfig(nil)
	h.StartTLS()
	t.Cleanup(h.Close)

	c := &mdm.Client{Device: mdm.Device{ID: testDevice}, HTTPClient: h.Client()}
	d, err := c.Discover(t.Context(), h.URL+mdmtest.DiscoveryPath, "")
	if err != nil {
		t.Fatal(err)
	}
	e, err := c.Enroll(t.Context(), d, nil, &mdm.Request{Credential: mdm.Token(signed(t, jwt.SigningMethodRS256, issuerKey(), goodClaims())), Key: deviceKey(), Context: []mdm.Item{
		{Name: mdm.ItemZeroTouch, Value: testZTD}, {Name: mdm.ItemWhiteGlove, Value: "true"},
	}})
	if err != nil {
		t.Fatal(err, s.Refusals())
	}
	cert := e.Certificate
	config, err := (&omadm.Session{Certificate: cert, Issuers: e.Issuers, Key: deviceKey()}).TLSConfig(h.Client().Transport.(*http.Transport).TLSClientConfig)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: config}
	t.Cleanup(transport.CloseIdleConnections)
	return &conversation{s, &http.Client{Transport: transport}, e.Server + "?mode=Maintenance", h.URL}
}

// say posts a message and returns status and answer.
func (c *conversation) say(t *testing.T, message string) (int, string) {
	t.Helper()
	res, err := c.client.Post(c.url, "application/vnd.syncml.dm+xml", strings.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(answer)
}

// message writes a device's message.
func (c *conversation) message(id, body string) string {
	return `<SyncML xmlns="SYNCML:SYNCML1.2"><SyncHdr><VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto><SessionID>5</SessionID><MsgID>` + id +
		`</MsgID><Target><LocURI>` + c.base + `/ManagementServer/MDM.svc</LocURI></Target><Source><LocURI>` + testDevice +
		`</LocURI></Source></SyncHdr><SyncBody>` + body + `<Final/></SyncBody></SyncML>`
}

const begin = `<Alert><CmdID>2</CmdID><Data>1201</Data></Alert>` +
	`<Alert><CmdID>3</CmdID><Data>1224</Data><Item><Meta><Type xmlns="syncml:metinf">com.microsoft/MDM/LoginStatus</Type></Meta><Data>none</Data></Item></Alert>` +
	`<Replace><CmdID>4</CmdID>` +
	`<Item><Source><LocURI>./DevInfo/DevId</LocURI></Source><Data>` + testDevice + `</Data></Item>` +
	`<Item><Source><LocURI>./DevInfo/Man</LocURI></Source><Data>M</Data></Item>` +
	`<Item><Source><LocURI>./DevInfo/Mod</LocURI></Source><Data>M</Data></Item>` +
	`<Item><Source><LocURI>./DevInfo/DmV</LocURI></Source><Data>1.3</Data></Item>` +
	`<Item><Source><LocURI>./DevInfo/Lang</LocURI></Source><Data>en</Data></Item></Replace>`

// status writes a Status.
func status(id, ref, cmd, code string) string {
	return `<Status><CmdID>` + id + `</CmdID><MsgRef>1</MsgRef><CmdRef>` + ref + `</CmdRef><Cmd>` + cmd + `</Cmd><Data>` + code + `</Data></Status>`
}

const results = `<Results><CmdID>9</CmdID><MsgRef>1</MsgRef><CmdRef>b</CmdRef><Item><Source><LocURI>./X</LocURI></Source><Data>v</Data></Item></Results>`

// The server takes a session by the book, and no other.
func TestSessionByTheBook(t *testing.T) {
	c := converse(t)
	replace := strings.NewReplacer
	good := status("1", "0", "SyncHdr", "200") + status("2", "a", "Add", "200") + status("3", "b", "Get", "200") + results
	for _, test := range []struct{ name, first, second, want string }{
		{"by the book", begin, good, ""},
		{"another namespace", strings.Replace(begin, "<Alert>", `<Alert xmlns="SYNCML:SYNCML1.1">`, 1), "", "SYNCML1.1"},
		{"no alert", strings.Replace(begin, "1201", "1200", 1), "", "1200"},
		{"two alerts", begin + `<Alert><CmdID>9</CmdID><Data>1201</Data></Alert>`, "", "2 alerts 1201"},
		{"no login", strings.Replace(begin, "none", "nobody", 1), "", "LoginStatus"},
		{"no DevInfo", begin[:strings.Index(begin, "<Replace>")], "", "DevInfo"},
		{"half a DevInfo", strings.Replace(begin, "DevInfo/Lang", "DevInfo/Other", 1), "", "Lang"},
		{"another's DevInfo", strings.Replace(begin, "<Data>"+testDevice, "<Data>x", 1), "", "DevInfo of"},
		{"same numbers", strings.Replace(begin, "<CmdID>3", "<CmdID>2", 1), "", `CmdID "2"`},
		{"no number", strings.Replace(begin, "<CmdID>3</CmdID>", "", 1), "", `CmdID ""`},
		{"a Get by the device", begin + `<Get><CmdID>7</CmdID></Get>`, "", "<Get>"},
		{"only the header", begin, status("1", "0", "SyncHdr", "200"), "no more"},
		{"no header", begin, status("2", "a", "Add", "200"), "not for the header"},
		{"wrong CmdRef", begin, replace("<CmdRef>a", "<CmdRef>z").Replace(good), `CmdRef ["z"]`},
		{"wrong Cmd", begin, replace("<Cmd>Add", "<Cmd>Replace").Replace(good), `"Replace"`},
		{"wrong MsgRef", begin, replace("<MsgRef>1", "<MsgRef>7").Replace(good), "MsgRef"},
		{"wrong order", begin, status("1", "0", "SyncHdr", "200") + status("3", "b", "Get", "200") + status("2", "a", "Add", "200") + results, "CmdRef"},
		{"one missing", begin, replace(status("3", "b", "Get", "200"), "", results, "").Replace(good), "no Status for the Get"},
		{"one too many", begin, replace("<Results>", status("8", "c", "Add", "200")+"<Results>").Replace(good), "no command left"},
		{"no status", begin, replace("<Data>200</Data></Status><Status><CmdID>3", "<Data>OK</Data></Status><Status><CmdID>3").Replace(good), "status"},
		{"no results", begin, replace(results, "").Replace(good), "no Results"},
		{"results for nothing", begin, replace("./X", "./Y").Replace(good), "no Get"},
		{"results first", begin, status("1", "0", "SyncHdr", "200") + results + status("2", "a", "Add", "200") + status("3", "b", "Get", "200"), "where a Status"},
		{"results of a failed Get", begin, replace(status("3", "b", "Get", "200"), status("3", "b", "Get", "404")).Replace(good), "no Get with status 200"},
	} {
		c.server.Session = mdmtest.SessionConfig{Commands: []mdmtest.Command{
			{Verb: "Add", ID: "a", Items: []mdmtest.Item{{Target: "./X", Data: "v"}}}, {Verb: "Get", ID: "b", Items: []mdmtest.Item{{Target: "./X"}}},
		}}
		before := len(c.server.Refusals())
		code, _ := c.say(t, c.message("1", test.first))
		if code == 200 && test.second != "" {
			code, _ = c.say(t, c.message("2", test.second))
		}
		refusals := c.server.Refusals()[before:]
		switch {
		case test.want == "" && (code != 200 || len(refusals) > 0):
			t.Errorf("%s: %d, %q", test.name, code, refusals)
		case test.want != "" && (code != 400 || len(refusals) != 1 || !strings.Contains(refusals[0], test.want)):
			t.Errorf("%s: %d, %q, want %q", test.name, code, refusals, test.want)
		}
	}
}

// What is wrong around a message.
func TestSessionFrame(t *testing.T) {
	c := converse(t)
	good := c.message("1", begin)
	for _, test := range []struct{ name, old, new, want string }{
		{"namespace", "SYNCML1.2", "SYNCML1.1", "expected element"},
		{"version", "DM/1.2", "DM/1.1", "versions"},
		{"session", "<SessionID>5<", "<SessionID>12345<", "SessionID"},
		{"message", "<MsgID>1<", "<MsgID>2<", "MsgID"},
		{"target", "/MDM.svc", "/Other.svc", "target"},
		{"source", "<LocURI>" + testDevice, "<LocURI>other", "no device has the source"},
		{"final", "<Final/>", "", "no Final"},
		{"meta in the header", "</SyncHdr>", "<Meta/></SyncHdr>", "<Meta> in the header"},
		{"document type", "<SyncML", "<!DOCTYPE x><SyncML", "document type"},
	} {
		before := len(c.server.Refusals())
		code, _ := c.say(t, strings.Replace(good, test.old, test.new, 1))
		refusals := c.server.Refusals()[before:]
		if code == 200 || len(refusals) != 1 || !strings.Contains(refusals[0], test.want) {
			t.Errorf("%s: %d, %q, want %q", test.name, code, refusals, test.want)
		}
	}
	c.url = strings.Replace(c.url, "?mode=Maintenance", "", 1)
	if code, answer := c.say(t, good); code != 400 || !strings.Contains(answer, "mode") {
		t.Errorf("no mode: %d %s", code, answer)
	}
	if res, err := c.client.Get(c.url); err != nil || res.StatusCode != 405 {
		t.Errorf("GET: %v, %v", res, err)
	}
	if res, err := c.client.Post(c.url, "text/xml", strings.NewReader(good)); err != nil || res.StatusCode != 415 {
		t.Errorf("text/xml: %v, %v", res, err)
	}
}

// Without the certificate nobody is anybody.
func TestSessionCertificate(t *testing.T) {
	c := converse(t)
	bare := c.client.Transport.(*http.Transport).Clone()
	bare.TLSClientConfig = &tls.Config{RootCAs: bare.TLSClientConfig.RootCAs}
	defer bare.CloseIdleConnections()
	c.client = &http.Client{Transport: bare}
	if code, answer := c.say(t, c.message("1", begin)); code != 403 || !strings.Contains(answer, "there is none") {
		t.Errorf("%d %s", code, answer)
	}
}
