package mdm_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
)

const policy = "./Device/Vendor/MSFT/Policy/Config/"

// A first session as servers hold it: profiles in an Atomic, reads of values,
// of interior nodes and of what is not there, writes that must fail.
func TestSession(t *testing.T) {
	m := manage(t, plain{opaque{mdmKey()}}, mdmtest.SessionConfig{Commands: []mdmtest.Command{
		mdmtest.Atomic(
			mdmtest.Write("Replace", policy+"Camera/AllowCamera", "int", " 0 "),
			mdmtest.Write("Add", policy+"WiFi/A%20B", "chr", "x & <y>\n "),
		),
		mdmtest.Read("./DevDetail/SwV", policy+"WiFi", "./Vendor/MSFT/Nothing", policy+"WiFi/A%20B"),
		mdmtest.Write("Add", policy+"Camera/AllowCamera", "int", "1"),
		mdmtest.Write("Replace", "./DevInfo/Man", "chr", "x"),
		mdmtest.Write("Add", policy+"Camera/AllowCamera/Below", "int", "1"),
		mdmtest.Write("Replace", policy+"Camera", "chr", "1"),
		mdmtest.Write("Exec", policy+"Camera/AllowCamera", "", ""),
		mdmtest.Write("Exec", "./Vendor/MSFT/RemoteWipe/doWipe", "", ""),
		mdmtest.Write("Add", "./User/Vendor/MSFT/X", "chr", "1"),
		mdmtest.Write("Delete", policy+"Nothing", "", ""),
		mdmtest.Write("Delete", "./Device", "", ""),
		mdmtest.Write("Delete", policy+"WiFi", "", ""),
		mdmtest.Write("Replace", "./Vendor//X", "chr", "1"),
		mdmtest.Read("./Vendor/MSFT?list=StructData"),
		{Verb: "Alert", Data: "1100"},
		{Verb: "Copy", Items: []mdmtest.Item{{Target: policy}}},
		{Verb: "Frobnicate"},
		{Verb: "Sequence", Commands: []mdmtest.Command{
			mdmtest.Write("Add", policy+"S/1", "chr", "1"), mdmtest.Write("Add", policy+"S/1", "chr", "2"), mdmtest.Write("Add", policy+"S/2", "", "2"),
		}},
		{Verb: "Add", Items: []mdmtest.Item{{Target: policy + "M/1", Data: "1"}, {Target: policy + "M/2", Data: "2"}}},
		{Verb: "Add", Items: []mdmtest.Item{{Target: policy + "M/3", Data: "1"}, {Target: policy + "M/2", Data: "2"}}},
	}})
	got := m.run(t)
	type line struct {
		verb, target string
		status       int
		result       string
	}
	want := []line{
		{"Atomic", "", 200, ""},
		{"Replace", policy + "Camera/AllowCamera", 200, ""},
		{"Add", policy + "WiFi/A%20B", 200, ""},
		{"Get", "./DevDetail/SwV", 200, "chr " + mdm.DefaultOSVersion},
		{"Get", policy + "WiFi", 200, "node A%20B"},
		{"Get", "./Vendor/MSFT/Nothing", 404, ""},
		{"Get", policy + "WiFi/A%20B", 200, "chr x & <y>\n "},
		{"Add", policy + "Camera/AllowCamera", 418, ""},
		{"Replace", "./DevInfo/Man", 405, ""},
		{"Add", policy + "Camera/AllowCamera/Below", 405, ""},
		{"Replace", policy + "Camera", 405, ""},
		{"Exec", policy + "Camera/AllowCamera", 405, ""},
		{"Exec", "./Vendor/MSFT/RemoteWipe/doWipe", 404, ""},
		{"Add", "./User/Vendor/MSFT/X", 405, ""},
		{"Delete", policy + "Nothing", 404, ""},
		{"Delete", "./Device", 405, ""},
		{"Delete", policy + "WiFi", 200, ""},
		{"Replace", "./Vendor//X", 400, ""},
		{"Get", "./Vendor/MSFT?list=StructData", 406, ""},
		{"Alert", "", 406, ""},
		{"Copy", policy, 406, ""},
		{"Frobnicate", "", 400, ""},
		{"Sequence", "", 500, ""},
		{"Add", policy + "S/1", 200, ""},
		{"Add", policy + "S/1", 418, ""},
		{"Add", policy + "S/2", 200, ""},
		{"Add", policy + "M/1", 200, ""},
		{"Add", policy + "M/2", 200, ""},
		{"Add", policy + "M/3", 200, ""},
		{"Add", policy + "M/2", 418, ""},
	}
	var lines []line
	for _, r := range m.server.Responses(testDevice) {
		l := line{r.Verb, r.Target, r.Status, ""}
		if r.Result != nil {
			l.result = r.Result.Format + " " + r.Result.Data
		}
		lines = append(lines, l)
	}
	if !reflect.DeepEqual(lines, want) {
		t.Errorf("got\n%v\nwant\n%v", lines, want)
	}
	if !got.CertificateSent || got.Messages != 2 || got.Commands != 25 || len(got.Oddities) != 0 || len(got.Refused) != 0 {
		t.Errorf("got %+v", got)
	}
	if v, ok := m.session.Tree.Get(policy + "Camera/AllowCamera"); !ok || v != (mdm.Value{Format: "int", Data: "0"}) {
		t.Errorf("the tree has %+v, %v", v, ok)
	}
	if _, ok := m.session.Tree.Get(policy + "WiFi/A B"); ok {
		t.Error("a deleted node is there")
	}
	if n, _ := m.server.Sessions(testDevice); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

// An Atomic of which a command fails leaves nothing behind.
func TestAtomic(t *testing.T) {
	m := manage(t, mdmKey(), mdmtest.SessionConfig{})
	for _, test := range []struct {
		name string
		last mdmtest.Command
		code int
	}{
		{"a node that is there", mdmtest.Write("Add", policy+"Old", "chr", "new"), 418},
		{"a Get", mdmtest.Read(policy + "Old"), 500},
		{"an Atomic", mdmtest.Atomic(), 500},
	} {
		m.session.Tree = new(mdm.Tree)
		before := len(m.server.Responses(testDevice))
		m.give(
			mdmtest.Write("Add", policy+"Old", "chr", "old"),
			mdmtest.Write("Add", policy+"Gone/1", "chr", "1"),
			mdmtest.Atomic(
				mdmtest.Write("Add", policy+"New/Deep/Er", "chr", "1"),
				mdmtest.Write("Replace", policy+"Old", "chr", "changed"),
				mdmtest.Write("Delete", policy+"Gone", "", ""),
				test.last,
				mdmtest.Write("Add", policy+"Never", "chr", "1"),
			),
		)
		m.run(t)
		var codes []int
		for _, r := range m.server.Responses(testDevice)[before:] {
			codes = append(codes, r.Status)
		}
		if want := []int{200, 200, 507, 216, 216, 216, test.code, 215}; !reflect.DeepEqual(codes, want) {
			t.Errorf("%s: statuses %v, want %v", test.name, codes, want)
		}
		tree := m.session.Tree
		if v, _ := tree.Get(policy + "Old"); v.Data != "old" {
			t.Errorf("%s: the old value is %q", test.name, v.Data)
		}
		if got := strings.Join(tree.Children(policy), " "); got != "Gone Old" {
			t.Errorf("%s: nodes %s", test.name, got)
		}
		if v, _ := tree.Get(policy + "Gone/1"); v.Data != "1" {
			t.Errorf("%s: what was deleted is not back", test.name)
		}
	}
}

// Each oddity of a public server, three sessions.
func TestSessionQuirks(t *testing.T) {
	m := manage(t, mdmKey(), mdmtest.SessionConfig{})
	quirks := reflect.TypeFor[mdmtest.SessionQuirks]()
	for i := range quirks.NumField() {
		t.Run(quirks.Field(i).Name, func(t *testing.T) {
			if quirks.Field(i).Name == "TrustSource" {
				t.Skip("see TestNoClientCertificate")
			}
			m.configure(func(c *mdmtest.SessionConfig) {
				c.Quirks = mdmtest.SessionQuirks{}
				reflect.ValueOf(&c.Quirks).Elem().Field(i).SetBool(true)
			})
			for n := range 3 {
				m.give(
					mdmtest.Atomic(mdmtest.Write("Replace", policy+"Q", "int", "1"), mdmtest.Write("Delete", policy+"Q", "", "")),
					mdmtest.Read("./DevDetail/DevTyp"),
				)
				result := m.run(t)
				if result.Commands != 4 || result.Failed != 0 || !result.CertificateSent {
					t.Fatalf("session %d: %+v", n, result)
				}
			}
			if r := m.server.Refusals(); len(r) > 0 {
				t.Error(r)
			}
		})
	}
}

func TestNoClientCertificate(t *testing.T) {
	m := manage(t, mdmKey(), mdmtest.SessionConfig{Quirks: mdmtest.SessionQuirks{TrustSource: true}})
	if got := m.run(t); got.CertificateSent {
		t.Errorf("got %+v, but nobody asked for the certificate", got)
	}
	m.configure(func(c *mdmtest.SessionConfig) { c.Quirks.TrustSource = false })
	_, err := m.session.Run(t.Context()) // the listener still does not ask
	if e := failure(t, err); e.HTTPStatus != http.StatusForbidden || e.Op != "Session" {
		t.Errorf("got %v", err)
	}
}

// The server takes no certificate but the one it gave the device.
func TestWrongClient(t *testing.T) {
	m := manage(t, mdmKey(), mdmtest.SessionConfig{})
	honest := m.session.Certificate

	for _, forged := range []*x509.Certificate{deviceCertificate(t), selfSigned(t, honest.Subject)} {
		m.session.Certificate = forged
		_, err := m.session.Run(t.Context())
		if e := failure(t, err); e.HTTPStatus != http.StatusForbidden {
			t.Errorf("own certificate: %v", err)
		}
	}
	m.session.Certificate, m.session.Device.ID = honest, "someone-else"
	_, err := m.session.Run(t.Context())
	if e := failure(t, err); e.HTTPStatus != http.StatusForbidden {
		t.Errorf("another source: %v", err)
	}
	m.session.Device.ID, m.session.Key = testDevice, otherKey()
	if _, err := m.session.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "another key") {
		t.Errorf("another key: %v", err)
	}
}

