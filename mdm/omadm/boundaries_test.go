package omadm_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/internal/fixture"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
	"github.com/whiteglove/whiteglove/mdm/omadm"
)

// command writes a command about one node.
func command(verb, uri string) string {
	return `<` + verb + `><CmdID>2</CmdID><Item><Target><LocURI>` + uri + `</LocURI></Target><Data>1</Data></Item></` + verb + `>`
}

// statusFor writes a status for a command of the device's first message.
func statusFor(command, code, more string) string {
	return `<Status><CmdID>1</CmdID><MsgRef>1</MsgRef><CmdRef>` + command + `</CmdRef><Data>` + code + `</Data>` + more + `</Status>`
}

// Only an Exec of the node itself, in a scope that the device has, ends its
// management.
func TestUnenrollNode(t *testing.T) {
	const device, user = "./Device/Vendor/MSFT/DMClient/Unenroll", "./User/Vendor/MSFT/DMClient/Unenroll"
	for _, c := range []struct {
		verb, uri             string
		user, handled, leaves bool
	}{
		{"Exec", device, false, false, true},
		{"Exec", user, true, false, true},
		{"Exec", device, true, true, false},
		{"Exec", user, false, false, false},
		{"Exec", "./Other/Vendor/MSFT/DMClient/Unenroll", true, false, false},
		{"Exec", "./Device/Vendor/MSFT/DMClient/Unenrol", true, false, false},
		{"Exec", device + "/x", true, false, false},
		{"Exec", ".", true, false, false},
		{"Exec", "./A//B", true, false, false},
		{"Replace", device, true, false, false},
		{"Delete", device, true, false, false},
	} {
		tree := new(omadm.Tree)
		tree.SetUserContext(c.user)
		if c.handled {
			tree.Handle(c.uri, func(context.Context, *omadm.Operation) int { return 200 })
		}
		s := &scripted{answers: []string{sync12(headerOK + command(c.verb, c.uri) + `<Final/>`), sync12(`<Final/>`)}}
		result, err := scriptedSession(t, s, func(s *omadm.Session) { s.Tree = tree })
		if err != nil || result.Unenrolled != c.leaves {
			t.Errorf("%+v: %+v, %v", c, result, err)
		}
	}
}

// A handler's status 300 is none of success.
func TestLeastFailure(t *testing.T) {
	for code, failed := range map[int]int{299: 0, 300: 2} {
		tree := new(omadm.Tree)
		tree.Handle("./Vendor/MSFT/X", func(context.Context, *omadm.Operation) int { return code })
		body := `<Sequence><CmdID>4</CmdID>` + command("Exec", "./Vendor/MSFT/X") + command("Add", "./Vendor/MSFT/Y") + `</Sequence><Final/>`
		s := &scripted{answers: []string{sync12(headerOK + body), sync12(`<Final/>`)}}
		if result, err := scriptedSession(t, s, func(s *omadm.Session) { s.Tree = tree }); err != nil || result.Failed != failed {
			t.Errorf("%d: %+v, %v", code, result, err)
		}
	}
}

// The server's statuses are numbers of three digits, of which 300 and more are
// refusals.
func TestServerStatuses(t *testing.T) {
	for _, c := range []struct {
		code         string
		odd, refused int
	}{{"99", 1, 0}, {"100", 0, 0}, {"299", 0, 0}, {"300", 0, 1}, {"999", 0, 1}, {"1000", 1, 0}, {"2OO", 1, 0}} {
		s := &scripted{answers: []string{sync12(headerOK + statusFor("2", c.code, "") + `<Final/>`)}}
		result, err := scriptedSession(t, s, nil)
		if err != nil || len(result.Oddities) != c.odd || len(result.Refused) != c.refused {
			t.Errorf("%s: %+v, %v", c.code, result, err)
		}
		if c.odd > 0 {
			continue
		}
		s = &scripted{answers: []string{sync12(statusFor("0", c.code, "") + `<Final/>`)}}
		_, err = scriptedSession(t, s, nil)
		if got := new(omadm.StatusError); errors.As(err, &got) != (c.refused > 0) || c.refused > 0 && fmt.Sprint(got.Status) != c.code {
			t.Errorf("the header's status %s: %v", c.code, err)
		}
	}
	s := &scripted{answers: []string{sync12(headerOK + strings.Repeat(statusFor("2", "x", ""), 30) + `<Final/>`)}}
	if result, err := scriptedSession(t, s, nil); err != nil || len(result.Oddities) != 20 {
		t.Errorf("%d oddities, %v", len(result.Oddities), err)
	}
}

