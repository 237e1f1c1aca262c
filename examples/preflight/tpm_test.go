package main

import (
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/examples/internal/exampletest"
	"github.com/whiteglove/whiteglove/internal/errtext"
	"github.com/whiteglove/whiteglove/internal/traffic"
)

// authorityHost returns the host of the attestation CA for TPMs of a maker whose
// issuing CA has a key identifier.
func authorityHost(maker string, id []byte) string {
	return maker + "-KeyId-" + hex.EncodeToString(id) + ".microsoftaik.azure.net"
}

// check checks an emulated TPM, and returns the results by name.
func check(t *testing.T, o *options, c attesttest.Config) (*tpmCheck, map[string]*result) {
	t.Helper()
	tpm, err := attesttest.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tpm.Close() })
	client, err := o.ekClient()
	if err != nil {
		t.Fatal(err)
	}
	check := &tpmCheck{dev: tpm, tpm: &attest.TPM{Transport: tpm}, client: client, ownRoots: o.ekRoots != "", enrolls: o.server != "", facts: new(tpmFacts)}
	check.run(t.Context(), "TPM")
	results := make(map[string]*result)
	for _, r := range check.results {
		results[r.Name] = r
		if (r.Status == fail || r.Status == warn) == (r.Remedy == "") {
			t.Errorf("%+v", *r)
		}
	}
	if objects, sessions := tpm.Loaded(); objects+sessions != 0 {
		t.Errorf("%d objects and %d sessions are left", objects, sessions)
	}
	return check, results
}

// failing returns a Fail of [attesttest.Config] that lets one command fail.
func failing(command string, rc uint32) func(string) uint32 {
	return func(c string) uint32 {
		if c == command {
			return rc
		}
		return 0
	}
}

func TestTPM(t *testing.T) {
	const failure = 0x101
	other := exampletest.Roots(t, newCA(t, "Other").cert)
	for _, tt := range []struct {
		name              string
		config            attesttest.Config
		o                 options
		check, status, in string
	}{
		{"fresh", attesttest.Config{Fresh: true}, options{}, "ek", pass, "made from its template"},
		{"no certificate", attesttest.Config{NoCertificate: true}, options{}, "ek-certificate", fail, "has none"},
		{"no certificate yet", attesttest.Config{NoCertificate: true}, options{server: "https://127.0.0.1"}, "ek-certificate", warn, "SCEP"},
		{"certificate of another key", attesttest.Config{ForeignEK: true}, options{}, "ek-certificate", fail, ekcert.ErrMismatch.Error()},
		{"other roots", attesttest.Config{}, options{ekRoots: other}, "ek-chain", fail, ekcert.ErrUntrusted.Error()},
		{"authorization value", attesttest.Config{EndorsementAuth: []byte("x")}, options{}, "hierarchies", warn, "authorization value"},
		{"EK cannot be used", attesttest.Config{EndorsementAuth: []byte("x")}, options{}, "use-ek", fail, ""},
		{"no TPM 2.0", attesttest.Config{Fail: failing("TPM2_GetCapability", failure)}, options{}, "version", fail, "TPM_RC_FAILURE"},
		{"no keys", attesttest.Config{Fail: failing("TPM2_Create", failure)}, options{}, "make-key", fail, ""},
		{"no proof", attesttest.Config{Fail: failing("TPM2_Certify", failure)}, options{}, "certify-key", fail, ""},
		{"no credentials", attesttest.Config{Fail: failing("TPM2_ActivateCredential", failure)}, options{}, "use-ek", fail, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, results := check(t, &tt.o, tt.config)
			r := results[tt.check]
			if r == nil || r.Status != tt.status || !strings.Contains(r.Detail, tt.in) || strings.HasPrefix(r.Detail, "attest: ") || len(errtext.Faults(r.Detail)) > 0 {
				t.Errorf("%s: %+v", tt.check, r)
			}
		})
	}
}

