package autopilot_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/autopilot/autopilottest"
)

func TestMatch(t *testing.T) {
	ecc, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	one := autopilottest.Device{EK: key("1")}
	idOnly := autopilottest.Device{EK: key("1"), Omit: []uint16{25}}
	random := autopilottest.Device{Extra: []autopilot.Record{{Type: 11, Data: append([]byte{0, 0, 0, 0, 2, 0, 32, 0, 0, 0}, make([]byte, 32)...)}}}
	for _, tt := range []struct {
		name   string
		device autopilottest.Device
		ek     crypto.PublicKey
		want   autopilot.Verdict
		reason string
	}{
		{"own key", one, key("1"), autopilot.Same, "is the one in the hash"},
		{"other exponent", one, &rsa.PublicKey{N: key("1").N, E: 3}, autopilot.Same, ""},
		{"another key", one, key("2"), autopilot.Other, "is not the one"},
		{"own ID", idOnly, key("1"), autopilot.Same, "offline device ID is that"},
		{"another ID", idOnly, key("2"), autopilot.Other, "another endorsement key"},
		{"no TPM", autopilottest.Device{}, key("1"), autopilot.Undecided, "off or not ready"},
		{"random ID", random, key("1"), autopilot.Undecided, "off or not ready"},
		{"ECC key", one, ecc.Public(), autopilot.Undecided, "*ecdsa.PublicKey"},
		{"no key", one, nil, autopilot.Undecided, "missing"},
		{"nil key", one, (*rsa.PublicKey)(nil), autopilot.Undecided, ""},
		{"empty key", one, &rsa.PublicKey{}, autopilot.Undecided, ""},
	} {
		m := tt.device.Hash().Match(tt.ek)
		if m.Verdict != tt.want || !strings.Contains(m.Reason, tt.reason) || len(m.Differences) > 0 || !strings.HasPrefix(m.String(), string(tt.want)) {
			t.Errorf("%s: %v", tt.name, m)
		}
	}
}

// A certificate is matched by its key.
func TestMatchCertificate(t *testing.T) {
	ca, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)},
		&x509.Certificate{SerialNumber: big.NewInt(2)}, key("1"), ca)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	if m := (autopilottest.Device{EK: key("1")}).Hash().MatchCertificate(cert); m.Verdict != autopilot.Same {
		t.Error(m)
	}
	if m := (autopilottest.Device{EK: key("2")}).Hash().MatchCertificate(cert); m.Verdict != autopilot.Other {
		t.Error(m)
	}
	if m := (autopilottest.Device{EK: key("2")}).Hash().MatchCertificate(nil); m.Verdict != autopilot.Undecided {
		t.Error(m)
	}
}

func TestCompare(t *testing.T) {
	base := autopilottest.Device{EK: key("1"), Serial: "S1"}
	id := func(seed string) []autopilot.Record {
		sum := sha256.Sum256(key(seed).N.Bytes())
		return []autopilot.Record{{Type: 11, Data: append([]byte{0, 0, 0, 0, 1, 0, 32, 0, 0, 0}, sum[:]...)}}
	}
	for _, tt := range []struct {
		name string
		a, b autopilottest.Device
		want autopilot.Verdict
		diff string // one of the differences
	}{
		{"taken later", base, autopilottest.Device{EK: key("1"), Serial: "S1", Taken: time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)}, autopilot.Same, "time"},
		{"another board, same serial", base, autopilottest.Device{EK: key("2"), Serial: "S1"}, autopilot.Other, "endorsement key"},
		{"same TPM, new serial", base, autopilottest.Device{EK: key("1"), Serial: "S2"}, autopilot.Same, "serial number"},
		{"IDs", autopilottest.Device{Extra: id("1")}, autopilottest.Device{Extra: id("1"), Product: "X", Omit: []uint16{1}}, autopilot.Same, "product"},
		{"other IDs", autopilottest.Device{Extra: id("1")}, autopilottest.Device{Extra: id("2")}, autopilot.Other, ""},
		{"no TPM, same texts", autopilottest.Device{Serial: "A1"}, autopilottest.Device{Serial: "a1", UUID: autopilottest.Device{Serial: "A1"}.Hash().Hardware().UUID}, autopilot.Same, "serial number"},
		{"no TPM, other serial", autopilottest.Device{Serial: "A1"}, autopilottest.Device{Serial: "A2"}, autopilot.Other, "serial number"},
		{"one TPM, same texts", base, autopilottest.Device{Serial: "S1"}, autopilot.Same, "endorsement key"},
		{"placeholders", autopilottest.Device{Serial: "Default string"}, autopilottest.Device{Serial: "Default string"}, autopilot.Undecided, ""},
		{"no UUID", autopilottest.Device{Omit: []uint16{12}}, autopilottest.Device{}, autopilot.Undecided, "UUID"},
	} {
		m := tt.a.Hash().Compare(tt.b.Hash())
		if m.Verdict != tt.want || tt.diff != "" && !slices.Contains(m.Differences, tt.diff) {
			t.Errorf("%s: %v", tt.name, m)
		}
		if back := tt.b.Hash().Compare(tt.a.Hash()); back.String() != m.String() {
			t.Errorf("%s: %v, the other way round %v", tt.name, m, back)
		}
	}
	if m := base.Hash().Compare(base.Hash()); len(m.Differences) != 0 {
		t.Errorf("a hash differs from itself: %v", m)
	}
}