// A device without a secret goes on if the server only offers an
// authentication. A device with one sends it when it is asked, and not before.
func TestOfferedAuthentication(t *testing.T) {
	challenge := func(code, typ string) string {
		return statusFor("0", code, `<Chal><Meta><Format xmlns="syncml:metinf">b64</Format><Type xmlns="syncml:metinf">`+typ+
			`</Type><NextNonce xmlns="syncml:metinf">bm9uY2U=</NextNonce></Meta></Chal>`)
	}
	account := &mdm.Auth{Level: "APPSRV", Name: "device-7", Secret: "sesame"}
	for _, c := range []struct {
		name, answer string
		auth         *mdm.Auth
		want         string // in the error
		sent         int    // messages
	}{
		{"another kind is offered", challenge("212", "syncml:auth-basic"), nil, "", 2},
		{"another kind is offered to a secret", challenge("200", "syncml:auth-basic"), account, "other than a digest", 1},
		{"another kind is asked for", challenge("407", "syncml:auth-basic"), nil, "other than a digest", 1},
		{"a digest is offered", challenge("200", "syncml:auth-md5"), nil, "", 2},
		{"a digest is asked for", challenge("407", "syncml:auth-md5"), nil, "no APPAUTH", 1},
		{"a digest is asked for and there", challenge("407", "syncml:auth-md5"), account, "", 3},
	} {
		s := &scripted{answers: []string{
			sync12(c.answer + command("Get", "./DevInfo/DevId") + `<Final/>`), sync12(command("Get", "./DevInfo/DevId") + `<Final/>`), sync12(`<Final/>`),
		}}
		if c.sent == 2 {
			s.answers = slices.Delete(s.answers, 1, 2)
		}
		_, err := scriptedSession(t, s, func(s *omadm.Session) { s.Auth = c.auth })
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || len(s.heard) != c.sent {
			t.Errorf("%s: %v after %d messages", c.name, err, len(s.heard))
		}
		for i, message := range s.heard {
			if got, want := strings.Contains(message, "<Cred>"), c.sent == 3 && i > 0; got != want {
				t.Errorf("%s: message %d has credentials: %v", c.name, i+1, got)
			}
		}
	}
}

// A source has at most 128 visible characters of ASCII.
func TestSourceLimits(t *testing.T) {
	for source, good := range map[string]bool{
		strings.Repeat("x", 128): true, strings.Repeat("x", 129): false, "!~": true, "a b": false, "\x7f": false, "ä": false,
	} {
		s := &scripted{answers: []string{sync12(headerOK + `<Final/>`)}}
		if _, err := scriptedSession(t, s, func(s *omadm.Session) { s.Source = source }); (err == nil) != good {
			t.Errorf("%.20q: %v", source, err)
		}
	}
}

// A limit that the server has said once holds for the session.
func TestMaxMsgSizeStays(t *testing.T) {
	get := command("Get", "./Vendor/MSFT/Large") + `<Final/>`
	limit := strings.Replace(sync12(headerOK+command("Get", "./DevInfo/DevId")+`<Final/>`), "</Source>",
		`</Source><Meta><MaxMsgSize xmlns="syncml:metinf">2048</MaxMsgSize></Meta>`, 1)
	s := &scripted{answers: []string{limit, sync12(get), sync12(`<Final/>`)}}
	_, err := scriptedSession(t, s, func(s *omadm.Session) {
		s.Tree.Set("./Vendor/MSFT/Large", omadm.Value{Data: strings.Repeat("x", 2048)})
	})
	if err == nil || !strings.Contains(err.Error(), "larger than the 2048 bytes") {
		t.Errorf("got %v", err)
	}
}

// A server that refuses the end of the management is heard.
func TestUnenrollRefused(t *testing.T) {
	for _, c := range []struct {
		status string
		want   bool
	}{{statusFor("4", "405", ""), true}, {statusFor("5", "405", ""), false}} { // the third alert, the Replace
		s := &scripted{answers: []string{sync12(headerOK + c.status + `<Final/>`)}}
		session := &omadm.Session{
			Server: "https://mdm.test/sync", Device: mdm.Device{ID: "device-7"}, Tree: new(omadm.Tree), HTTPClient: &http.Client{Transport: s},
		}
		result, err := session.Unenroll(t.Context())
		var refused *omadm.StatusError
		if errors.As(err, &refused) != c.want || len(result.Refused) != 1 || c.want && (refused.Status != 405 || refused.Command != "Alert") {
			t.Errorf("%s: %+v, %v", c.status, result, err)
		}
	}
}