// An own transport proves the device if it uses TLSConfig.
func TestOwnTransport(t *testing.T) {
	m := manage(t, mdmKey(), mdmtest.SessionConfig{})
	base := m.http.Client().Transport.(*http.Transport).TLSClientConfig
	config, err := m.session.TLSConfig(base)
	if err != nil {
		t.Fatal(err)
	}
	if config.MaxVersion != tls.VersionTLS12 || base.MaxVersion == tls.VersionTLS12 {
		t.Errorf("versions %x, %x", config.MaxVersion, base.MaxVersion)
	}
	wrapped := wrapper{&http.Transport{TLSClientConfig: config}}
	m.session.HTTPClient = &http.Client{Transport: wrapped}
	defer m.session.HTTPClient.CloseIdleConnections()
	if got := m.run(t); !got.CertificateSent {
		t.Errorf("got %+v", got)
	}
}

type wrapper struct{ http.RoundTripper }

func TestUnenroll(t *testing.T) {
	m := manage(t, mdmKey(), mdmtest.SessionConfig{Next: func(_ string, done []mdmtest.Response) []mdmtest.Command {
		if len(done) > 0 {
			return nil
		}
		return []mdmtest.Command{mdmtest.Write("Delete", "./Vendor/MSFT/DMClient/Provider/TestMDM", "", "")}
	}})
	m.session.Tree.Set("./Vendor/MSFT/DMClient/Provider/TestMDM/EntDMID", mdm.Value{Data: "x"})
	if _, err := m.session.Unenroll(t.Context()); err != nil {
		t.Fatal(err, m.server.Refusals())
	}
	if _, gone := m.server.Sessions(testDevice); !gone {
		t.Error("the server did not see it")
	}
	if n := m.session.Tree.Children("./Vendor/MSFT/DMClient/Provider"); len(n) != 0 {
		t.Errorf("the account's nodes are there: %v", n)
	}
	_, err := m.session.Run(t.Context())
	if e := failure(t, err); e.HTTPStatus != http.StatusBadRequest {
		t.Errorf("a session after the end: %v", err)
	}
}

