package omadm_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/internal/fixture"
	"github.com/whiteglove/whiteglove/mdm/omadm"
)

// A scripted server gives one answer after the other, whatever it is told.
// In answers, SID stands for the session's identifier.
type scripted struct {
	answers []string
	status  int
	header  http.Header
	heard   []string
}

var sessionIDs = regexp.MustCompile(`<SessionID>([^<]*)</SessionID>`)

func (s *scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	s.heard = append(s.heard, string(body))
	answer := ""
	if len(s.answers) > 0 {
		answer = s.answers[min(len(s.heard), len(s.answers))-1]
	}
	answer = strings.ReplaceAll(answer, "SID", sessionIDs.FindStringSubmatch(string(body))[1])
	c := fixture.Canned{Status: s.status, Header: s.header, Body: answer}
	if c.Status == 0 {
		c.Status = http.StatusOK
	}
	return c.RoundTrip(r)
}

// scriptedSession holds a session with a scripted server.
func scriptedSession(t testing.TB, s *scripted, prepare func(*omadm.Session)) (*omadm.Result, error) {
	t.Helper()
	session := &omadm.Session{
		Server: "https://mdm.test/sync?x=1", Device: mdm.Device{ID: "device-7", Name: "SEVEN"},
		Tree: new(omadm.Tree), HTTPClient: &http.Client{Transport: s},
	}
	if prepare != nil {
		prepare(session)
	}
	return session.Run(t.Context())
}

// sync writes a message of a server.
func sync12(body string) string {
	return `<SyncML xmlns="SYNCML:SYNCML1.2"><SyncHdr><VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto><SessionID>SID</SessionID>` +
		`<MsgID>1</MsgID><Target><LocURI>device-7</LocURI></Target><Source><LocURI>https://mdm.test/sync</LocURI></Source></SyncHdr>` +
		`<SyncBody>` + body + `</SyncBody></SyncML>`
}

const headerOK = `<Status><CmdID>1</CmdID><MsgRef>1</MsgRef><CmdRef>0</CmdRef><Cmd>SyncHdr</Cmd><Data>200</Data></Status>`

