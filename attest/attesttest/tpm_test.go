package attesttest_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/attest/attesttest"
)

// ekName returns the name of the RSA EK.
func ekName(t testing.TB, tpm machine) []byte {
	t.Helper()
	ek, _ := named(t, tpm, ekHandle, nil)
	return ek.Name.Buffer
}

func TestSeed(t *testing.T) {
	t.Parallel()
	a, b := emulator(t, attesttest.Config{Seed: "a"}), emulator(t, attesttest.Config{Seed: "b"})
	if !bytes.Equal(ekName(t, a), ekName(t, emulator(t, attesttest.Config{Seed: "a"}))) {
		t.Error("one seed, two endorsement keys")
	}
	if bytes.Equal(ekName(t, a), ekName(t, b)) {
		t.Error("two seeds, one endorsement key")
	}
}

// Keys from the pool are other keys each time, also for one seed; the EK follows
// from the seed within the process, and from the state.
func TestFastKeys(t *testing.T) {
	t.Parallel()
	cfg := attesttest.Config{Seed: "fast a", FastKeys: true}
	a, same := emulator(t, cfg), emulator(t, cfg)
	if !bytes.Equal(ekName(t, a), ekName(t, same)) {
		t.Error("one seed, two endorsement keys")
	}
	cfg.Seed = "fast b"
	if bytes.Equal(ekName(t, a), ekName(t, emulator(t, cfg))) {
		t.Error("two seeds, one endorsement key")
	}
	state, err := a.Snapshot()
	check(t, err)
	restored := emulator(t, attesttest.Config{State: state})
	names := map[string]bool{}
	for _, tpm := range []machine{a, same, restored} {
		testCertificates(t, tpm)
		k := makeKey(t, tpm, shape{sign: true}.rsa(2048), "")
		sig := run(t, tpm, tpm2.Sign{KeyHandle: k.AuthHandle, Digest: digest(), InScheme: rsassa(tpm2.TPMAlgSHA256), Validation: noTicket()}.Execute)
		verify(t, k, "RSA from the pool", sig.Signature, 5, digest().Buffer)
		names[string(k.Name.Buffer)] = true
	}
	if len(names) != 3 {
		t.Errorf("%d different keys of 3", len(names))
	}
	check(t, a.Replace())
	if bytes.Equal(ekName(t, a), ekName(t, same)) {
		t.Error("the same endorsement key after Replace")
	}
	// With the default seed it is the default TPM.
	if !bytes.Equal(ekName(t, emulator(t, attesttest.Config{})), ekName(t, emulator(t, attesttest.Config{FastKeys: true}))) {
		t.Error("another default TPM")
	}
}

func TestFresh(t *testing.T) {
	t.Parallel()
	tpm := emulator(t, attesttest.Config{Fresh: true})
	if l := handles(t, tpm, 0x81000000); len(l) != 0 {
		t.Errorf("persistent: %x", l)
	}
	if l := handles(t, tpm, 0x01000000); !slices.Equal(l, []tpm2.TPMHandle{0x01C00002, 0x01C0000A, 0x01C00100}) {
		t.Errorf("NV: %x", l)
	}
	tpm = emulator(t, attesttest.Config{NoCertificate: true})
	if l := handles(t, tpm, 0x81000000); !slices.Equal(l, []tpm2.TPMHandle{srkHandle, ekHandle}) {
		t.Errorf("persistent: %x", l)
	}
	if l := handles(t, tpm, 0x01000000); len(l) != 0 {
		t.Errorf("NV: %x", l)
	}
}

func TestReplace(t *testing.T) {
	t.Parallel()
	tpm := emulator(t, attesttest.Config{})
	before := ekName(t, tpm)
	template := shape{sign: true}.ecc(tpm2.TPMECCNistP256)
	k := run(t, tpm, tpm2.Create{ParentHandle: srk(t, tpm), InPublic: tpm2.New2B(template)}.Execute)
	check(t, tpm.Replace())
	if bytes.Equal(before, ekName(t, tpm)) {
		t.Error("the same endorsement key after Replace")
	}
	load := tpm2.Load{ParentHandle: srk(t, tpm), InPrivate: k.OutPrivate, InPublic: k.OutPublic}
	refuse(t, tpm, "a key of the TPM before", 0x1DF, load.Execute)
	testCertificates(t, tpm)
}

