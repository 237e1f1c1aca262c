package device_test

import (
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
)

// authFlags parses flags and sets them in a TPM.
func authFlags(t *testing.T, tpm *attest.TPM, args ...string) error {
	t.Helper()
	var a device.Auth
	f := flag.NewFlagSet("", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	a.Flags(f)
	if err := f.Parse(args); err != nil {
		return err
	}
	return a.Set(tpm, new(device.Device))
}

// Each flag sets its own value, which may be in a file; a line end after it does not
// belong to it.
func TestAuthFlags(t *testing.T) {
	file := filepath.Join(t.TempDir(), "value")
	if err := os.WriteFile(file, []byte("in a file\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, field := range map[string]func(*attest.TPM) *[]byte{
		"-owner-auth":       func(t *attest.TPM) *[]byte { return &t.OwnerAuth },
		"-endorsement-auth": func(t *attest.TPM) *[]byte { return &t.EndorsementAuth },
		"-srk-auth":         func(t *attest.TPM) *[]byte { return &t.StorageAuth },
	} {
		for value, want := range map[string]string{"": "", "value": "value", "@" + file: "in a file"} {
			tpm := new(attest.TPM)
			err := authFlags(t, tpm, name, value)
			got := *field(tpm)
			if err != nil || string(got) != want || len(tpm.OwnerAuth)+len(tpm.EndorsementAuth)+len(tpm.StorageAuth) != len(want) {
				t.Errorf("%s %s: %q, %v", name, value, got, err)
			}
		}
		if err := authFlags(t, new(attest.TPM), name, "@"+file+"-none"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s, no file: %v", name, err)
		}
	}
	tpm := new(attest.TPM)
	if err := authFlags(t, tpm, "-srk", "0x81000002"); err != nil || tpm.StorageKey != 0x81000002 {
		t.Errorf("%#x, %v", tpm.StorageKey, err)
	}
	if err := authFlags(t, new(attest.TPM), "-srk", "key"); err == nil {
		t.Error("-srk key is taken")
	}
}

// A handle that no key can have is wrong usage, and one that no key has is said before
// anything else is done.
func TestStorageKeyFlag(t *testing.T) {
	chip, err := attesttest.New(attesttest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { chip.Close() })
	for value, want := range map[string]struct{ usage, set string }{
		"0x81000077": {"", "-srk 0x81000077: the TPM has no key at this handle"},
		"81000001":   {"is 0x missing before it?", ""},
		"0x40000001": {"-srk 0x40000001: this is no persistent handle", ""},
		"0":          {"", ""},
	} {
		var a device.Auth
		f := flag.NewFlagSet("", flag.ContinueOnError)
		a.Flags(f)
		if err := f.Parse([]string{"-srk", value}); err != nil {
			t.Fatal(err)
		}
		if err := a.Check(); (err == nil) != (want.usage == "") || err != nil && !strings.Contains(err.Error(), want.usage) {
			t.Errorf("%s: %v", value, err)
		}
		if want.usage != "" {
			continue
		}
		if err := a.Set(&attest.TPM{Transport: chip}, &device.Device{TPMCloser: chip}); (err == nil) != (want.set == "") || err != nil && !strings.HasPrefix(err.Error(), want.set) {
			t.Errorf("%s: %v", value, err)
		}
	}
}

// A TPM whose endorsement hierarchy has an authorization value makes its endorsement
// keys for who gives that.
func TestEndorsementAuth(t *testing.T) {
	chip, err := attesttest.New(attesttest.Config{Fresh: true, EndorsementAuth: []byte("e")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { chip.Close() })
	for value, want := range map[string]error{"e": nil, "f": tpm2.TPMRCBadAuth} {
		tpm := &attest.TPM{Transport: chip}
		if err := authFlags(t, tpm, "-endorsement-auth", value); err != nil {
			t.Fatal(err)
		}
		if _, err := tpm.EK(t.Context()); !errors.Is(err, want) {
			t.Errorf("%q: %v", value, err)
		} else if d := diagnose.Explain(err); want != nil && (!strings.HasSuffix(d.Remedy, "Correct it (in the programs: -endorsement-auth); if the endorsement hierarchy has none, leave it out.") || new(device.Auth).Hint(err) != "") {
			t.Errorf("%q: %s", value, d.Remedy)
		}
	}
}

// A kept key of another TPM says so once, and names the flag.
func TestKept(t *testing.T) {
	var tpms [2]*attest.TPM
	for i, seed := range []string{"", "another"} {
		chip, err := attesttest.New(attesttest.Config{Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { chip.Close() })
		tpms[i] = &attest.TPM{Transport: chip}
	}
	key, err := tpms[0].CreateKey(t.Context(), attest.Template{Algorithm: attest.P256, Usage: attest.Sign})
	if err != nil {
		t.Fatal(err)
	}
	text, err := key.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	_, err = tpms[1].LoadKey(t.Context(), text)
	got := command.Explain(device.Kept("a.pem", err, "enroll again"))
	if !errors.Is(err, tpm2.TPMRCIntegrity) || !strings.HasSuffix(got, "(0x8028009F TPM_20_E_INTEGRITY). Give the -tpm that made the key. If that TPM was cleared or replaced, enroll again.") ||
		strings.Count(got, "TPM_RC_INTEGRITY") != 1 {
		t.Error(got)
	}
}

// A handle without a storage key is said before anything is done.
func TestNoStorageKey(t *testing.T) {
	chip, err := attesttest.New(attesttest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { chip.Close() })
	for handle, want := range map[string]string{"0x81010001": "no storage key (an endorsement key is usually here)", "0x81000042": "no key at this handle"} {
		var a device.Auth
		f := flag.NewFlagSet("", flag.ContinueOnError)
		a.Flags(f)
		if err := f.Parse([]string{"-srk", handle}); err != nil {
			t.Fatal(err)
		}
		err := a.Set(new(attest.TPM), &device.Device{TPMCloser: chip})
		var exit *command.ExitError
		if !errors.As(err, &exit) || exit.Code != 2 || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", handle, err)
		}
	}
}

// The values of the owner hierarchy and of the storage key are those that a TPM asks
// for when it makes a storage key, or a key under it.
func TestOwnerAuth(t *testing.T) {
	chip, err := attesttest.New(attesttest.Config{Fresh: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { chip.Close() })
	_, err = tpm2.HierarchyChangeAuth{AuthHandle: tpm2.TPMRHOwner, NewAuth: tpm2.TPM2BAuth{Buffer: []byte("o")}}.Execute(chip)
	if err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]error{"o": nil, "": tpm2.TPMRCBadAuth, "p": tpm2.TPMRCBadAuth} {
		tpm := &attest.TPM{Transport: chip}
		if err := authFlags(t, tpm, "-owner-auth", value); err != nil {
			t.Fatal(err)
		}
		if _, err := tpm.CreateKey(t.Context(), attest.Template{Algorithm: attest.P256, Usage: attest.Sign}); !errors.Is(err, want) {
			t.Errorf("%q: %v", value, err)
		}
	}
}
