package attesttest_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest/attesttest"
)

// persistentEK returns the public key at 0x81010001.
func persistentEK(t testing.TB, tpm transport.TPM) crypto.PublicKey {
	t.Helper()
	_, pub := named(t, tpm, ekHandle, nil)
	key, err := tpm2.Pub(pub)
	check(t, err)
	return key
}

func same(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

func certificate(t testing.TB, der []byte) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	check(t, err)
	return c
}

func TestPaddedAndHeader(t *testing.T) {
	t.Parallel()
	plain := readNV(t, emulator(t, attesttest.Config{}), 0x01C00002)
	if !same(certificate(t, plain).PublicKey, persistentEK(t, emulator(t, attesttest.Config{}))) {
		t.Error("certificate of another key")
	}
	padded := readNV(t, emulator(t, attesttest.Config{Padded: true}), 0x01C00002)
	if len(padded) != 1600 || !bytes.HasPrefix(padded, plain) || len(bytes.Trim(padded[len(plain):], "\xff")) != 0 {
		t.Errorf("padded: %d bytes", len(padded))
	}
	if _, err := x509.ParseCertificate(padded); err == nil {
		t.Error("the padding disturbs nobody")
	}
	headed := readNV(t, emulator(t, attesttest.Config{TCGHeader: true}), 0x01C00002)
	want := append([]byte{0x10, 1, 0, byte(len(plain) >> 8), byte(len(plain))}, plain...)
	if !bytes.Equal(headed, want) {
		t.Errorf("header % x", headed[:8])
	}
	both := readNV(t, emulator(t, attesttest.Config{TCGHeader: true, Padded: true}), 0x01C00002)
	if len(both) != 1600 || !bytes.HasPrefix(both, want) {
		t.Errorf("both: %d bytes", len(both))
	}
}

func TestForeignEK(t *testing.T) {
	t.Parallel()
	tpm := emulator(t, attesttest.Config{ForeignEK: true, NoChain: true})
	if same(certificate(t, readNV(t, tpm, 0x01C00002)).PublicKey, persistentEK(t, tpm)) {
		t.Error("certificate of this TPM's key")
	}
	if l := handles(t, tpm, 0x01000000); !slices.Equal(l, []tpm2.TPMHandle{0x01C00002, 0x01C0000A}) {
		t.Errorf("NV: %x", l)
	}
}

func TestRSA3072Default(t *testing.T) {
	t.Parallel()
	tpm := emulator(t, attesttest.Config{RSA3072Default: true})
	_, pub := named(t, tpm, ekHandle, nil)
	if d, err := pub.Parameters.RSADetail(); err != nil || d.KeyBits != 3072 || pub.NameAlg != tpm2.TPMAlgSHA384 {
		t.Errorf("EK %+v, %v", d, err)
	}
	if !same(certificate(t, readNV(t, tpm, 0x01C0001C)).PublicKey, persistentEK(t, tpm)) {
		t.Error("certificate of another key")
	}
}

func TestNonceAndTemplate(t *testing.T) {
	t.Parallel()
	plain := persistentEK(t, emulator(t, attesttest.Config{}))
	nonce := []byte("a nonce")
	tpm := emulator(t, attesttest.Config{EKNonce: nonce})
	ek := persistentEK(t, tpm)
	if same(ek, plain) || !same(ek, certificate(t, readNV(t, tpm, 0x01C00002)).PublicKey) || !bytes.Equal(readNV(t, tpm, 0x01C00003), nonce) {
		t.Error("the nonce is not in the key, the certificate or NV memory")
	}
	// The key is what the template with the nonce gives.
	template := tpm2.RSAEKTemplate
	n := make([]byte, 256)
	copy(n, nonce)
	template.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgRSA, &tpm2.TPM2BPublicKeyRSA{Buffer: n})
	p := run(t, tpm, tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHEndorsement, InPublic: tpm2.New2B(template)}.Execute)
	flush(t, tpm, p.ObjectHandle)
	if name := ekName(t, tpm); !bytes.Equal(name, p.Name.Buffer) {
		t.Errorf("EK %x, want %x", name, p.Name.Buffer)
	}
	tpm = emulator(t, attesttest.Config{EKTemplate: tpm2.Marshal(template), Fresh: true})
	if !same(ek, certificate(t, readNV(t, tpm, 0x01C00002)).PublicKey) || !bytes.Equal(readNV(t, tpm, 0x01C00004), tpm2.Marshal(template)) {
		t.Error("the template is not in the certificate's key or in NV memory")
	}
	if _, err := attesttest.New(attesttest.Config{EKTemplate: []byte{1}}); err == nil {
		t.Error("a cut template is taken")
	}
}