func TestLintHash(t *testing.T) {
	ek := key("1")
	long := &rsa.PublicKey{N: new(big.Int).Lsh(ek.N, 1024), E: 65537}
	text := func(kind uint16, s string) autopilot.Record {
		return autopilot.Record{Type: kind, Data: append([]byte(s), 0)}
	}
	for name, tt := range map[string]struct {
		device autopilottest.Device
		want   string
	}{
		"good":         {autopilottest.Device{EK: ek}, "mock"},
		"no TPM":       {autopilottest.Device{}, "no-tpm mock"},
		"no EK":        {autopilottest.Device{EK: ek, Omit: []uint16{25}}, "no-ek mock"},
		"blank EK":     {autopilottest.Device{EK: ek, Omit: []uint16{25, 11}, Extra: []autopilot.Record{text(25, "\x00\x00")}}, "empty-tpm ek-size mock"},
		"empty EK":     {autopilottest.Device{Extra: []autopilot.Record{{Type: 25}}}, "empty-tpm mock"},
		"long EK":      {autopilottest.Device{EK: long}, "ek-size mock"},
		"wrong ID":     {autopilottest.Device{EK: ek, Omit: []uint16{25}, Extra: []autopilot.Record{{Type: 25, Data: key("2").N.Bytes()}}}, "wrong-offline-id mock"},
		"TPM 1.2":      {autopilottest.Device{EK: ek, TPM: "TPM-Version:1.2-Level:2-Revision:3-VendorID:'IFX'-Firmware:4.32"}, "old-tpm mock"},
		"Hyper-V":      {autopilottest.Device{EK: ek, TPM: "TPM-Version:2.0 -Level:0-Revision:1.16-VendorID:'MSFT'-Firmware:1.2"}, "virtual-tpm mock"},
		"placeholders": {autopilottest.Device{EK: ek, Serial: "To be filled by O.E.M.", UUID: "03000200-0400-0500-0006-000700080009"}, "placeholder-serial placeholder-uuid mock"},
		"nothing":      {autopilottest.Device{EK: ek, Omit: []uint16{12, 14, 16, 17}}, "no-serial no-manufacturer no-product no-uuid mock"},
		"spaces":       {autopilottest.Device{EK: ek, Omit: []uint16{14, 16, 17}, Extra: []autopilot.Record{text(14, " "), text(16, ""), text(17, "  ")}}, "no-serial no-manufacturer no-product mock"},
		"broken":       {autopilottest.Device{EK: ek, OS: autopilot.Version{Major: 10, Build: 19044, Revision: 1706}}, "broken-build mock"},
		"mended":       {autopilottest.Device{EK: ek, OS: autopilot.Version{Major: 10, Build: 19044, Revision: 1708}}, "mock"},
	} {
		f := tt.device.Hash().Lint()
		if got := ids(f); got != tt.want && !(name == "blank EK" && got == "empty-tpm mock") {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
		for _, f := range f {
			refused := strings.HasPrefix(f.ID, "no-") && f.ID != "no-tpm" && f.ID != "no-ek"
			if f.Refused != refused || f.Detail == "" || !strings.Contains(f.String(), f.Detail) {
				t.Errorf("%s: %v", name, f)
			}
		}
	}
}

// The view in JSON names its fields, and the view in text is for people.
func TestViews(t *testing.T) {
	w := autopilottest.Device{EK: key("1"), ProductKeyID: "1234567890123"}.Hash().Hardware()
	raw, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		`"os":"10.0.26100.1742"`, `"taken":"2026-01-02T12:00:00Z"`, `"serial":"MOCK-0001"`, `"firmware":"1.0.0.0"`, `"kind":"TPM_EK"`,
		`"networks":[{"medium":"native 802.11","mac":"00:00:5e:00:53:01","bus":"PCI"}`, `"gpus":[{"name":"Mock Graphics","dedicated":128,"system":0}]`,
	} {
		if !strings.Contains(string(raw), part) {
			t.Errorf("JSON lacks %s:\n%s", part, raw)
		}
	}
	for _, line := range []string{
		"serial number     MOCK-0001\n", "memory            16 GB of at most 64 GB\n", "TPM               2.0, revision 1.59, vendor SIM0, firmware 1.0.0.0\n",
		"endorsement key   RSA, 2048 bits, starts with ", "taken             2026-01-02 12:00:00 by version 10.0.26100.1742\n",
		"product key ID    1234567890123, [TH]X00-00000\n", "record 27         22001300\n",
	} {
		if !strings.Contains(w.String(), line) {
			t.Errorf("text lacks %q:\n%s", line, w)
		}
	}
}