// Names and paths have limits, which count unescaped bytes and the scope that
// a short path leaves out.
func TestPathLimits(t *testing.T) {
	for uri, good := range map[string]bool{
		"./" + strings.Repeat("a", 1024):        true,
		"./" + strings.Repeat("a", 1025):        false,
		"./" + strings.Repeat("%20", 1024):      true,
		"." + strings.Repeat("/a", 32):          true,
		"." + strings.Repeat("/a", 33):          false,
		"./Vendor" + strings.Repeat("/a", 30):   true,
		"./Vendor" + strings.Repeat("/a", 31):   false,
		"./Vendor" + strings.Repeat("/a", 1000): false,
	} {
		if got := new(omadm.Tree).Set(uri, omadm.Value{}); got != good {
			t.Errorf("%.20s… of %d bytes: %v", uri, len(uri), got)
		}
	}
}

// A handler of nothing or of no path is none, and hides no other.
func TestNoHandler(t *testing.T) {
	status := func(code int) omadm.Handler {
		return func(context.Context, *omadm.Operation) int { return code }
	}
	for name, prepare := range map[string]func(*omadm.Tree){
		"no path":    func(tree *omadm.Tree) { tree.Handle("./Vendor//A", status(500)) },
		"no handler": func(tree *omadm.Tree) { tree.Handle("./Vendor", status(200)); tree.Handle("./Vendor/MSFT/A", nil) },
	} {
		tree := new(omadm.Tree)
		prepare(tree)
		body := command("Replace", "./Vendor/MSFT/A/B/C") + strings.Replace(command("Exec", "./Vendor/MSFT/A"), ">2<", ">3<", 1)
		s := &scripted{answers: []string{sync12(headerOK + body + `<Final/>`), sync12(`<Final/>`)}}
		result, err := scriptedSession(t, s, func(s *omadm.Session) { s.Tree = tree })
		want := map[string]int{"no path": 1, "no handler": 0}[name] // nobody handles the Exec
		if err != nil || result.Failed != want {
			t.Errorf("%s: %+v, %v", name, result, err)
		}
	}
}

// The server's address keeps its query, and gets the mode that Windows adds.
func TestSessionURL(t *testing.T) {
	const mode = "mode=Maintenance&Platform=WoA"
	for address, want := range map[string]string{
		"https://mdm.test/sync": "?" + mode, "https://mdm.test/sync?x=1": "?x=1&" + mode, "https://mdm.test/sync?x=1&mode=y": "?x=1&mode=y",
	} {
		r := &redirecting{scripted: scripted{answers: []string{sync12(headerOK + `<Final/>`)}}}
		_, err := scriptedSession(t, &r.scripted, func(s *omadm.Session) { s.Server = address; s.HTTPClient = &http.Client{Transport: r} })
		if err != nil || len(r.urls) != 1 || r.urls[0] != "https://mdm.test/sync"+want {
			t.Errorf("%s: %q, %v", address, r.urls, err)
		}
	}
}

// A tree takes 50,000 nodes and 8 MiB, and not one more.
func TestExactTreeLimits(t *testing.T) {
	tree, n := new(omadm.Tree), 0
	for ; n < 60000 && tree.Set(fmt.Sprintf("./A/%d", n), omadm.Value{}); n++ {
	}
	if n != 50000-1 { // A is a node, too
		t.Errorf("%d nodes fit", n)
	}
	fits := func(uri string, size int) bool {
		return new(omadm.Tree).Set(uri, omadm.Value{Data: strings.Repeat("x", size)})
	}
	most := 8<<20 - len("./A") - 48 // see nodeBytes
	if !fits("./A", most) || fits("./A", most+1) {
		t.Error("the limit of all bytes is another one")
	}
	for _, data := range []string{"\x1f", "\xff"} { // each counts three
		if n := most / 3; !new(omadm.Tree).Set("./A", omadm.Value{Data: strings.Repeat(data, n)}) || new(omadm.Tree).Set("./A", omadm.Value{Data: strings.Repeat(data, n+1)}) {
			t.Errorf("%q does not count three", data)
		}
	}
	for _, data := range []string{" ", "\ufffd"} { // each counts its bytes
		if n := most / len(data); !new(omadm.Tree).Set("./A", omadm.Value{Data: strings.Repeat(data, n)}) {
			t.Errorf("%q counts more than its bytes", data)
		}
	}
}

// A leaf that gets nodes below it loses its value, and the value's weight.
func TestLeafBecomesInterior(t *testing.T) {
	tree, half := new(omadm.Tree), omadm.Value{Data: strings.Repeat("x", 5<<20)}
	tree.Set("./A/B", half)
	tree.Set("./A/B/C", omadm.Value{Data: "1"})
	if v, ok := tree.Get("./A/B"); !ok || v.Format != "node" {
		t.Errorf("%.20q, %v", v, ok)
	}
	if !tree.Set("./A/D", half) || tree.Set("./A/E", half) {
		t.Error("the value of the leaf still has its weight, or none counts")
	}
}