func TestEndorsementAuth(t *testing.T) {
	t.Parallel()
	tpm := emulator(t, attesttest.Config{EndorsementAuth: []byte("random"), Fresh: true})
	primary := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHEndorsement, InPublic: tpm2.New2B(tpm2.ECCEKTemplate)}
	refuse(t, tpm, "without", 0x9A2, primary.Execute)
	primary.PrimaryHandle = tpm2.AuthHandle{Handle: tpm2.TPMRHEndorsement, Auth: tpm2.PasswordAuth([]byte("random"))}
	flush(t, tpm, run(t, tpm, primary.Execute).ObjectHandle)
}

func TestRetryingDelayFail(t *testing.T) {
	t.Parallel()
	var names []string
	fail := uint32(0)
	tpm := emulator(t, attesttest.Config{
		Retrying: true,
		Delay: func(name string) time.Duration {
			names = append(names, name)
			if name == "TPM2_GetRandom" {
				return 30 * time.Millisecond
			}
			return 0
		},
		Fail: func(name string) uint32 {
			if name == "TPM2_CreatePrimary" {
				return fail
			}
			return 0
		},
	})
	start := time.Now()
	run(t, tpm, tpm2.GetRandom{BytesRequested: 8}.Execute)
	if d := time.Since(start); d < 30*time.Millisecond {
		t.Errorf("took %v", d)
	}
	primary := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}
	fail = 0x101
	refuse(t, tpm, "injected", 0x101, primary.Execute)
	fail = 0
	refuse(t, tpm, "first", 0x922, primary.Execute)
	flush(t, tpm, run(t, tpm, primary.Execute).ObjectHandle)
	want := []string{"TPM2_GetRandom", "TPM2_CreatePrimary", "TPM2_CreatePrimary", "TPM2_CreatePrimary", "TPM2_FlushContext"}
	if !slices.Equal(names, want) {
		t.Errorf("commands %q", names)
	}
}