func TestLoaded(t *testing.T) {
	t.Parallel()
	tpm := emulator(t, attesttest.Config{})
	k := makeKey(t, tpm, shape{sign: true}.ecc(tpm2.TPMECCNistP256), "")
	s, done, err := tpm2.PolicySession(tpm, tpm2.TPMAlgSHA256, 16)
	check(t, err)
	if o, n := tpm.Loaded(); o != 1 || n != 1 {
		t.Errorf("%d objects, %d sessions (%x)", o, n, s.Handle())
	}
	check(t, done())
	flush(t, tpm, k.Handle)
	if o, n := tpm.Loaded(); o != 0 || n != 0 {
		t.Errorf("%d objects, %d sessions", o, n)
	}
}

func TestStateFile(t *testing.T) {
	t.Parallel()
	cfg := attesttest.Config{StateFile: filepath.Join(t.TempDir(), "tpm.json")}
	tpm, err := attesttest.New(cfg)
	check(t, err)
	parent := srk(t, tpm)
	k := run(t, tpm, tpm2.Create{ParentHandle: parent, InPublic: tpm2.New2B(shape{sign: true}.ecc(tpm2.TPMECCNistP256))}.Execute)
	load := tpm2.Load{ParentHandle: parent, InPrivate: k.OutPrivate, InPublic: k.OutPublic}
	l := run(t, tpm, load.Execute)
	const at = tpm2.TPMHandle(0x81000055)
	o := tpm2.NamedHandle{Handle: l.ObjectHandle, Name: l.Name}
	run(t, tpm, tpm2.EvictControl{Auth: tpm2.TPMRHOwner, ObjectHandle: o, PersistentHandle: at}.Execute)
	run(t, tpm, tpm2.HierarchyChangeAuth{AuthHandle: tpm2.TPMRHEndorsement, NewAuth: tpm2.TPM2BAuth{Buffer: []byte("e")}}.Execute)
	// No Close: as after a crash.
	info, err := os.Stat(cfg.StateFile)
	check(t, err)
	if info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("mode %v", info.Mode())
	}
	cfg.Seed = "of no matter"
	next := emulator(t, cfg)
	if !bytes.Equal(ekName(t, tpm), ekName(t, next)) {
		t.Error("another endorsement key")
	}
	if kept, _ := named(t, next, at, nil); !bytes.Equal(kept.Name.Buffer, l.Name.Buffer) {
		t.Error("the persistent key is another")
	}
	l = run(t, next, load.Execute)
	flush(t, next, l.ObjectHandle)
	primary := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHEndorsement, InPublic: tpm2.New2B(tpm2.ECCEKTemplate)}
	refuse(t, next, "endorsement without its value", 0x9A2, primary.Execute)
	testCertificates(t, emulator(t, attesttest.Config{StateFile: filepath.Join(t.TempDir(), "new.json")}))
	left, err := filepath.Glob(cfg.StateFile + ".*")
	check(t, err)
	if len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestStateFileBad(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "{}", `{"Version":2,"Seed":"AAAA"}`, `{"Version":1,"Seed":"AAAA","NV":{"5":{}}}`, `{"Version":1,"Seed":"AAAA","Objects":[{}]}`} {
		path := filepath.Join(t.TempDir(), "tpm.json")
		check(t, os.WriteFile(path, []byte(text), 0o600))
		if _, err := attesttest.New(attesttest.Config{StateFile: path}); err == nil {
			t.Errorf("%q is taken for a state", text)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != text {
			t.Errorf("%q was overwritten: %q, %v", text, b, err)
		}
	}
	if _, err := attesttest.New(attesttest.Config{StateFile: filepath.Join(t.TempDir(), "no", "such", "folder")}); err == nil {
		t.Error("a state file in no folder")
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	tpm, err := attesttest.New(attesttest.Config{Fresh: true, NoCertificate: true})
	check(t, err)
	check(t, tpm.Close())
	check(t, tpm.Close())
	_, err = tpm.Send(raw(0x8001, 0x17B, 0, 8))
	for _, err := range []error{err, tpm.Reboot(), tpm.Replace()} {
		if !errors.Is(err, attesttest.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	}
}

// Instances do not know each other, and one may be used by many at once.
func TestParallel(t *testing.T) {
	t.Parallel()
	shared := emulator(t, attesttest.Config{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			own := emulator(t, attesttest.Config{})
			k := makeKey(t, own, shape{sign: true}.ecc(tpm2.TPMECCNistP256), "")
			for range 20 {
				run(t, own, tpm2.Sign{KeyHandle: k.AuthHandle, Digest: digest(), InScheme: ecdsaScheme(tpm2.TPMAlgSHA256), Validation: noTicket()}.Execute)
				run(t, shared, tpm2.GetRandom{BytesRequested: 8}.Execute)
			}
			if o, _ := own.Loaded(); o != 1 {
				t.Errorf("%d objects", o)
			}
		})
	}
	wg.Wait()
}

// A wrong value that counts, often enough, locks the TPM; the lockout
// authorization resets that.
func TestLockout(t *testing.T) {
	t.Parallel()
	tpm := emulator(t, attesttest.Config{})
	k := makeKey(t, tpm, shape{sign: true, da: true}.ecc(tpm2.TPMECCNistP256), "right")
	sign := tpm2.Sign{Digest: digest(), InScheme: ecdsaScheme(tpm2.TPMAlgSHA256), Validation: noTicket()}
	sign.KeyHandle = k.with(password)
	for range 32 {
		refuse(t, tpm, "wrong", 0x98E, sign.Execute)
	}
	sign.KeyHandle = k.AuthHandle
	refuse(t, tpm, "right, but locked", 0x921, sign.Execute)
	rsp, err := tpm.Send(raw(0x8002, 0x139, 0x40, 0, 0, 0xA, 0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 1, 0, 0))
	check(t, err)
	if rc := responseCode(rsp); rc != 0 {
		t.Errorf("lockout reset: %#x", rc)
	}
	run(t, tpm, sign.Execute)
}

// As the specification has it; swtpm answers in another way.
func TestBadTag(t *testing.T) {
	t.Parallel()
	tpm := emulator(t, attesttest.Config{Fresh: true, NoCertificate: true})
	rsp, err := tpm.Send(raw(0x8003, 0x17B, 0, 8))
	check(t, err)
	if want := raw(0x00C4, 0x1E); !bytes.Equal(rsp, want) {
		t.Errorf("% x, want % x", rsp, want)
	}
	for n := range 10 {
		rsp, err := tpm.Send(raw(0x8001, 0x17B)[:n])
		check(t, err)
		if responseCode(rsp) == 0 || len(rsp) != 10 {
			t.Errorf("%d bytes: % x", n, rsp)
		}
	}
}

// The platform authorization is what firmware made it: nobody knows.
func TestPlatform(t *testing.T) {
	t.Parallel()
	tpm := emulator(t, attesttest.Config{})
	refuse(t, tpm, "platform", 0x9A2, tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHPlatform, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute)
}

func TestRSA3072(t *testing.T) {
	t.Parallel()
	tpm := emulator(t, attesttest.Config{NoCertificate: true})
	k := makeKey(t, tpm, shape{sign: true}.rsa(3072), "")
	sig := run(t, tpm, tpm2.Sign{KeyHandle: k.AuthHandle, Digest: digest(), InScheme: rsassa(tpm2.TPMAlgSHA256), Validation: noTicket()}.Execute)
	verify(t, k, "RSA-3072", sig.Signature, 5, digest().Buffer)
}