// What is sent, to the letter: the first message has the shape recorded from
// Windows 10 and 11, the second answers in the order of [MS-MDM].
func TestSessionLetters(t *testing.T) {
	s := &scripted{answers: []string{
		sync12(headerOK +
			`<Get><CmdID>9e1f-A</CmdID><Item><Target><LocURI>./DevInfo/DmV</LocURI></Target></Item><Item><Target><LocURI>./No</LocURI></Target></Item></Get>` +
			`<Replace><CmdID></CmdID><Item><Target><LocURI>./Vendor/MSFT/X</LocURI></Target><Meta><Format xmlns="syncml:metinf">int</Format></Meta><Data>1</Data></Item></Replace>` +
			`<Add><CmdID>7</CmdID><NoResp/><Item><Target><LocURI>./Vendor/MSFT/Y</LocURI></Target><Data>1</Data></Item></Add>` +
			`<Final/>`),
		sync12(`<Final/>`),
	}}
	if _, err := scriptedSession(t, s, func(s *omadm.Session) { s.Login = "others" }); err != nil {
		t.Fatal(err)
	}
	head := func(n string) string {
		return `<SyncML xmlns="SYNCML:SYNCML1.2"><SyncHdr><VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto><SessionID>SID</SessionID>` +
			`<MsgID>` + n + `</MsgID><Target><LocURI>https://mdm.test/sync?x=1</LocURI></Target><Source><LocURI>device-7</LocURI></Source></SyncHdr><SyncBody>`
	}
	info := func(name, value string) string {
		return `<Item><Source><LocURI>./DevInfo/` + name + `</LocURI></Source><Data>` + value + `</Data></Item>`
	}
	want := []string{
		head("1") + `<Alert><CmdID>2</CmdID><Data>1201</Data></Alert>` +
			`<Alert><CmdID>3</CmdID><Data>1224</Data><Item><Meta><Type xmlns="syncml:metinf">com.microsoft/MDM/LoginStatus</Type></Meta><Data>others</Data></Item></Alert>` +
			`<Replace><CmdID>4</CmdID>` + info("DevId", "device-7") + info("Man", "Unknown") + info("Mod", "Unknown") + info("DmV", "1.3") + info("Lang", "en-US") +
			`</Replace><Final/></SyncBody></SyncML>`,
		head("2") + `<Status><CmdID>1</CmdID><MsgRef>1</MsgRef><CmdRef>0</CmdRef><Cmd>SyncHdr</Cmd><Data>200</Data></Status>` +
			`<Status><CmdID>2</CmdID><MsgRef>1</MsgRef><CmdRef>9e1f-A</CmdRef><Cmd>Get</Cmd><TargetRef>./DevInfo/DmV</TargetRef><Data>200</Data></Status>` +
			`<Status><CmdID>3</CmdID><MsgRef>1</MsgRef><CmdRef>9e1f-A</CmdRef><Cmd>Get</Cmd><TargetRef>./No</TargetRef><Data>404</Data></Status>` +
			`<Status><CmdID>4</CmdID><MsgRef>1</MsgRef><CmdRef></CmdRef><Cmd>Replace</Cmd><TargetRef>./Vendor/MSFT/X</TargetRef><Data>200</Data></Status>` +
			`<Results><CmdID>5</CmdID><MsgRef>1</MsgRef><CmdRef>9e1f-A</CmdRef><Item><Source><LocURI>./DevInfo/DmV</LocURI></Source>` +
			`<Meta><Format xmlns="syncml:metinf">chr</Format></Meta><Data>1.3</Data></Item></Results><Final/></SyncBody></SyncML>`,
	}
	for i := range s.heard {
		s.heard[i] = sessionIDs.ReplaceAllString(s.heard[i], "<SessionID>SID</SessionID>")
	}
	if !reflect.DeepEqual(s.heard, want) {
		t.Errorf("sent\n%s\nwant\n%s", strings.Join(s.heard, "\n"), strings.Join(want, "\n"))
	}
}

// What a server must not get away with, and with what error it ends.
func TestSessionRefusals(t *testing.T) {
	challenge := func(typ, nonce string) string {
		return sync12(`<Status><CmdID>1</CmdID><MsgRef>1</MsgRef><CmdRef>0</CmdRef><Cmd>SyncHdr</Cmd><Chal><Meta><Format>b64</Format><Type>` +
			typ + `</Type><NextNonce>` + nonce + `</NextNonce></Meta></Chal><Data>401</Data></Status><Final/>`)
	}
	for _, test := range []struct {
		name, answer string
		status       int
		want         string
		code         uint32
	}{
		{"document type", `<!DOCTYPE x [<!ENTITY a "b">]>` + sync12(``), 200, "document type", 0x801900C8},
		{"undefined entity", sync12(`<Add>&a;</Add>`), 200, "entity", 0x801900C8},
		{"depth", strings.Repeat("<a>", 5000), 200, "levels", 0x801900C8},
		{"elements", sync12(strings.Repeat("<a/>", 60000)), 200, "elements", 0x801900C8},
		{"size", sync12(strings.Repeat(" ", 1<<20)), 200, "too large", 0},
		{"not XML", "Hello", 200, "syncml", 0x801900C8},
		{"HTML", "<html><body>x</body></html>", 200, "not a SyncML message", 0x801900C8},
		{"no body", `<SyncML><SyncHdr/></SyncML>`, 200, "SyncBody", 0x801900C8},
		{"other encoding", `<?xml version="1.0" encoding="iso-8859-1"?>` + sync12(``), 200, "encoding", 0x801900C8},
		{"another session", strings.Replace(sync12(headerOK), "SID", "0", 1), 200, "in session", 0},
		{"refused", sync12(strings.Replace(headerOK, "200", "403", 1)), 200, "SyncHdr with status 403", 0},
		{"refused, for another message", sync12(strings.NewReplacer("200", "500", "<MsgRef>1", "<MsgRef>0").Replace(headerOK)), 200, "SyncHdr with status 500", 0},
		{"an authentication nobody set up", challenge("syncml:auth-md5", "AAAA"), 200, "SyncHdr with status 401", 0},
		{"abort", sync12(headerOK + `<Alert><CmdID>2</CmdID><Data>1223</Data></Alert><Final/>`), 200, "ended the session early", 0},
		{
			"fault with status 200",
			`<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header/><s:Body><s:fault><s:code><s:value>s:receiver</s:value>` +
				`<s:subcode><s:value>s:messageformat</s:value></s:subcode></s:code><s:reason><s:text>no</s:text></s:reason></s:fault></s:Body></s:Envelope>`,
			200, "messageformat", 0x80180001,
		},
		{"forbidden", "", 403, "HTTP status 403", 0x80190193},
		{"redirect", "", 302, "HTTP status 302", 0x8019012E},
		{"a good message with a bad status", sync12(headerOK), 500, "HTTP status 500", 0x801901F4},
	} {
		s := &scripted{answers: []string{test.answer}, status: test.status}
		result, err := scriptedSession(t, s, nil)
		if err == nil || !strings.Contains(err.Error(), test.want) || result == nil {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
			continue
		}
		if e := fixture.Failure(t, err); e.HRESULT() != test.code || e.Op != "Session" {
			t.Errorf("%s: %#x, want %#x", test.name, e.HRESULT(), test.code)
		}
	}
	for nonce, typ := range map[string]string{"%%": "syncml:auth-md5", "AAAA": "syncml:auth-basic"} {
		_, err := scriptedSession(t, &scripted{answers: []string{challenge(typ, nonce)}}, func(s *omadm.Session) { s.Auth = &mdm.Auth{Name: "n"} })
		if fixture.Failure(t, err); err == nil {
			t.Errorf("challenge %s %s", typ, nonce)
		}
	}
}