func TestUntrustedMaker(t *testing.T) {
	c, results := check(t, new(options), attesttest.Config{Maker: attesttest.OtherMaker()})
	if r := results["ek-chain"]; r.Status != warn {
		t.Errorf("the program does not have all roots: %+v", *r)
	}
	if len(c.facts.chain) == 0 || c.facts.vendor == "" {
		t.Error("the attestation CA could not be named")
	}
}

func TestNoTPM(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux names TPMs by file")
	}
	code, results := preflightJSON(t, "-tpm", "device:"+filepath.Join(t.TempDir(), "tpm0"), "-host", "*="+closed(t))
	if r := results["present"]; code != 1 || r == nil || r.Status != fail || !strings.Contains(r.Remedy, "firmware") || !strings.HasPrefix(r.Detail, "Open: no TPM 2.0 found (") {
		t.Errorf("exit %d: %+v", code, r)
	}
}

func TestState(t *testing.T) {
	on := uint32(0xF)
	for _, tt := range []struct {
		name             string
		p                map[tpm2.TPMPT]uint32
		lockout, enabled string
	}{
		{"good", map[tpm2.TPMPT]uint32{tpm2.TPMPTStartupClear: on, tpm2.TPMPTMaxAuthFail: 32}, pass, pass},
		{"locked", map[tpm2.TPMPT]uint32{tpm2.TPMPTStartupClear: on, tpm2.TPMPTPermanent: inLockout}, fail, pass},
		{"nearly locked", map[tpm2.TPMPT]uint32{tpm2.TPMPTStartupClear: on, tpm2.TPMPTMaxAuthFail: 32, tpm2.TPMPTLockoutCounter: 20}, warn, pass},
		{"off", map[tpm2.TPMPT]uint32{tpm2.TPMPTStartupClear: 0xB}, pass, fail},
		{"own seed", map[tpm2.TPMPT]uint32{tpm2.TPMPTStartupClear: on, tpm2.TPMPTPermanent: generatedEPS}, pass, warn},
	} {
		l, h := new(result), new(result)
		judgeLockout(l, tt.p)
		judgeHierarchies(h, tt.p)
		if l.Status != tt.lockout || h.Status != tt.enabled {
			t.Errorf("%s: %+v, %+v", tt.name, *l, *h)
		}
	}
}

func TestAdvisory(t *testing.T) {
	c := &tpmCheck{info: &attest.Info{Manufacturer: "IFX", Firmware: "5.61.2785.0"}}
	c.advisories()
	if r := c.results[0]; r.Status == pass || !strings.Contains(r.Detail, "CVE-2017-15361") {
		t.Errorf("%+v", *r)
	}
}

// TestMakerService checks that only a device that needs the maker's service
// fails without it.
func TestMakerService(t *testing.T) {
	for _, tt := range []struct {
		facts *tpmFacts
		minor bool
		skip  bool
	}{
		{nil, true, false},
		{&tpmFacts{maker: "INTC"}, false, false},
		{&tpmFacts{maker: "AMD"}, false, true},
	} {
		for _, x := range new(options).targets(tt.facts) {
			if x.Maker == "INTC" && ((x.Need == traffic.Minor) != tt.minor || (x.skip != "") != tt.skip) {
				t.Errorf("%+v: %+v", tt.facts, x)
			}
		}
	}
}

// TestAuthority checks that the name of the attestation CA comes from the EK
// certificate. The TPM itself would name another: swtpm says that IBM made it.
func TestAuthority(t *testing.T) {
	dir := t.TempDir()
	tpm, err := attesttest.StartSWTPM(dir)
	if errors.Is(err, attesttest.ErrNoSWTPM) && os.Getenv("WHITEGLOVE_REQUIRE_SWTPM") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := tpm.Close(); err != nil {
		t.Fatal(err)
	}
	_, flags := startMock(t)
	code, results := preflightJSON(t, append(flags, "-tpm", "swtpm:"+dir)...)
	for _, r := range results {
		if r.Status == fail {
			t.Errorf("%+v", *r)
		}
	}
	if code != 0 || results["use-ek"].Status != pass {
		t.Errorf("exit %d", code)
	}
}
