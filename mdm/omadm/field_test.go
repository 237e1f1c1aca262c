package omadm_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/omadm"
)

// A redirecting server answers as scripted and keeps where messages went.
type redirecting struct {
	scripted
	urls []string
}

func (r *redirecting) RoundTrip(req *http.Request) (*http.Response, error) {
	r.urls = append(r.urls, req.URL.String())
	return r.scripted.RoundTrip(req)
}

// The next message goes to RespURI, if that is at the same server.
func TestRespURI(t *testing.T) {
	const get = `<Get><CmdID>2</CmdID><Item><Target><LocURI>./DevInfo/DmV</LocURI></Target></Item></Get><Final/>`
	for _, c := range []struct{ resp, next, want string }{
		{"https://mdm.test/sync?node=7", "https://mdm.test/sync?node=7", ""},
		{"https://MDM.test:443/other", "https://MDM.test:443/other", ""},
		{"/relative", "https://mdm.test/relative", ""},
		{"https://evil.test/sync", "", "leads to another server"},
		{"http://mdm.test/sync", "", "leads to another server"},
		{"https://mdm.test:444/sync", "", "leads to another server"},
		{"https://user@mdm.test/sync", "", "leads to another server"},
		{"https://mdm.test/%zz", "", "not a URL"},
	} {
		r := &redirecting{scripted: scripted{answers: []string{
			strings.Replace(sync12(headerOK+get), "</Source>", "</Source><RespURI>"+c.resp+"</RespURI>", 1), sync12("<Final/>"),
		}}}
		_, err := scriptedSession(t, &r.scripted, func(s *omadm.Session) { s.HTTPClient = &http.Client{Transport: r} })
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.resp, err)
		}
		if c.want == "" && (len(r.urls) != 2 || r.urls[1] != c.next) || c.want != "" && len(r.urls) != 1 {
			t.Errorf("%s: sent to %q", c.resp, r.urls)
		}
	}
}

// noContent answers every message after the first with status 204.
type noContent struct{ first http.RoundTripper }

func (n *noContent) RoundTrip(r *http.Request) (*http.Response, error) {
	if n.first != nil {
		first := n.first
		n.first = nil
		return first.RoundTrip(r)
	}
	return &http.Response{StatusCode: http.StatusNoContent, Body: io.NopCloser(strings.NewReader("")), Header: http.Header{}, Request: r}, nil
}

// An answer without content ends a session, and the server may end the device's
// management in it.
func TestNoContent(t *testing.T) {
	const exec = `<Exec><CmdID>2</CmdID><Item><Target><LocURI>./Vendor/MSFT/DMClient/Unenroll</LocURI></Target><Data>TestMDM</Data></Item></Exec><Final/>`
	s := &scripted{answers: []string{sync12(headerOK + exec)}}
	result, err := scriptedSession(t, s, func(o *omadm.Session) { o.HTTPClient = &http.Client{Transport: &noContent{s}} })
	if err != nil || result.Messages != 2 || result.Failed != 0 || !result.Unenrolled {
		t.Errorf("%+v, %v", result, err)
	}
	result, err = scriptedSession(t, s, func(o *omadm.Session) { o.HTTPClient = &http.Client{Transport: new(noContent)} })
	if err != nil || result.Messages != 1 || result.Unenrolled {
		t.Errorf("%+v, %v", result, err)
	}
}

// What has no CmdID or begins with a slash is refused, as by Windows.
func TestMalformedCommands(t *testing.T) {
	const item = `<Item><Target><LocURI>./Vendor/MSFT/A</LocURI></Target><Data>1</Data></Item>`
	s := &scripted{answers: []string{
		sync12(headerOK + `<Add>` + item + `</Add><Add><CmdID/>` + item + `</Add>` +
			`<Replace><CmdID>3</CmdID>` + strings.Replace(item, "./V", "/V", 1) + `</Replace><Final/>`), sync12("<Final/>"),
	}}
	result, err := scriptedSession(t, s, nil)
	if err != nil || len(result.Failures) != 2 || result.Failures[0].Status != 400 || result.Failures[0].Command != "Add" || result.Failures[1].URI != "/Vendor/MSFT/A" || result.Failures[1].Status != 400 {
		t.Errorf("%+v, %v", result, err)
	}
}

// Servers read what the device says of itself.
func TestSetDevice(t *testing.T) {
	tree := new(omadm.Tree)
	tree.SetDevice(mdm.Device{ID: "7", Name: "SEVEN", Manufacturer: "Contoso", Model: "Unit 7", Serial: "S-7", DirectoryID: "dir", HardwareHash: "aGFzaA=="})
	for uri, want := range map[string]string{
		"./DevInfo/Man": "Contoso", "./DevInfo/Mod": "Unit 7", "./DevDetail/Ext/Microsoft/DNSComputerName": "SEVEN",
		"./DevDetail/Ext/Microsoft/SMBIOSSerialNumber": "S-7", "./DevDetail/Ext/Microsoft/AADDeviceID": "dir", "./DevDetail/Ext/DeviceHardwareData": "aGFzaA==",
	} {
		if v, _ := tree.Get(uri); v.Data != want {
			t.Errorf("%s is %q", uri, v.Data)
		}
	}
	bare := new(omadm.Tree)
	bare.SetDevice(mdm.Device{ID: "7"})
	if _, there := bare.Get("./DevDetail/Ext/Microsoft/SMBIOSSerialNumber"); there {
		t.Error("a serial number out of nothing")
	}
}

// A document may remove nodes.
func TestApplyRemoved(t *testing.T) {
	d, err := mdm.ParseDocument([]byte(`<wap-provisioningdoc><characteristic type="DMClient"><nocharacteristic type="A"/><characteristic type="B"><noparm name="c"/><parm name="d" value="1"/></characteristic></characteristic></wap-provisioningdoc>`))
	if err != nil {
		t.Fatal(err)
	}
	tree := new(omadm.Tree)
	for _, uri := range []string{"./Vendor/MSFT/DMClient/A/x", "./Vendor/MSFT/DMClient/B/c", "./Vendor/MSFT/DMClient/E"} {
		tree.Set(uri, omadm.Value{Data: "1"})
	}
	tree.Apply(d)
	if got := strings.Join(tree.Children("./Vendor/MSFT/DMClient"), " ") + ": " + strings.Join(tree.Children("./Vendor/MSFT/DMClient/B"), " "); got != "B E: d" {
		t.Errorf("left %s", got)
	}
	if len(d.Find("DMClient", "A")) != 0 {
		t.Error("a removed node is found")
	}
}