func TestDigest(t *testing.T) {
	m := manage(t, mdmKey(), mdmtest.SessionConfig{
		DigestSecret: "sesame", Commands: []mdmtest.Command{mdmtest.Read("./DevInfo/DevId")},
	})
	_, err := m.session.Run(t.Context())
	var status *mdm.StatusError
	if !errors.As(err, &status) || status.Status != 407 {
		t.Errorf("without secret: %v", err)
	}
	for _, auth := range m.account.Auth {
		if auth.Level == "APPSRV" {
			m.session.Auth = &auth
		}
	}
	secret := m.session.Auth.Secret
	m.session.Auth.Secret = "open"
	if _, err = m.session.Run(t.Context()); !errors.As(err, &status) || status.Status != 401 {
		t.Errorf("wrong secret: %v", err)
	}
	m.session.Auth.Secret = secret
	if got := m.run(t); got.Messages != 3 || m.status("Get", "./DevInfo/DevId") != 200 {
		t.Errorf("got %+v", got)
	}
}

// A server that has always more to say is left in the end.
func TestEndlessSession(t *testing.T) {
	m := manage(t, mdmKey(), mdmtest.SessionConfig{Next: func(string, []mdmtest.Response) []mdmtest.Command {
		return []mdmtest.Command{mdmtest.Read("./DevInfo/DevId")}
	}})
	m.session.MaxMessages = 5
	key := &counting{Signer: mdmKey()}
	m.session.Key = key
	got, err := m.session.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "after 5 messages") || got == nil || got.Messages != 5 || got.Commands != 5 {
		t.Errorf("got %+v, %v", got, err)
	}
	if key.signs != 1 { // a TPM takes its time for each
		t.Errorf("%d signatures in one session", key.signs)
	}
}

// An answer that is too large for the server ends the session with alert 1223.
func TestMaxMsgSize(t *testing.T) {
	m := manage(t, mdmKey(), mdmtest.SessionConfig{
		MaxMsgSize: 2048, Commands: []mdmtest.Command{mdmtest.Read("./Vendor/MSFT/Large")},
	})
	m.session.Tree.Set("./Vendor/MSFT/Large", mdm.Value{Data: strings.Repeat("x", 2048)})
	if _, err := m.session.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "larger than the 2048 bytes") {
		t.Errorf("got %v", err)
	}
	if r := m.server.Refusals(); len(r) != 1 || r[0] != "Session: the device ended the session" {
		t.Errorf("refusals %q", r)
	}
}
