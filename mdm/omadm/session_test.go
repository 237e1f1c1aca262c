package omadm_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/internal/fixture"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
	"github.com/whiteglove/whiteglove/mdm/omadm"
)

const policy = "./Device/Vendor/MSFT/Policy/Config/"

// A first session as servers hold it: profiles in an Atomic, reads of values,
// of interior nodes and of what is not there, writes that must fail.
func TestSession(t *testing.T) {
	m := fixture.Manage(t, fixture.Plain{Signer: fixture.Opaque{Signer: fixture.Key()}}, mdmtest.SessionConfig{Commands: []mdmtest.Command{
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
	got := m.Run(t)
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
	for _, r := range m.Server.Responses(fixture.Device) {
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
	if v, ok := m.Session.Tree.Get(policy + "Camera/AllowCamera"); !ok || v != (omadm.Value{Format: "int", Data: "0"}) {
		t.Errorf("the tree has %+v, %v", v, ok)
	}
	if _, ok := m.Session.Tree.Get(policy + "WiFi/A B"); ok {
		t.Error("a deleted node is there")
	}
	if n, _ := m.Server.Sessions(fixture.Device); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

// An Atomic of which a command fails leaves nothing behind.
func TestAtomic(t *testing.T) {
	m := fixture.Manage(t, fixture.Key(), mdmtest.SessionConfig{})
	for _, test := range []struct {
		name string
		last mdmtest.Command
		code int
	}{
		{"a node that is there", mdmtest.Write("Add", policy+"Old", "chr", "new"), 418},
		{"a Get", mdmtest.Read(policy + "Old"), 500},
		{"an Atomic", mdmtest.Atomic(), 500},
	} {
		m.Session.Tree = new(omadm.Tree)
		before := len(m.Server.Responses(fixture.Device))
		m.Give(
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
		m.Run(t)
		var codes []int
		for _, r := range m.Server.Responses(fixture.Device)[before:] {
			codes = append(codes, r.Status)
		}
		if want := []int{200, 200, 507, 216, 216, 216, test.code, 215}; !reflect.DeepEqual(codes, want) {
			t.Errorf("%s: statuses %v, want %v", test.name, codes, want)
		}
		tree := m.Session.Tree
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
	m := fixture.Manage(t, fixture.Key(), mdmtest.SessionConfig{})
	quirks := reflect.TypeFor[mdmtest.SessionQuirks]()
	for i := range quirks.NumField() {
		t.Run(quirks.Field(i).Name, func(t *testing.T) {
			if quirks.Field(i).Name == "TrustSource" {
				t.Skip("see TestNoClientCertificate")
			}
			m.Configure(func(c *mdmtest.SessionConfig) {
				c.Quirks = mdmtest.SessionQuirks{}
				reflect.ValueOf(&c.Quirks).Elem().Field(i).SetBool(true)
			})
			for n := range 3 {
				m.Give(
					mdmtest.Atomic(mdmtest.Write("Replace", policy+"Q", "int", "1"), mdmtest.Write("Delete", policy+"Q", "", "")),
					mdmtest.Read("./DevDetail/DevTyp"),
				)
				result := m.Run(t)
				if result.Commands != 4 || result.Failed != 0 || !result.CertificateSent {
					t.Fatalf("session %d: %+v", n, result)
				}
			}
			if r := m.Server.Refusals(); len(r) > 0 {
				t.Error(r)
			}
		})
	}
}

func TestNoClientCertificate(t *testing.T) {
	m := fixture.Manage(t, fixture.Key(), mdmtest.SessionConfig{Quirks: mdmtest.SessionQuirks{TrustSource: true}})
	if got := m.Run(t); got.CertificateSent {
		t.Errorf("got %+v, but nobody asked for the certificate", got)
	}
	m.Configure(func(c *mdmtest.SessionConfig) { c.Quirks.TrustSource = false })
	_, err := m.Session.Run(t.Context()) // the listener still does not ask
	if e := fixture.Failure(t, err); e.HTTPStatus != http.StatusForbidden || e.Op != "Session" {
		t.Errorf("got %v", err)
	}
}

// The server takes no certificate but the one it gave the device.
func TestWrongClient(t *testing.T) {
	m := fixture.Manage(t, fixture.Key(), mdmtest.SessionConfig{})
	honest := m.Session.Certificate

	for _, forged := range []*x509.Certificate{fixture.Certificate(t, pkix.Name{}), fixture.Certificate(t, honest.Subject)} {
		m.Session.Certificate = forged
		_, err := m.Session.Run(t.Context())
		if e := fixture.Failure(t, err); e.HTTPStatus != http.StatusForbidden {
			t.Errorf("own certificate: %v", err)
		}
	}
	m.Session.Certificate, m.Session.Device.ID = honest, "someone-else"
	_, err := m.Session.Run(t.Context())
	if e := fixture.Failure(t, err); e.HTTPStatus != http.StatusForbidden {
		t.Errorf("another source: %v", err)
	}
	m.Session.Device.ID, m.Session.Key = fixture.Device, fixture.OtherKey()
	if _, err := m.Session.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "another key") {
		t.Errorf("another key: %v", err)
	}
}

// An own transport proves the device if it uses TLSConfig.
func TestOwnTransport(t *testing.T) {
	m := fixture.Manage(t, fixture.Key(), mdmtest.SessionConfig{})
	base := m.HTTP.Client().Transport.(*http.Transport).TLSClientConfig
	config, err := m.Session.TLSConfig(base)
	if err != nil {
		t.Fatal(err)
	}
	if config.MaxVersion != tls.VersionTLS12 || base.MaxVersion == tls.VersionTLS12 {
		t.Errorf("versions %x, %x", config.MaxVersion, base.MaxVersion)
	}
	wrapped := wrapper{&http.Transport{TLSClientConfig: config}}
	m.Session.HTTPClient = &http.Client{Transport: wrapped}
	defer m.Session.HTTPClient.CloseIdleConnections()
	if got := m.Run(t); !got.CertificateSent {
		t.Errorf("got %+v", got)
	}
}

type wrapper struct{ http.RoundTripper }

func TestUnenroll(t *testing.T) {
	m := fixture.Manage(t, fixture.Key(), mdmtest.SessionConfig{Next: func(_ string, done []mdmtest.Response) []mdmtest.Command {
		if len(done) > 0 {
			return nil
		}
		return []mdmtest.Command{mdmtest.Write("Delete", "./Vendor/MSFT/DMClient/Provider/TestMDM", "", "")}
	}})
	m.Session.Tree.Set("./Vendor/MSFT/DMClient/Provider/TestMDM/EntDMID", omadm.Value{Data: "x"})
	if _, err := m.Session.Unenroll(t.Context()); err != nil {
		t.Fatal(err, m.Server.Refusals())
	}
	if _, gone := m.Server.Sessions(fixture.Device); !gone {
		t.Error("the server did not see it")
	}
	if n := m.Session.Tree.Children("./Vendor/MSFT/DMClient/Provider"); len(n) != 0 {
		t.Errorf("the account's nodes are there: %v", n)
	}
	_, err := m.Session.Run(t.Context())
	if e := fixture.Failure(t, err); e.HTTPStatus != http.StatusForbidden {
		t.Errorf("a session after the end: %v", err)
	}
}

func TestDigest(t *testing.T) {
	m := fixture.Manage(t, fixture.Key(), mdmtest.SessionConfig{
		DigestSecret: "sesame", Commands: []mdmtest.Command{mdmtest.Read("./DevInfo/DevId")},
	})
	_, err := m.Session.Run(t.Context())
	var status *omadm.StatusError
	if !errors.As(err, &status) || status.Status != 407 {
		t.Errorf("without secret: %v", err)
	}
	for _, auth := range m.Account.Auth {
		if auth.Level == "APPSRV" {
			m.Session.Auth = &auth
		}
	}
	secret := m.Session.Auth.Secret
	m.Session.Auth.Secret = "open"
	if _, err = m.Session.Run(t.Context()); !errors.As(err, &status) || status.Status != 401 {
		t.Errorf("wrong secret: %v", err)
	}
	m.Session.Auth.Secret = secret
	if got := m.Run(t); got.Messages != 3 || m.Status("Get", "./DevInfo/DevId") != 200 {
		t.Errorf("got %+v", got)
	}
}

// A server that has always more to say is left in the end.
func TestEndlessSession(t *testing.T) {
	m := fixture.Manage(t, fixture.Key(), mdmtest.SessionConfig{Next: func(string, []mdmtest.Response) []mdmtest.Command {
		return []mdmtest.Command{mdmtest.Read("./DevInfo/DevId")}
	}})
	m.Session.MaxMessages = 5
	key := &counting{Signer: fixture.Key()}
	m.Session.Key = key
	got, err := m.Session.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "after 5 messages") || got == nil || got.Messages != 5 || got.Commands != 5 {
		t.Errorf("got %+v, %v", got, err)
	}
	if key.signs != 1 { // a TPM takes its time for each
		t.Errorf("%d signatures in one session", key.signs)
	}
}

// An answer that is too large for the server ends the session with alert 1223.
func TestMaxMsgSize(t *testing.T) {
	m := fixture.Manage(t, fixture.Key(), mdmtest.SessionConfig{
		MaxMsgSize: 2048, Commands: []mdmtest.Command{mdmtest.Read("./Vendor/MSFT/Large")},
	})
	m.Session.Tree.Set("./Vendor/MSFT/Large", omadm.Value{Data: strings.Repeat("x", 2048)})
	if _, err := m.Session.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "larger than the 2048 bytes") {
		t.Errorf("got %v", err)
	}
	if r := m.Server.Refusals(); len(r) != 1 || r[0] != "Session: the device ended the session" {
		t.Errorf("refusals %q", r)
	}
}
