package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/ekcert/ekcerttest"
	"github.com/whiteglove/whiteglove/examples/internal/exampletest"
)

// try runs the program.
func try(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return exampletest.Run(t, program(), args...)
}

func TestTPM(t *testing.T) {
	code, out, errs := try(t)
	if code != 0 || errs != "" {
		t.Fatalf("%d: %s", code, errs)
	}
	for _, want := range []string{"rsa2048", "verdict      good\n", "origin       nv:0x01C00002", "maker        SIM0 id:53494D30", "chain        CN="} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestTPMOfAnotherMaker(t *testing.T) {
	m := new(ekcerttest.Maker)
	code, out, errs := try(t, "-ek-roots", rootsFile(t, m), "-json")
	if code != 1 {
		t.Fatalf("%d: %s", code, errs)
	}
	for line := range strings.Lines(out) {
		var r result
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if r.Verdict == good || !strings.Contains(r.Error, "(0x8") {
			t.Errorf("%+v", r)
		}
	}
}

// rootsFile returns the name of a file with the root of m.
func rootsFile(t *testing.T, m *ekcerttest.Maker) string {
	t.Helper()
	return exampletest.Roots(t, m.Certificates()[1])
}

func newKey(t *testing.T) crypto.PublicKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k.Public()
}

// TestFile judges files with what NV memory holds. Issuers and CRLs are on a
// server.
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
		args := []string{"-file", exampletest.File(t, m.NV(der)), "-ek-roots", rootsFile(t, m), "-json"}
		if !tt.offline {
			args = append(args, "-online", "-private-hosts")
		}
		if tt.revoke {
			revokeAll(m)
		}
		code, out, errs := try(t, args...)
		server.Close()
		var r result
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatalf("%s: %v: %s%s", name, err, out, errs)
		}
		if code != tt.code || r.Verdict != tt.want.Verdict || r.Revocation != tt.want.Revocation || r.Vendor != "AMD" || r.Key != "p256" ||
			(r.Error == "") != (code == 0) {
			t.Errorf("%s: %d, %+v", name, code, r)
		}
	}
}

// TestWeakKey judges a key whose private key can be computed. Its modulus has
// the fingerprint of such keys: divided by each of the primes it leaves 1.
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
	code, out, errs := try(t, "-file", exampletest.File(t, m.NV(der)), "-ek-roots", rootsFile(t, m))
	if code != 1 || !strings.Contains(out, "bad: ") || !strings.Contains(out, "CVE-2017-15361") {
		t.Errorf("%d: %s%s", code, out, errs)
	}
}

// TestDump judges the NV memory of a TPM in files. Its chain is in two parts.
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
	if code, out, errs := try(t, args...); code != 0 || !strings.Contains(out, "origin       nv:0x01C0000A") {
		t.Errorf("%d: %s%s", code, out, errs)
	}
	if err := os.WriteFile(filepath.Join(dir, "0x01c00012"), []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := try(t, args...); code != 1 || strings.Count(out, "verdict") != 2 {
		t.Errorf("with a broken one: %d: %s%s", code, out, errs)
	}
	if code, _, _ := try(t, "-nv", t.TempDir()); code != 2 {
		t.Errorf("an empty folder: %d", code)
	}
	file := exampletest.File(t, nil)
	if code, _, errs := try(t, "-nv", file); code != 2 || errs != fmt.Sprintf("ekcert: -nv: %q is a file, not a folder: name a folder\n", file) {
		t.Errorf("a file: %d: %s", code, errs)
	}
}

// A key without a certificate beside one that has one needs nothing.
func TestOneIsEnough(t *testing.T) {
	const want = "verdict      none: no certificate for this key (nv:0x01C00016). Others of this TPM's keys have one, which is enough.\n"
	if code, out, errs := try(t); code != 0 || !strings.Contains(out, want) || strings.Contains(out, "firmware and") {
		t.Errorf("%d: %s%s", code, out, errs)
	}
}

// revokeAll revokes the certificates of m.
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
		{"-nv no-such-dir", 2},
		{"-private-hosts", 2},
		{"-timeout 0s", 2},
		{"-h", 0},
		{"-file no-such-file", 2},
		{"-tpm what", 2},
		{"-srk 81000001", 2},
		{"-ek-roots no-such-file", 2},
	} {
		if code, _, errs := try(t, strings.Fields(tt.args)...); code != tt.code || errs == "" {
			t.Errorf("%s: %d, %q", tt.args, code, errs)
		}
	}
	if code, _, errs := try(t, "-file", exampletest.File(t, []byte("hello"))); code != 2 || !strings.HasPrefix(errs, "ekcert: -file ") || !strings.Contains(errs, ": there is no certificate in it that can be read: ") || strings.Contains(errs, "Ask the maker") {
		t.Errorf("no certificate: %d: %s", code, errs)
	}
	file := exampletest.File(t, nil)
	if code, _, errs := try(t, "-file", file); code != 2 || !strings.HasPrefix(errs, "ekcert: -file "+file+": the file is empty. Name a file with a certificate in DER, ") {
		t.Errorf("an empty file: %d: %s", code, errs)
	}
}

// What the program says of itself, and of wrong flags.
func TestHelp(t *testing.T) { exampletest.Help(t, program()) }

// A file that is not there is reported with code and remedy.
func TestExplained(t *testing.T) {
	exampletest.Explained(t, program(), "-file", "none")
}