// In JSON a leaf and an interior node of one name are told apart.
func TestTreeJSONKinds(t *testing.T) {
	for _, c := range []struct {
		before omadm.Value
		text   string
		want   omadm.Value
	}{
		{omadm.Value{Data: "1"}, `{"./A":{"Format":"node"}}`, omadm.Value{Format: "node"}},
		{omadm.Value{Format: "node"}, `{"./A":{"Data":"2"}}`, omadm.Value{Data: "2"}},
	} {
		tree := new(omadm.Tree)
		tree.Set("./A", c.before)
		if err := json.Unmarshal([]byte(c.text), tree); err != nil {
			t.Fatal(err)
		}
		if got, ok := tree.Get("./A"); !ok || got != c.want {
			t.Errorf("%s over %+v: %+v", c.text, c.before, got)
		}
	}
}

// Nodes at the top are permanent.
func TestPermanentNodes(t *testing.T) {
	for uri, code := range map[string]string{
		"./Device": "405", "./Device/Vendor": "405", "./Vendor/MSFT": "405", "./Vendor/MSFT/X": "200", "./Device/X/Y": "200", "./Device/X": "200",
	} {
		tree := new(omadm.Tree)
		tree.Set("./Vendor/MSFT/X", omadm.Value{})
		tree.Set("./Device/X/Y", omadm.Value{})
		s := &scripted{answers: []string{sync12(headerOK + command("Delete", uri) + `<Final/>`), sync12(`<Final/>`)}}
		_, err := scriptedSession(t, s, func(s *omadm.Session) { s.Tree = tree })
		if want := "<Cmd>Delete</Cmd>"; err != nil || !strings.Contains(s.heard[1], want) || !strings.Contains(s.heard[1], "<Data>"+code+"</Data></Status></SyncBody>") && !strings.Contains(s.heard[1], "<Data>"+code+"</Data></Status><Final") {
			t.Errorf("%s: %v\n%s", uri, err, s.heard[1])
		}
	}
}

// The names below an interior node are an answer of at most 256 KiB, and all
// answers of a message have at most 1 MiB.
func TestNamesLimits(t *testing.T) {
	names := func(bytes int) *omadm.Tree { // "/" and the name count
		tree := new(omadm.Tree)
		for n := 0; bytes > 0; n++ {
			size := min(bytes, 1024)
			if rest := bytes - size; rest > 0 && rest < 8 {
				size -= 8
			}
			if !tree.Set("./A/"+fmt.Sprintf("%05d", n)+strings.Repeat("x", size-6), omadm.Value{}) {
				t.Fatal("it does not fit")
			}
			bytes -= size
		}
		return tree
	}
	for _, c := range []struct {
		below, value int // bytes
		code         string
	}{{256 << 10, 1, "200"}, {256<<10 + 1, 1, "500"}, {1000, 1<<20 - 1000, "200"}, {1001, 1<<20 - 1000, "413"}} {
		tree := names(c.below)
		tree.Set("./V", omadm.Value{Data: strings.Repeat("v", c.value)})
		s := &scripted{answers: []string{sync12(headerOK + command("Get", "./V") + strings.Replace(command("Get", "./A"), ">2<", ">3<", 1) + `<Final/>`), sync12(`<Final/>`)}}
		_, err := scriptedSession(t, s, func(s *omadm.Session) { s.Tree = tree })
		_, status, _ := strings.Cut(s.heard[1], "<CmdRef>3</CmdRef>")
		if err != nil || !strings.Contains(status[:min(len(status), 200)], "<Data>"+c.code+"</Data>") {
			t.Errorf("%+v: %v, %.200s", c, err, status)
		}
	}
}

// An order names at most 16 servers, by URLs of http or https.
func TestSCEPOrderServers(t *testing.T) {
	m := fixture.Manage(t, fixture.Key(), mdmtest.SessionConfig{})
	for urls, good := range map[string]bool{
		strings.Repeat("https://ca.test/;", 16): true, "http://ca.test/": true,
		strings.Repeat("https://ca.test/;", 17): false, "https:///scep": false, "ftp://ca.test/": false, "https://ca.test/%zz": false,
	} {
		called := false
		order(t, m, map[string]string{"ServerURL": urls, "SubjectName": "CN=a", "KeyUsage": "128", "CAThumbprint": "00"},
			func(context.Context, *omadm.SCEPOrder) (*x509.Certificate, error) {
				called = true
				return nil, omadm.ErrPending
			})
		if called != good {
			t.Errorf("%.30q (%d bytes): carried out: %v", urls, len(urls), called)
		}
	}
}
