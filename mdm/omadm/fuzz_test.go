package omadm_test

import (
	"context"
	"crypto/x509"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/esp"
	"github.com/whiteglove/whiteglove/mdm/omadm"
)

// Whatever a server says, a session ends, and the device answers every command
// it understood with a Status.
func FuzzSession(f *testing.F) {
	f.Add(headerOK + `<Atomic><CmdID>1</CmdID><Add><CmdID>2</CmdID><Item><Target><LocURI>./A/B</LocURI></Target><Data>1</Data></Item></Add>` +
		`<Delete><CmdID>3</CmdID><Item><Target><LocURI>./A/B</LocURI></Target></Item></Delete><Get><CmdID>4</CmdID></Get></Atomic><Final/>`)
	f.Add(`<Sequence><CmdID></CmdID><Atomic><Sequence><Exec><Item/></Exec></Sequence></Atomic></Sequence>`)
	f.Add(`<Get><Item><Target><LocURI>.</LocURI></Target></Item><Item><Target><LocURI>./%zz</LocURI></Target></Item></Get>`)
	f.Add(`<Exec><Item><Target><LocURI>./Vendor/MSFT/ClientCertificateInstall/SCEP/a/Install/Enroll</LocURI></Target></Item></Exec>`)
	f.Add(`<Exec><CmdID>1</CmdID><Item><Target><LocURI>./Vendor/MSFT/DMClient/Unenroll</LocURI></Target><Data>P</Data></Item></Exec>`)
	f.Add(`<Exec><CmdID>1</CmdID><Item><Target><LocURI>/A</LocURI></Target><Data><?xml version="1.0" encoding="utf-16"?><p:Job/><![CDATA[</Data>]]></Data></Item></Exec>`)
	f.Add(`<Status><CmdRef>0</CmdRef><MsgRef>1</MsgRef><Data>401</Data><Chal><Meta><Type>syncml:auth-md5</Type></Meta></Chal></Status>`)
	f.Fuzz(func(t *testing.T, body string) {
		s := &scripted{answers: []string{sync12(body), body, sync12("")}}
		page := &esp.Page{Provider: "P"}
		result, err := scriptedSession(t, s, func(s *omadm.Session) {
			s.MaxMessages = 4
			s.Auth = &mdm.Auth{Name: "n", Secret: "s"}
			s.Tree.HandleSCEP(func(context.Context, *omadm.SCEPOrder) (*x509.Certificate, error) { return nil, omadm.ErrPending })
			page.Tree = s.Tree
			page.Watch()
		})
		page.Report()
		if result == nil || result.Messages > 4 || len(s.heard) != result.Messages {
			t.Fatalf("%+v, %v", result, err)
		}
		for _, message := range s.heard {
			if strings.Count(message, "<Final/>") != 1 {
				t.Errorf("sent %q", message)
			}
		}
	})
}
