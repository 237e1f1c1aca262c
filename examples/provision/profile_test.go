package main

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/autopilot/autopilottest"
	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/examples/internal/exampletest"
	"github.com/whiteglove/whiteglove/provision"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// Two tenants, the second of which is the default one of the mock server.
const (
	fabrikam = `"CloudAssignedTenantId":"5B0D6C1E-52A4-4B8E-9A57-1C2D7BE04F69","CloudAssignedTenantDomain":"fabrikam.test"`
	contoso  = `"CloudAssignedTenantId":"` + autopilottest.DefaultTenantID + `","CloudAssignedTenantDomain":"contoso.test"`
)

// profileFile writes a profile with these members.
func profileFile(t *testing.T, members string) string {
	t.Helper()
	return exampletest.File(t, []byte("{"+members+"}"))
}

// mockHash writes the hash of the emulated TPM's device.
func mockHash(t *testing.T) string {
	t.Helper()
	dev, err := device.Open(t.Context(), "soft")
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	h, err := (&provisiontest.Device{TPM: &attest.TPM{Transport: dev}}).Hash(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return exampletest.File(t, []byte(h.String()))
}

// A profile says which tenant the device joins, which steps it takes and, with a
// hash, what it is called.
func TestProfile(t *testing.T) {
	for name, tt := range map[string]struct {
		members string
		flags   []string
		last    string
		tenant  string
	}{
		"user-driven":    {fabrikam, nil, string(provision.StepSeal), "5B0D6C1E-52A4-4B8E-9A57-1C2D7BE04F69"},
		"self-deploying": {fabrikam + `,"CloudAssignedOobeConfig":1278`, nil, string(provision.StepSession), "5B0D6C1E-52A4-4B8E-9A57-1C2D7BE04F69"},
		"own steps":      {fabrikam, []string{"-steps", "ek,aik"}, string(provision.StepAIK), "5B0D6C1E-52A4-4B8E-9A57-1C2D7BE04F69"},
		"named":          {contoso + `,"CloudAssignedDeviceName":"PC-%SERIAL%"`, []string{"-hash", mockHash(t)}, string(provision.StepSeal), autopilottest.DefaultTenantID},
		"own tenant":     {contoso, []string{"-tenant", "contoso.test"}, string(provision.StepSeal), "contoso.test"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "state")
			args := append([]string{"-json", "-pause", "10ms", "-state", file, "-profile", profileFile(t, tt.members)}, tt.flags...)
			code, stdout, stderr := runProvision(t, args...)
			if code != 0 {
				t.Fatal(stderr)
			}
			var last struct{ Step, Status string }
			lines := strings.Split(strings.TrimSpace(stdout), "\n")
			if err := json.Unmarshal([]byte(lines[len(lines)-2]), &last); err != nil || last.Step != tt.last || last.Status != "done" {
				t.Errorf("last event %+v, %v", last, err)
			}
			state, err := provision.FileStore(file).Load(t.Context())
			if err != nil || state.Tenant != tt.tenant {
				t.Errorf("tenant %q, %v", state.Tenant, err)
			}
		})
	}
}

// A profile that cannot be followed, and a hash of another device, end the run
// before anything is sent.
func TestProfileRefused(t *testing.T) {
	other := exampletest.File(t, []byte(autopilottest.Device{EK: foreignKey(t)}.Text()))
	damaged := exampletest.File(t, damage(t, autopilottest.Device{EK: foreignKey(t)}.Text()))
	flags := start(t, &provisiontest.Server{AdmitAny: true})
	for name, tt := range map[string]struct {
		args []string
		want string // exit code 2, but for what only the TPM or the run can tell
	}{
		"hybrid":       {[]string{"-profile", profileFile(t, contoso+`,"CloudAssignedDomainJoinMethod":1`)}, ": the profile has the device join Active Directory (hybrid join), which this program does not do"},
		"empty":        {[]string{"-profile", profileFile(t, "")}, ": there is no profile in it, for it names no tenant"},
		"damaged":      {[]string{"-hash", damaged}, "-hash " + damaged + ": the hash is damaged"},
		"other tenant": {[]string{"-profile", profileFile(t, contoso), "-tenant", "5b0d6c1e-52a4-4b8e-9a57-1c2d7be04f69"}, "belongs to tenant"},
		"none":         {[]string{"-profile", profileFile(t, `"ErrorCode":807`)}, "ZTD 807"},
		"no file":      {[]string{"-profile", "no-such-file"}, "no-such-file"},
		"name":         {[]string{"-profile", profileFile(t, contoso+`,"CloudAssignedDeviceName":"%SERIAL%%RAND:1"`), "-hash", mockHash(t)}, "name"},
		"other device": {[]string{"-hash", other}, "the hardware hash does not belong to this TPM"},
		"no hash":      {[]string{"-hash", profileFile(t, "")}, "neither a hardware hash nor a file of them. Give the base64 text"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := runProvision(t, append(tt.args, flags...)...)
			exit := 2
			if strings.HasPrefix(name, "other ") {
				exit = 1
			}
			if code != exit || !strings.Contains(stderr, tt.want) || strings.Contains(stdout, "done") || strings.Count(stderr, "\n") != 1 {
				t.Errorf("%d: %s%s", code, stdout, stderr)
			}
		})
	}
}

// damage changes a character of a hash so that it can still be read.
func damage(t *testing.T, text string) []byte {
	t.Helper()
	for i := range text {
		changed := []byte(text)
		changed[i] ^= 1
		if h, err := autopilot.ParseHash(string(changed)); err == nil && errors.Is(h.Verify(), autopilot.ErrChecksum) {
			return changed
		}
	}
	t.Fatal("no such character")
	return nil
}

// foreignKey returns a key of another TPM.
func foreignKey(t *testing.T) *rsa.PublicKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return &key.PublicKey
}
