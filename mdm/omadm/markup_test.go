package omadm_test

import (
	"context"
	"testing"

	"github.com/whiteglove/whiteglove/mdm/internal/fixture"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
	"github.com/whiteglove/whiteglove/mdm/omadm"
)

// Servers write XML into Data as elements: to install packages, to set policies
// of ADMX files, and to write profiles of wireless networks.
func TestMarkup(t *testing.T) {
	const (
		job  = `<MsiInstallJob id="{0D9E0F0A-6D35-4B7E-8C11-3A0F5B1C2D3E}"><Product Version="1.0"><Download><ContentURLList><ContentURL>https://mdm.test/a.msi?x=1&amp;y=2</ContentURL></ContentURLList></Download></Product></MsiInstallJob>`
		admx = `<enabled/><data id="Limit" value="3"/>`
		wlan = "<?xml version=\"1.0\"?>\n<WLANProfile xmlns=\"http://www.microsoft.com/networking/WLAN/profile/v1\"><name>a</name></WLANProfile>\n"
		app  = "./Device/Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/A/DownloadInstall"
	)
	m := fixture.Manage(t, fixture.Plain{Signer: fixture.Opaque{Signer: fixture.Key()}}, mdmtest.SessionConfig{})
	var got []omadm.Operation
	m.Session.Tree.Handle(app, func(_ context.Context, op *omadm.Operation) int {
		got = append(got, *op)
		return 200
	})
	m.Give(
		mdmtest.WriteXML("Add", app, job), mdmtest.WriteXML("Exec", app, job),
		mdmtest.Atomic(mdmtest.WriteXML("Replace", "./Vendor/MSFT/Policy/Config/A", admx), mdmtest.WriteXML("Add", "./Vendor/MSFT/WiFi/Profile/a/WlanXml", wlan)),
		mdmtest.Read("./Vendor/MSFT/Policy/Config/A"),
	)
	if result := m.Run(t); result.Failed != 0 || result.Commands != 6 {
		t.Errorf("%+v", result)
	}
	if len(got) != 2 || got[1].Command != "Exec" || got[0].Value.Data != job || got[1].Value.Data != job || got[1].Value.Format != "xml" {
		t.Errorf("got %+v", got)
	}
	if got[0].Namespace("") != "SYNCML:SYNCML1.2" || got[0].Namespace("x") != "" {
		t.Errorf("the namespace is %q", got[0].Namespace(""))
	}
	for uri, want := range map[string]string{"./Vendor/MSFT/Policy/Config/A": admx, "./Vendor/MSFT/WiFi/Profile/a/WlanXml": wlan} {
		if v, _ := m.Session.Tree.Get(uri); v.Data != want {
			t.Errorf("%s is %q", uri, v.Data)
		}
	}
	for _, r := range m.Server.Responses(fixture.Device) {
		if r.Verb == "Get" && (r.Result == nil || r.Result.Data != admx) {
			t.Errorf("the device answers with %+v", r.Result)
		}
	}
}

// A handler can tell which namespaces a value is in.
func TestMarkupNamespaces(t *testing.T) {
	s := &scripted{answers: []string{
		`<s:SyncML xmlns:s="SYNCML:SYNCML1.2" xmlns:p="urn:p"><s:SyncHdr><s:MsgID>1</s:MsgID></s:SyncHdr><s:SyncBody><s:Exec><s:CmdID>2</s:CmdID><s:Item>` +
			`<s:Target><s:LocURI>./Vendor/MSFT/A</s:LocURI></s:Target><s:Data><p:Job/><Job/></s:Data></s:Item></s:Exec><s:Final/></s:SyncBody></s:SyncML>`, sync12(`<Final/>`),
	}}
	var got omadm.Operation
	result, err := scriptedSession(t, s, func(s *omadm.Session) {
		s.Tree.Handle("./Vendor/MSFT/A", func(_ context.Context, op *omadm.Operation) int { got = *op; return 200 })
	})
	if err != nil || result.Failed != 0 || got.Value.Data != "<p:Job/><Job/>" || got.Namespace("p") != "urn:p" || got.Namespace("") != "" {
		t.Errorf("%+v, %+v, %v", got, result, err)
	}
}
