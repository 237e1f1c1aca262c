package main

import (
	"context"
	"crypto/sha1"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/verify/verifytest"
)

// eventLog has the machine attest with the log of TBS: once without one, and then with
// the log of what was measured into its TPM, twice with the same key, whose file gets
// line ends of Windows in between.
func eventLog(ctx context.Context, m *machine) error {
	verifier := exec.CommandContext(ctx, filepath.Join(m.dir, "verifier"), "-ready-file", "verifier.url", "-roots-out", "verifier.pem")
	verifier.Dir = m.dir
	var said strings.Builder
	verifier.Stderr = &said
	if err := verifier.Start(); err != nil {
		return err
	}
	defer func() {
		verifier.Process.Kill()
		verifier.Wait()
	}()
	var url []byte
	err := eventually("the verifier starts", func() (ready bool) {
		url, _ = os.ReadFile(filepath.Join(m.dir, "verifier.url"))
		return len(url) > 0
	})
	if err != nil {
		return err
	}
	args := []string{"-tpm", "device", "-url", strings.TrimSpace(string(url)), "-roots", "verifier.pem", "-state", "attestor.pem"}
	if _, err := ends(m.program(ctx, "attestor", args...), 1, "no event log", "0x80284011"); err != nil {
		return err
	}
	m.bridge.set(behavior{fault: onlyAt(getLog, errAccessDenied)})
	if _, err := ends(m.program(ctx, "attestor", args...), 1, "0x80284012", "as administrator"); err != nil {
		return err
	}
	log := verifytest.EventLog()
	m.bridge.set(behavior{log: log})
	if err := m.bridge.boot(log); err != nil {
		return err
	}
	for range 2 {
		if _, err := ends(m.program(ctx, "attestor", args...), 0, "trusted: device"); err != nil {
			return fmt.Errorf("%w\n%s", err, &said)
		}
		key, err := os.ReadFile(filepath.Join(m.dir, "attestor.pem"))
		if err != nil {
			return err
		}
		if err := m.write("attestor.pem", windowsLines(key)); err != nil {
			return err
		}
	}
	return m.nothingLeft(60)
}

// onlyAt is a TBS that answers one of its functions so.
func onlyAt(function int, result uint32) func(int, int, []byte) uint32 {
	return func(f, _ int, _ []byte) uint32 {
		if f == function {
			return result
		}
		return 0
	}
}

// boot turns the TPM off and on, and measures the events of a log.
func (b *bridge) boot(log []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return errors.Join(b.tpm.Reboot(), verifytest.Boot(b.tpm, log))
}

// Kinds of values for Tbsi_Get_OwnerAuth (tbs.h).
const (
	endorsementAuth = 12
	storageAuth     = 13
)

// keptAuth gives the endorsement hierarchy a value, as Windows does. An administrator's
// program gets it from TBS; another ends with the advice to run as one.
func keptAuth(ctx context.Context, m *machine) error {
	value := []byte("20 bytes, as Windows")
	change := func(from, to []byte) error {
		m.bridge.mu.Lock()
		defer m.bridge.mu.Unlock()
		_, err := tpm2.HierarchyChangeAuth{
			AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHEndorsement, Auth: tpm2.PasswordAuth(from)},
			NewAuth:    tpm2.TPM2BAuth{Buffer: to},
		}.Execute(m.bridge.tpm)
		return err
	}
	if err := change(nil, value); err != nil {
		return err
	}
	var errs []error
	for name, how := range map[string]behavior{"no administrator": {fault: onlyAt(getOwnerAuth, errAccessDenied)}, "not kept": {}} {
		m.bridge.set(how)
		if _, err := ends(m.provision(ctx, "auth "+name), 1, "authorization value", "as administrator"); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	m.bridge.set(behavior{auths: map[uint32][]byte{endorsementAuth: value, storageAuth: nil}})
	_, err := ends(m.provision(ctx, "auth"), 0, enrolled)
	return errors.Join(append(errs, err, m.nothingLeft(50), change(value, nil))...)
}

// registry is where Windows keeps certificates of endorsement keys.
const registry = `HKLM\SYSTEM\CurrentControlSet\Services\TPM\WMI\Endorsement\`

// keptCertificates moves the certificates of the endorsement keys from the TPM into the
// registry, beside a key of the registry that has none. The tries after it need no TPM.
func keptCertificates(ctx context.Context, m *machine) error {
	reg := func(args ...string) error {
		out, err := m.program(ctx, "", append([]string{"reg"}, args...)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("reg %s: %w\n%s", strings.Join(args, " "), err, out)
		}
		return nil
	}
	for index, store := range map[uint32]string{0x01C00002: "EKCertStore", 0x01C0000A: "EKCertStoreECC"} {
		der, err := m.bridge.take(ctx, index)
		if err != nil {
			return err
		}
		path := registry + store + `\Certificates\`
		if err := reg("add", path+"0000"); err != nil {
			return err
		}
		if err := reg("add", fmt.Sprintf("%s%X", path, sha1.Sum(der)), "/v", "Blob", "/t", "REG_BINARY", "/d", fmt.Sprintf("%x", storeBlob(der))); err != nil {
			return err
		}
	}
	issuing, err := m.bridge.take(ctx, 0x01C00100)
	if err != nil {
		return err
	}
	var cas strings.Builder
	for _, der := range [][]byte{attesttest.DefaultMaker().Root().Raw, issuing} {
		if err := pem.Encode(&cas, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
			return err
		}
	}
	if err := m.write("maker.pem", windowsLines([]byte(cas.String()))); err != nil {
		return err
	}
	out, err := ends(m.program(ctx, "ekcert", "-tpm", "device", "-ek-roots", "maker.pem", "-json"), 0, `"origin":"system"`)
	if err == nil && strings.Count(out, `"verdict":"good"`) != 2 {
		err = fmt.Errorf("not two certificates\n%s", out)
	}
	if err != nil {
		return err
	}
	_, err = ends(m.provision(ctx, "registry", "-ek-roots", "maker.pem"), 0, enrolled)
	return err
}

// take returns what an NV index has, and removes it.
func (b *bridge) take(ctx context.Context, index uint32) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	data, err := (&attest.TPM{Transport: b.tpm}).ReadNV(ctx, index)
	if err != nil {
		return nil, err
	}
	pub, err := tpm2.NVReadPublic{NVIndex: tpm2.TPMHandle(index)}.Execute(b.tpm)
	if err != nil {
		return nil, err
	}
	_, err = tpm2.NVUndefineSpace{AuthHandle: tpm2.TPMRHPlatform, NVIndex: tpm2.NamedHandle{Handle: tpm2.TPMHandle(index), Name: pub.NVName}}.Execute(b.tpm)
	return data, err
}

// storeBlob returns a certificate as a store in the registry has it: properties, each
// with its number, a 1 and its length, the last of them the certificate.
func storeBlob(der []byte) (b []byte) {
	sum := sha1.Sum(der)
	for _, p := range []struct {
		id   uint32
		data []byte
	}{{3, sum[:]}, {32, der}} { // CERT_SHA1_HASH_PROP_ID, the encoded certificate
		for _, v := range []uint32{p.id, 1, uint32(len(p.data))} {
			b = binary.LittleEndian.AppendUint32(b, v)
		}
		b = append(b, p.data...)
	}
	return b
}
