package attesttest_test

import (
	"encoding/binary"
	"errors"
	"os"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest/attesttest"
)

// A machine is a TPM of either kind.
type machine interface {
	transport.TPM
	Reboot() error
	Close() error
}

// emulator returns a TPM as Windows leaves it.
func emulator(t testing.TB, cfg attesttest.Config) *attesttest.TPM {
	t.Helper()
	tpm, err := attesttest.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, tpm.Close()) })
	return tpm
}

// swtpm returns a swtpm. Where there is none the test is skipped, or fails if
// WHITEGLOVE_REQUIRE_SWTPM is set.
func swtpm(t *testing.T) machine {
	t.Helper()
	s, err := attesttest.StartSWTPM(t.TempDir())
	if errors.Is(err, attesttest.ErrNoSWTPM) && os.Getenv("WHITEGLOVE_REQUIRE_SWTPM") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, s.Close()) })
	return patient{s}
}

// patient repeats a command that the TPM wants repeated.
type patient struct{ machine }

func (p patient) Send(cmd []byte) ([]byte, error) {
	for {
		rsp, err := p.machine.Send(cmd)
		if err != nil || responseCode(rsp) != 0x922 {
			return rsp, err
		}
	}
}

func responseCode(rsp []byte) uint32 {
	if len(rsp) < 10 {
		return 0xFFFFFFFF
	}
	return binary.BigEndian.Uint32(rsp[6:])
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// run executes a command of go-tpm, given as its Execute method, that must
// succeed.
func run[R any](t testing.TB, tpm transport.TPM, execute func(transport.TPM, ...tpm2.Session) (*R, error), s ...tpm2.Session) *R {
	t.Helper()
	rsp, err := execute(tpm, s...)
	if err != nil {
		t.Fatal(err)
	}
	return rsp
}

// refuse executes a command that must fail with a response code.
func refuse[R any](t testing.TB, tpm transport.TPM, what string, want uint32, execute func(transport.TPM, ...tpm2.Session) (*R, error), s ...tpm2.Session) {
	t.Helper()
	_, err := execute(tpm, s...)
	var rc tpm2.TPMRC
	if errors.As(err, &rc); uint32(rc) != want {
		t.Errorf("%s: response code %#x (%v), want %#x", what, uint32(rc), err, want)
	}
}

// flush flushes an object or a session.
func flush[H ~uint32](t testing.TB, tpm transport.TPM, h H) {
	t.Helper()
	run(t, tpm, tpm2.FlushContext{FlushHandle: tpm2.TPMHandle(h)}.Execute)
}

// handles lists handles from the given one on.
func handles(t testing.TB, tpm transport.TPM, from uint32) []tpm2.TPMHandle {
	t.Helper()
	rsp := run(t, tpm, tpm2.GetCapability{Capability: tpm2.TPMCapHandles, Property: from, PropertyCount: 64}.Execute)
	list, err := rsp.CapabilityData.Data.Handles()
	check(t, err)
	return list.Handle
}

// named names a persistent key.
func named(t testing.TB, tpm transport.TPM, h tpm2.TPMHandle, auth tpm2.Session) (tpm2.AuthHandle, tpm2.TPMTPublic) {
	t.Helper()
	rsp := run(t, tpm, tpm2.ReadPublic{ObjectHandle: h}.Execute)
	pub, err := rsp.OutPublic.Contents()
	check(t, err)
	return tpm2.AuthHandle{Handle: h, Name: rsp.Name, Auth: auth}, *pub
}

const (
	ekHandle  = tpm2.TPMHandle(0x81010001)
	srkHandle = tpm2.TPMHandle(0x81000001)
)

// password is the empty password.
var password = tpm2.PasswordAuth(nil)

// srk is the persistent SRK, with the empty password.
func srk(t testing.TB, tpm transport.TPM) tpm2.AuthHandle {
	t.Helper()
	h, _ := named(t, tpm, srkHandle, password)
	return h
}

// A key is a loaded key.
type key struct {
	tpm2.AuthHandle
	pub tpm2.TPMTPublic
}

// with is the key with another authorization.
func (k key) with(s tpm2.Session) tpm2.AuthHandle {
	return tpm2.AuthHandle{Handle: k.Handle, Name: k.Name, Auth: s}
}

// public is the key without authorization.
func (k key) public() tpm2.NamedHandle { return tpm2.NamedHandle{Handle: k.Handle, Name: k.Name} }

// makeKey makes a key under the SRK; the caller flushes it.
func makeKey(t testing.TB, tpm transport.TPM, template tpm2.TPMTPublic, auth string) key {
	t.Helper()
	cmd := tpm2.CreateLoaded{ParentHandle: srk(t, tpm), InPublic: tpm2.New2BTemplate(&template), InSensitive: sensitive(auth)}
	rsp := run(t, tpm, cmd.Execute)
	pub, err := rsp.OutPublic.Contents()
	check(t, err)
	k := key{tpm2.AuthHandle{Handle: rsp.ObjectHandle, Name: rsp.Name, Auth: tpm2.PasswordAuth([]byte(auth))}, *pub}
	name, err := tpm2.ObjectName(pub)
	check(t, err)
	if string(name.Buffer) != string(rsp.Name.Buffer) {
		t.Errorf("name %x, want %x", rsp.Name.Buffer, name.Buffer)
	}
	return k
}

func sensitive(auth string) tpm2.TPM2BSensitiveCreate {
	return tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{UserAuth: tpm2.TPM2BAuth{Buffer: []byte(auth)}}}
}
