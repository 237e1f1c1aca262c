package omadm_test

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/mdm/internal/fixture"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
	"github.com/whiteglove/whiteglove/mdm/omadm"
)

// order has a server order a certificate, for a new tree.
func order(t *testing.T, m *fixture.Managed, leaves map[string]string, enroll func(context.Context, *omadm.SCEPOrder) (*x509.Certificate, error)) {
	t.Helper()
	if leaves["ServerURL"] == "" {
		leaves["ServerURL"] = "https://ca.test/scep"
	}
	m.Give(mdmtest.Order("vpn", leaves)...)
	m.Session.Tree = new(omadm.Tree)
	m.Session.Tree.HandleSCEP(enroll)
	m.Run(t)
}

// leaf is a value of the order's node.
func leaf(m *fixture.Managed, name string) string {
	v, ok := m.Session.Tree.Get(mdmtest.OrderRoot + "vpn/" + name)
	if !ok {
		return "none"
	}
	return v.Data
}

const orderExec = mdmtest.OrderRoot + "vpn/Install/Enroll"

func TestSCEPOrder(t *testing.T) {
	var got *omadm.SCEPOrder
	cert := fixture.Certificate(t, pkix.Name{})
	m := fixture.Manage(t, fixture.Key(), mdmtest.SessionConfig{})
	order(t, m, map[string]string{
		"ServerURL": "https://ca.test/scep; https://ca2.test/scep;", "Challenge": "sesame", "SubjectName": "CN=d,O=o",
		"SubjectAlternativeNames": "11+d@x.test", "EKUMapping": "1.3.6.1.5.5.7.3.2+1.3.6.1.5.5.7.3.4", "KeyUsage": "128",
		"KeyLength": "4096", "HashAlgorithm": "SHA-2+SHA-3", "KeyProtection": "2", "CAThumbprint": sha1Hex(cert),
		"RetryDelay": "1", "RetryCount": "99", "ValidPeriod": "Days", "ValidPeriodUnits": "30", "TemplateName": "T",
	}, func(_ context.Context, o *omadm.SCEPOrder) (*x509.Certificate, error) {
		got = o
		return cert, nil
	})
	want := &omadm.SCEPOrder{
		ID: "vpn", URI: "./Device/Vendor/MSFT/ClientCertificateInstall/SCEP/vpn",
		URLs: []string{"https://ca.test/scep", "https://ca2.test/scep"}, Challenge: "sesame", Subject: "CN=d,O=o",
		AlternativeNames: "11+d@x.test", EKUs: []string{"1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.4"}, KeyUsage: 128,
		KeyLength: 4096, Hashes: []string{"SHA-2", "SHA-3"}, KeyProtection: omadm.KeyTPMIfThere, CAThumbprint: sha1Hex(cert),
		RetryDelay: time.Minute, RetryCount: 30, ValidPeriod: "Days", ValidUnits: 30, Template: "T",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("order %+v, want %+v", got, want)
	}
	if !got.IsRoot(cert) || (&omadm.SCEPOrder{CAThumbprint: "00"}).IsRoot(cert) || !new(omadm.SCEPOrder).IsRoot(cert) {
		t.Error("IsRoot is wrong")
	}
	if m.Status("Exec", orderExec) != 200 || leaf(m, "Status") != "1" || leaf(m, "CertThumbprint") != sha1Hex(cert) || leaf(m, "ErrorCode") != "0" {
		t.Errorf("status %d, Status %s", m.Status("Exec", orderExec), leaf(m, "Status"))
	}
	if leaf(m, "Install/Challenge") != "none" {
		t.Error("the challenge is still there")
	}
	if s := fmt.Sprintf("%+v", got); strings.Contains(s, "sesame") {
		t.Errorf("printed: %s", s)
	}
}

type failing struct{ error }

func (failing) HRESULT() uint32 { return 0x80092004 }

func TestSCEPOrderFails(t *testing.T) {
	m := fixture.Manage(t, fixture.Key(), mdmtest.SessionConfig{})
	for _, test := range []struct {
		name               string
		err                error
		status             int
		node, code, secret string
	}{
		{"refused", failing{errors.New("no")}, 500, "16", "-2146885628", "none"},
		{"no code", errors.New("no"), 500, "16", "-2147467259", "none"},
		{"no certificate", nil, 500, "16", "-2147467259", "none"},
		{"pending", fmt.Errorf("later: %w", omadm.ErrPending), 202, "2", "0", "sesame"},
	} {
		order(t, m, map[string]string{"Challenge": "sesame"}, func(context.Context, *omadm.SCEPOrder) (*x509.Certificate, error) { return nil, test.err })
		if got := m.Status("Exec", orderExec); got != test.status || leaf(m, "Status") != test.node ||
			leaf(m, "ErrorCode") != test.code || leaf(m, "Install/Challenge") != test.secret {
			t.Errorf("%s: %d, Status %s, ErrorCode %s, Challenge %s", test.name, got, leaf(m, "Status"), leaf(m, "ErrorCode"), leaf(m, "Install/Challenge"))
		}
	}
}

// Orders that make no sense are refused before anybody is asked.
func TestSCEPOrderRefused(t *testing.T) {
	m := fixture.Manage(t, fixture.Key(), mdmtest.SessionConfig{})
	for name, leaves := range map[string]map[string]string{
		"not a URL":       {"ServerURL": "ca.test"},
		"file":            {"ServerURL": "file:///etc/passwd"},
		"no server":       {"ServerURL": ";"},
		"many servers":    {"ServerURL": strings.Repeat("https://ca.test/;", 17)},
		"no subject":      {"SubjectName": " "},
		"key usage":       {"KeyUsage": "6"},
		"no key usage":    {"KeyUsage": ""},
		"key length":      {"KeyLength": "512"},
		"huge key":        {"KeyLength": "1000000"},
		"key protection":  {"KeyProtection": "9"},
		"words":           {"RetryCount": "many"},
		"no delay at all": {"RetryDelay": "0"},
	} {
		order(t, m, leaves, func(context.Context, *omadm.SCEPOrder) (*x509.Certificate, error) {
			t.Errorf("%s: carried out", name)
			return nil, nil
		})
		if got := m.Status("Exec", orderExec); got != 400 || leaf(m, "Status") != "16" || leaf(m, "ErrorCode") != "-2147024809" {
			t.Errorf("%s: %d, Status %s, ErrorCode %s", name, got, leaf(m, "Status"), leaf(m, "ErrorCode"))
		}
	}
}
