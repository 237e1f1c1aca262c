package drstest_test

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/drs/drstest"
)

const computerSID = "S-1-5-21-1004336348-1177238915-682003330-1104"

// computer adds a computer of Active Directory, with the n-th key, to the directory.
func (r *rig) computer(n int, sid string) *drs.Computer {
	r.t.Helper()
	key := softRSA(r.t, n)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "computer"}, NotBefore: r.now, NotAfter: r.now.AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		r.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		r.t.Fatal(err)
	}
	id, err := r.server.AddComputer(sid, cert)
	if err != nil {
		r.t.Fatal(err)
	}
	return &drs.Computer{ID: id, SID: sid, Key: key, DomainController: "dc1.contoso.test"}
}

func (r *rig) hybrid(m *drs.Computer) (*drs.Device, error) {
	d := r.device
	return r.client.JoinHybrid(r.t.Context(), r.tenant, m, &drs.Request{DeviceKey: d.dk, TransportKey: &d.tk.PublicKey, DisplayName: "soft", OSVersion: "10.0"})
}

func TestHybrid(t *testing.T) {
	r := newRig(t)
	m, other := r.computer(4, computerSID), r.computer(5, computerSID+"5")
	dev, err := r.hybrid(m)
	if err != nil {
		t.Fatal(err, r.server.Refusals())
	}
	o := r.object(m.ID)
	if dev.ID != m.ID || !dev.Joined || !o.Enabled || o.ComputerSID != computerSID || !o.TransportKey.Equal(&r.device.tk.PublicKey) || o.DisplayName != "soft" || o.OSVersion != "10.0" || o.AttestationLevel != 0 {
		t.Errorf("joined as %+v", o)
	}
	checkCertificate(t, r, dev.Certificate)
	again, err := r.hybrid(m)
	if err != nil || !again.Certificate.Equal(dev.Certificate) {
		t.Errorf("repeated: %v", err)
	}
	// The same keys with another computer are another join.
	second, err := r.hybrid(other)
	if err != nil || second.ID != other.ID {
		t.Errorf("another computer: %v", err)
	}
}

func TestHybridRefused(t *testing.T) {
	const invalid = "ClientIdentityInvalid"
	identity := func(b map[string]any) map[string]any {
		return b["ServerAdJoinData"].(map[string]any)["ClientIdentity"].(map[string]any)
	}
	for _, c := range []struct {
		name            string
		do              func(r *rig, m *drs.Computer)
		change          func(body map[string]any)
		subcode, reason string
	}{
		{"another key", func(r *rig, m *drs.Computer) { m.Key = softRSA(r.t, 5) }, nil, invalid, "verification error"},
		{"another computer's name", func(r *rig, m *drs.Computer) { m.SID += "5" }, nil, invalid, "another computer"},
		{"another computer's object", func(r *rig, m *drs.Computer) { m.ID = r.computer(5, computerSID+"5").ID }, nil, invalid, "another computer"},
		{"object of no computer", func(r *rig, m *drs.Computer) { m.ID = r.server.Objects()[0].DeviceID }, nil, invalid, "no such computer"},
		{"no object", func(r *rig, m *drs.Computer) { r.server.Remove(m.ID) }, nil, invalid, "no such computer"},
		{"old", func(r *rig, m *drs.Computer) { r.signedAt(-6 * time.Minute) }, nil, invalid, "6m0s ago"},
		{"of the future", func(r *rig, m *drs.Computer) { r.signedAt(6 * time.Minute) }, nil, invalid, "-6m0s ago"},
		{"another time than is signed", nil, func(b map[string]any) {
			sid := identity(b)["Sid"].(string)
			identity(b)["Sid"] = strings.Replace(sid, ":09Z", ":10Z", 1)
		}, invalid, "verification error"},
		{"no time", nil, func(b map[string]any) { identity(b)["Sid"] = computerSID }, invalid, "is not a date"},
		{"no signature", nil, func(b map[string]any) { delete(identity(b), "SignedBlob") }, invalid, "verification error"},
		{"type", nil, func(b map[string]any) { identity(b)["Type"] = "plain" }, invalid, `type "plain"`},
		{"join type", nil, func(b map[string]any) { b["JoinType"] = 0 }, "error_fail", "join type 0"},
		{"tenant", nil, func(b map[string]any) {
			b["ServerAdJoinData"].(map[string]any)["TargetDomainId"] = "00000000-1111-4222-8333-444444444444"
		}, "error_fail", "target domain"},
		{"keys elsewhere", nil, func(b map[string]any) { b["TransportKey"] = base64.StdEncoding.EncodeToString([]byte("RSA1")) }, "error_fail", "outside ServerAdJoinData"},
		{"transport key", nil, func(b map[string]any) { b["ServerAdJoinData"].(map[string]any)["TransportKey"] = "UlNBMQ==" }, "error_fail", "transport key"},
		{"version", func(r *rig, m *drs.Computer) { r.tenant.JoinVersion = "3.0" }, nil, "error_fail", "api-version"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			m := r.computer(4, computerSID)
			if c.do != nil {
				c.do(r, m)
			}
			if c.change != nil {
				r.change = func(_ string, b map[string]any) { c.change(b) }
			}
			_, err := r.hybrid(m)
			r.refused(err, "Hybrid", c.subcode, c.reason)
		})
	}
}

// signedAt sets the difference of the client's clock from the server's.
func (r *rig) signedAt(d time.Duration) {
	at := r.now.Add(d)
	r.client.Now = func() time.Time { return at }
}

func TestAddComputerRefused(t *testing.T) {
	s := new(drstest.Server)
	if _, err := s.AddComputer(computerSID, nil); err == nil {
		t.Error("no certificate")
	}
	r := newRig(t)
	cert, err := r.server.AddDevice(&softRSA(t, 5).PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddComputer(computerSID, cert); err == nil || !strings.Contains(err.Error(), "self-signed") {
		t.Errorf("issued by another: %v", err)
	}
	if _, err := s.AddComputer("computer", cert); err == nil || !strings.Contains(err.Error(), "SID") {
		t.Errorf("no SID: %v", err)
	}
}