// Oddities do no harm, and are told.
func TestSessionOddities(t *testing.T) {
	s := &scripted{answers: []string{
		sync12(headerOK + strings.Replace(headerOK, ">0<", ">77<", 1) + strings.Replace(headerOK, "<MsgRef>1", "<MsgRef>9", 1) +
			strings.Replace(headerOK, "200", "OK", 1) + `<Status><CmdID>5</CmdID><MsgRef>1</MsgRef><CmdRef>3</CmdRef><Cmd>Alert</Cmd><Data>406</Data></Status>` +
			`<Replace><CmdID>4</CmdID><Item><Target><LocURI>./Vendor/MSFT/X</LocURI></Target><MoreData/><Data>1</Data></Item></Replace>` +
			`<Replace><CmdID>5</CmdID><Item><Target><LocURI>./Vendor/MSFT/Y</LocURI></Target><Data>part</Data><MoreData/></Item></Replace>` +
			`<Replace><CmdID>6</CmdID></Replace><Get><CmdID>7</CmdID></Get>`),
		sync12(``),
	}}
	r, err := scriptedSession(t, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Oddities) != 5 || len(r.Refused) != 1 || r.Refused[0].Command != "Alert" || r.Refused[0].Status != 406 || r.Failed != 4 {
		t.Errorf("got %+v", r)
	}
	for cmd, want := range map[string]string{"4": "400", "5": "406", "6": "400", "7": "400"} {
		if !regexp.MustCompile(`<CmdRef>` + cmd + `</CmdRef>.*?<Data>` + want + `</Data>`).MatchString(s.heard[1]) {
			t.Errorf("command %s has not status %s in %s", cmd, want, s.heard[1])
		}
	}
}

// Many Gets of a large value are no way to fill the device's memory.
func TestSessionManyGets(t *testing.T) {
	tree := new(omadm.Tree)
	tree.Set("./Vendor/MSFT/X", omadm.Value{Data: strings.Repeat("x", 1<<18)})
	s := &scripted{answers: []string{
		sync12(headerOK + strings.Repeat(`<Get><CmdID>2</CmdID><Item><Target><LocURI>./Vendor/MSFT/X</LocURI></Target></Item></Get>`, 100)), sync12(""),
	}}
	r, err := scriptedSession(t, s, func(s *omadm.Session) { s.Tree = tree })
	if err != nil || r.Failed != 96 || len(s.heard[1]) > 1<<20+1<<15 || strings.Count(s.heard[1], "<Data>413</Data>") != 96 {
		t.Errorf("%+v, %v, %d bytes", r, err, len(s.heard[1]))
	}
}

