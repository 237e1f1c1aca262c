package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/ekcert/ekcerttest"
)

func TestTPM(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run(t.Context(), nil, &out, &errs); code != 0 || errs.Len() > 0 {
		t.Fatalf("%d: %s", code, &errs)
	}
	for _, want := range []string{"rsa2048", "verdict      good\n", "origin       nv:0x01c00002", "maker        SIM0 id:53494D30", "chain        CN="} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

func TestTPMOfAnotherMaker(t *testing.T) {
	m := new(ekcerttest.Maker)
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"-ek-roots", rootsFile(t, m), "-json"}, &out, &errs); code != 1 {
		t.Fatalf("%d: %s", code, &errs)
	}
	for line := range strings.Lines(out.String()) {
		var r result
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if r.Verdict == good || !strings.Contains(r.Error, "(0x8") {
			t.Errorf("%+v", r)
		}
	}
}

func rootsFile(t *testing.T, m *ekcerttest.Maker) string {
	t.Helper()
	root := m.Certificates()[1]
	return write(t, "roots.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw}))
}

func write(t *testing.T, name string, b []byte) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func newKey(t *testing.T) crypto.PublicKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k.Public()
}

// TestFile has dumps of NV memory, with issuers and CRLs on a server.
func TestFile(t *testing.T) {
	for name, tt := range map[string]struct {
		quirks  []string
		revoke  bool
		offline bool
		code    int
		want    result
	}{
		"dump with fill":    {quirks: []string{"fill-ff"}, want: result{Verdict: good, Revocation: "good"}},
		"dump with header":  {quirks: []string{"header-7"}, want: result{Verdict: good, Revocation: "good"}},
		"offline":           {offline: true, code: 1, want: result{Verdict: bad}},
		"chain in the file": {quirks: []string{"joined"}, offline: true, want: result{Verdict: good, Revocation: "unchecked"}},
		"revoked":           {revoke: true, code: 1, want: result{Verdict: bad}},
		"forged":            {quirks: []string{"forged-signature"}, code: 1, want: result{Verdict: bad}},
	} {
		m := &ekcerttest.Maker{Vendor: "AMD", Quirks: tt.quirks}
		server := httptest.NewServer(m)
		m.BaseURL = server.URL
		der, err := m.Certify(newKey(t))
		if err != nil {
			t.Fatal(err)
		}
		args := []string{"-file", write(t, "nv.bin", m.NV(der)), "-ek-roots", rootsFile(t, m), "-json"}
		if !tt.offline {
			args = append(args, "-online")
		}
		if tt.revoke {
			revokeAll(m)
		}
		var out, errs bytes.Buffer
		code := run(t.Context(), args, &out, &errs)
		server.Close()
		var r result
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			t.Fatalf("%s: %v: %s%s", name, err, &out, &errs)
		}
		if code != tt.code || r.Verdict != tt.want.Verdict || r.Revocation != tt.want.Revocation || r.Vendor != "AMD" || r.Key != "p256" ||
			(r.Error == "") != (code == 0) {
			t.Errorf("%s: %d, %+v", name, code, r)
		}
	}
}

// TestWeakKey has a key whose private key can be computed: by each prime of the
// fingerprint, 1 is left of its modulus.
func TestWeakKey(t *testing.T) {
	product := big.NewInt(2)
	for _, p := range []int64{11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157} {
		product.Mul(product, big.NewInt(p))
	}
	n := new(big.Int).Lsh(big.NewInt(3), 2046)
	n.Sub(n, new(big.Int).Mod(n, product)).Add(n, big.NewInt(1))
	m := &ekcerttest.Maker{Vendor: "IFX", Quirks: []string{"joined"}}
	der, err := m.Certify(&rsa.PublicKey{N: n, E: 65537})
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	args := []string{"-file", write(t, "ek.der", m.NV(der)), "-ek-roots", rootsFile(t, m)}
	if code := run(t.Context(), args, &out, &errs); code != 1 || !strings.Contains(out.String(), "bad: ") || !strings.Contains(out.String(), "CVE-2017-15361") {
		t.Errorf("%d: %s%s", code, &out, &errs)
	}
}

// TestDump has the NV memory of a TPM in files, with its chain in two parts.
func TestDump(t *testing.T) {
	m := &ekcerttest.Maker{Vendor: "AMD"}
	der, err := m.Certify(newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	ca, dir := m.Certificates()[0].Raw, t.TempDir()
	files := map[string][]byte{
		"0x01c0000A.bin": der, "0x1c0000b": []byte("a nonce"), "0x01C00100.bin": ca[:100], "0x01C00101.bin": ca[100:], "notes.txt": nil,
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"-nv", dir, "-ek-roots", rootsFile(t, m)}
	var out, errs bytes.Buffer
	if code := run(t.Context(), args, &out, &errs); code != 0 || !strings.Contains(out.String(), "origin       nv:0x01c0000a") {
		t.Errorf("%d: %s%s", code, &out, &errs)
	}
	if err := os.WriteFile(filepath.Join(dir, "0x01c00012"), []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if code := run(t.Context(), args, &out, &errs); code != 1 || strings.Count(out.String(), "verdict") != 2 {
		t.Errorf("with a broken one: %d: %s%s", code, &out, &errs)
	}
	if code := run(t.Context(), []string{"-nv", t.TempDir()}, &out, &errs); code != 1 {
		t.Errorf("an empty folder: %d", code)
	}
}

func revokeAll(m *ekcerttest.Maker) {
	for _, cert := range m.Certificates() {
		m.Revoke(cert.SerialNumber)
	}
}

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		args string
		code int
	}{
		{"-no-such-flag", 2},
		{"more", 2},
		{"-tpm soft -file x", 2},
		{"-nv x -file x", 2},
		{"-nv no-such-dir", 1},
		{"-timeout 0s", 2},
		{"-h", 0},
		{"-file no-such-file", 1},
		{"-tpm what", 1},
		{"-ek-roots no-such-file", 1},
	} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), strings.Fields(tt.args), &out, &errs); code != tt.code || errs.Len() == 0 {
			t.Errorf("%s: %d, %q", tt.args, code, &errs)
		}
	}
	if code := run(t.Context(), []string{"-file", write(t, "x", []byte("hello"))}, new(bytes.Buffer), new(bytes.Buffer)); code != 1 {
		t.Errorf("no certificate: %d", code)
	}
}