func TestSnapshot(t *testing.T) {
	t.Parallel()
	tpm := emulator(t, attesttest.Config{Seed: "snapshot", RSA3072Default: true})
	b, err := tpm.Snapshot()
	check(t, err)
	next := emulator(t, attesttest.Config{State: b})
	if !bytes.Equal(ekName(t, tpm), ekName(t, next)) || !bytes.Equal(readNV(t, tpm, 0x01C0001C), readNV(t, next, 0x01C0001C)) {
		t.Error("another TPM")
	}
	if _, err := attesttest.New(attesttest.Config{State: []byte("{}")}); err == nil {
		t.Error("no state is taken for one")
	}
	check(t, next.Close())
	if _, err := next.Snapshot(); !errors.Is(err, attesttest.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// Recovery forgets a wrong value, as on swtpm: see testLockout.
func TestRecovery(t *testing.T) {
	t.Parallel()
	tpm := emulator(t, attesttest.Config{Recovery: time.Second})
	if got := property(t, tpm, tpm2.TPMPTLockoutInterval); got != 1 {
		t.Errorf("interval %d", got)
	}
	if got := property(t, emulator(t, attesttest.Config{}), tpm2.TPMPTLockoutInterval); got != 600 {
		t.Errorf("interval %d", got)
	}
}

func property(t testing.TB, tpm transport.TPM, p tpm2.TPMPT) uint32 {
	t.Helper()
	rsp := run(t, tpm, tpm2.GetCapability{Capability: tpm2.TPMCapTPMProperties, Property: uint32(p), PropertyCount: 1}.Execute)
	list := run2(t, rsp.CapabilityData.Data.TPMProperties).TPMProperty
	if len(list) != 1 || list[0].Property != p {
		t.Fatalf("property %#x: %+v", p, list)
	}
	return list[0].Value
}

// lockCommand is a command with the lockout authorization.
func lockCommand(cc uint32, params ...byte) []byte {
	return raw(0x8002, cc, append([]byte{0x40, 0, 0, 0xA, 0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 1, 0, 0}, params...)...)
}

// Three wrong values lock the TPM for a second, and a policy that shows no value
// never does.
func testLockout(t *testing.T, tpm machine) {
	send := func(cmd []byte) {
		t.Helper()
		rsp, err := tpm.Send(cmd)
		check(t, err)
		if rc := responseCode(rsp); rc != 0 {
			t.Fatalf("lockout command: %#x", rc)
		}
	}
	before := []uint32{property(t, tpm, tpm2.TPMPTMaxAuthFail), property(t, tpm, tpm2.TPMPTLockoutInterval), property(t, tpm, tpm2.TPMPTLockoutRecovery)}
	send(lockCommand(0x139))
	send(lockCommand(0x13A, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 5))
	for p, want := range map[tpm2.TPMPT]uint32{tpm2.TPMPTMaxAuthFail: 3, tpm2.TPMPTLockoutInterval: 1, tpm2.TPMPTLockoutRecovery: 5, tpm2.TPMPTLockoutCounter: 0} {
		if got := property(t, tpm, p); got != want {
			t.Errorf("property %#x: %d, want %d", p, got, want)
		}
	}
	// A wrong HMAC in a policy session for the EK, which has no noDA.
	ek, _ := named(t, tpm, ekHandle, nil)
	ak := makeKey(t, tpm, shape{sign: true, restricted: true}.ecc(tpm2.TPMECCNistP256), "")
	_, ekPub := named(t, tpm, srkHandle, nil)
	s, done, err := tpm2.PolicySession(tpm, tpm2.TPMAlgSHA256, 16, tpm2.Salted(srkHandle, ekPub))
	check(t, err)
	run(t, tpm, tpm2.PolicySecret{AuthHandle: tpm2.TPMRHEndorsement, PolicySession: tpm2.TPMISHPolicy(s.Handle())}.Execute)
	wrong := ek.Name
	wrong.Buffer = bytes.Clone(wrong.Buffer)
	wrong.Buffer[5] ^= 1
	refuse(t, tpm, "wrong name in the HMAC", 0xAA2, tpm2.ActivateCredential{
		ActivateHandle: ak.AuthHandle,
		KeyHandle:      tpm2.AuthHandle{Handle: ekHandle, Name: wrong, Auth: s},
		CredentialBlob: tpm2.TPM2BIDObject{Buffer: make([]byte, 60)},
		Secret:         tpm2.TPM2BEncryptedSecret{Buffer: make([]byte, 256)},
	}.Execute)
	check(t, done())
	flush(t, tpm, ak.Handle)
	if n := property(t, tpm, tpm2.TPMPTLockoutCounter); n != 0 {
		t.Errorf("a policy counts: %d", n)
	}
	k := makeKey(t, tpm, shape{sign: true, da: true}.ecc(tpm2.TPMECCNistP256), "right")
	defer flush(t, tpm, k.Handle)
	sign := tpm2.Sign{KeyHandle: k.with(password), Digest: digest(), InScheme: ecdsaScheme(tpm2.TPMAlgSHA256), Validation: noTicket()}
	for range 3 {
		refuse(t, tpm, "wrong", 0x98E, sign.Execute)
	}
	sign.KeyHandle = k.AuthHandle
	refuse(t, tpm, "right, but locked", 0x921, sign.Execute)
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if _, err := sign.Execute(tpm); err == nil {
			break
		} else if !errors.Is(err, tpm2.TPMRCLockout) || time.Now().After(end) {
			t.Fatalf("after the recovery time: %v", err)
		}
	}
	send(lockCommand(0x139))
	var params []byte
	for _, v := range before {
		params = append(params, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
	}
	send(lockCommand(0x13A, params...))
}