func TestSessionRetryAfter(t *testing.T) {
	_, err := scriptedSession(t, &scripted{status: 429, header: http.Header{"Retry-After": {"120"}}}, nil)
	if e := fixture.Failure(t, err); e.RetryAfter != 2*time.Minute || e.HRESULT() != 0x80180033 || !e.Retryable() {
		t.Errorf("got %v after %v", e, e.RetryAfter)
	}
}

// A session ends with its context, also between commands.
func TestSessionContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &scripted{answers: []string{sync12(headerOK +
		strings.Repeat(`<Exec><CmdID>4</CmdID><Item><Target><LocURI>./Vendor/MSFT/X</LocURI></Target></Item></Exec>`, 3))}}
	tree, calls := new(omadm.Tree), 0
	tree.Handle("./Vendor/MSFT/X", func(context.Context, *omadm.Operation) int {
		calls++
		cancel()
		return 200
	})
	session := &omadm.Session{
		Server: "https://mdm.test/sync", Device: mdm.Device{ID: "device-7"}, Tree: tree, HTTPClient: &http.Client{Transport: s},
	}
	if _, err := session.Run(ctx); !errors.Is(err, context.Canceled) || calls != 1 || len(s.heard) != 1 {
		t.Errorf("%v after %d calls and %d messages", err, calls, len(s.heard))
	}
}

// What is missing is said before anything is sent.
func TestSessionMissing(t *testing.T) {
	for name, prepare := range map[string]func(s *omadm.Session){
		"no tree":       func(s *omadm.Session) { s.Tree = nil },
		"identifier":    func(s *omadm.Session) { s.Device.ID = "" },
		"not https":     func(s *omadm.Session) { s.Server = "http://mdm.test/" },
		"absolute":      func(s *omadm.Session) { s.Server = "" },
		"no key":        func(s *omadm.Session) { s.HTTPClient = nil },
		"four numbers":  func(s *omadm.Session) { s.Device.OSVersion = "11" },
		"no management": func(s *omadm.Session) { s.HTTPClient = &http.Client{} },
	} {
		s := new(scripted)
		result, err := scriptedSession(t, s, prepare)
		if err == nil || !strings.Contains(err.Error(), name) || result != nil || len(s.heard) > 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Items without a node are refused, and commands whose sender wants no status
// get none.
func TestSessionBareCommands(t *testing.T) {
	item := `<Item><Target><LocURI>./Vendor/MSFT/X</LocURI></Target><Data>1</Data></Item>`
	s := &scripted{answers: []string{sync12(headerOK +
		`<Replace><CmdID>2</CmdID><Item><Data>1</Data></Item></Replace><Get><CmdID>3</CmdID><Item/></Get>` +
		`<Atomic><CmdID>4</CmdID><NoResp/><Replace><CmdID>5</CmdID>` + item + `</Replace></Atomic>` +
		`<Sequence><CmdID>6</CmdID><NoResp/><Get><CmdID>7</CmdID>` + item + `</Get></Sequence>`), sync12("")}}
	r, err := scriptedSession(t, s, nil)
	if err != nil || r.Failed != 2 || r.Commands != 6 {
		t.Fatalf("%+v, %v", r, err)
	}
	for cmd, want := range map[string]string{"2": "400", "3": "400", "4": "", "5": "200", "6": "", "7": "200"} {
		found := regexp.MustCompile(`<CmdRef>` + cmd + `</CmdRef><Cmd>[^<]*</Cmd>(?:<TargetRef>[^<]*</TargetRef>)?<Data>(\d*)</Data>`).FindStringSubmatch(s.heard[1])
		if got := strings.Join(found, " "); (want == "") != (found == nil) || !strings.HasSuffix(got, want) {
			t.Errorf("command %s: %q, want %q", cmd, got, want)
		}
	}
}

// What a write may make of a node: values of some formats lose white space, a
// leaf may become an interior node, and the nodes at the top stay.
func TestSessionWrites(t *testing.T) {
	replace := func(id, uri, format, data string) string {
		return `<Replace><CmdID>` + id + `</CmdID><Item><Target><LocURI>` + uri + `</LocURI></Target><Meta><Format>` + format + `</Format></Meta><Data>` + data + `</Data></Item></Replace>`
	}
	tree := new(omadm.Tree)
	tree.SetUserContext(true)
	tree.Set("./Vendor/MSFT/Leaf", omadm.Value{Data: "1"})
	tree.Set("./Vendor/MSFT/Empty", omadm.Value{Format: "node"})
	s := &scripted{answers: []string{
		sync12(headerOK +
			replace("2", "./Vendor/MSFT/Bool", "bool", " true\n") + replace("3", "./Vendor/MSFT/Int", "INT", " 1 ") + replace("4", "./Vendor/MSFT/Chr", "chr", " x ") +
			replace("5", "./Vendor/MSFT/Leaf", "node", "") + replace("6", "./Vendor/MSFT/Empty", "chr", "1") + replace("7", "./Vendor/MSFT/Empty2", "node", "") +
			replace("8", "./Vendor/MSFT/Empty2", "node", "") + replace("9", "./User", "chr", "1") + replace("10", ".", "chr", "1") + replace("11", "./Device", "node", "")),
		sync12(""),
	}}
	if _, err := scriptedSession(t, s, func(s *omadm.Session) { s.Tree = tree }); err != nil {
		t.Fatal(err)
	}
	for cmd, want := range map[string]string{"2": "200", "3": "200", "4": "200", "5": "200", "6": "200", "7": "200", "8": "405", "9": "405", "10": "405", "11": "405"} {
		if !regexp.MustCompile(`<CmdRef>` + cmd + `</CmdRef><Cmd>Replace</Cmd><TargetRef>[^<]*</TargetRef><Data>` + want + `<`).MatchString(s.heard[1]) {
			t.Errorf("command %s has not status %s in %s", cmd, want, s.heard[1])
		}
	}
	for uri, want := range map[string]omadm.Value{
		"./Vendor/MSFT/Bool": {Format: "bool", Data: "true"}, "./Vendor/MSFT/Int": {Format: "int", Data: "1"}, "./Vendor/MSFT/Chr": {Format: "chr", Data: " x "},
		"./Vendor/MSFT/Leaf": {Format: "node"}, "./Vendor/MSFT/Empty": {Format: "chr", Data: "1"},
	} {
		if got, _ := tree.Get(uri); got != want {
			t.Errorf("%s is %+v, want %+v", uri, got, want)
		}
	}
	if got, ok := tree.Get("./User"); ok {
		t.Errorf("./User is %+v", got)
	}
}

// A server that asks for something other than a digest is told apart from one
// that refuses.
func TestSessionChallenges(t *testing.T) {
	challenge := func(typ string) string {
		return sync12(`<Status><CmdID>1</CmdID><MsgRef>1</MsgRef><CmdRef>0</CmdRef><Cmd>SyncHdr</Cmd><Chal><Meta><Format xmlns="syncml:metinf">b64</Format>` +
			`<Type xmlns="syncml:metinf">` + typ + `</Type></Meta></Chal><Data>407</Data></Status><Final/>`)
	}
	for _, c := range []struct {
		typ  string
		auth *mdm.Auth
		want string
	}{
		{"syncml:auth-basic", nil, `"syncml:auth-basic"`},
		{"syncml:auth-basic", &mdm.Auth{Name: "n"}, `"syncml:auth-basic"`},
		{"syncml:auth-md5", nil, "no APPAUTH"},
	} {
		_, err := scriptedSession(t, &scripted{answers: []string{challenge(c.typ)}}, func(s *omadm.Session) { s.Auth = c.auth })
		var status *omadm.StatusError
		if !errors.As(err, &status) || status.Status != 407 || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.typ, err)
		}
	}
}
