package attesttest_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/attest/attesttest"
)

// cases are the conformance list. Each runs on the emulator and on swtpm, with
// the same response codes expected of both, and leaves nothing loaded.
var cases = []struct {
	name string
	f    func(*testing.T, machine)
}{
	{"properties", testProperties},
	{"lists", testLists},
	{"slots", testSlots},
	{"sessions", testSessionSlots},
	{"authorization", testAuthorization},
	{"roles", testRoles},
	{"templates", testTemplates},
	{"create and load", testCreateLoad},
	{"primaries", testPrimaries},
	{"salted sessions", testSalted},
	{"three sessions", testThreeSessions},
	{"bound session", testBound},
	{"policy", testPolicy},
	{"policy with value", testPolicyValue},
	{"activation", testActivation},
	{"activation P-384", testActivation384},
	{"credential by the TPM", testMakeCredential},
	{"credential by the TPM, P-256", testMakeCredentialECC},
	{"sign", testSign},
	{"restricted", testRestricted},
	{"decrypt", testDecrypt},
	{"certify", testCertify},
	{"creation", testCreation},
	{"quote", testQuote},
	{"nv", testNV},
	{"certificates", testCertificates},
	{"external keys", testExternal},
	{"evict", testEvict},
	{"lockout", testLockout},
	{"hierarchy auth", testHierarchyAuth},
	{"headers", testHeaders},
	{"reboot", testReboot},
}

func TestConformance(t *testing.T) {
	t.Run("emulator", func(t *testing.T) {
		t.Parallel()
		conform(t, emulator(t, attesttest.Config{}))
	})
	t.Run("emulator with fast keys", func(t *testing.T) {
		t.Parallel()
		conform(t, emulator(t, attesttest.Config{FastKeys: true}))
	})
	t.Run("swtpm", func(t *testing.T) {
		t.Parallel()
		conform(t, swtpm(t))
	})
}

func conform(t *testing.T, tpm machine) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.f(t, tpm)
			if l := append(handles(t, tpm, 0x80000000), handles(t, tpm, 0x02000000)...); len(l) > 0 {
				t.Errorf("left loaded: %x", l)
				for _, h := range l {
					flush(t, tpm, h)
				}
			}
		})
	}
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		return nil
	}
	return b
}

// raw puts a command buffer together.
func raw(tag uint16, cc uint32, body ...byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, tag)
	b = binary.BigEndian.AppendUint32(b, uint32(10+len(body)))
	return append(binary.BigEndian.AppendUint32(b, cc), body...)
}

func testHeaders(t *testing.T, tpm machine) {
	tooLong := raw(0x8001, 0x17B, 0, 8)
	binary.BigEndian.PutUint32(tooLong[2:], 10)
	for _, c := range []struct {
		name string
		cmd  []byte
		want uint32
		tag  uint16
	}{
		{"good", raw(0x8001, 0x17B, 0, 8), 0, 0x8001},
		{"code", raw(0x8001, 0x1FF), 0x143, 0x8001},
		{"vendor code", raw(0x8001, 0x20000001), 0x143, 0x8001},
		{"no parameter", raw(0x8001, 0x17B), 0x1DA, 0x8001},
		{"half a parameter", raw(0x8001, 0x17B, 0), 0x1DA, 0x8001},
		{"more than the parameters", raw(0x8001, 0x17B, 0, 8, 0), 0x95, 0x8001},
		{"no handle", raw(0x8001, 0x173, 0x81, 0), 0x19A, 0x8001},
		{"undefined persistent handle", raw(0x8001, 0x173, 0x81, 0, 0, 9), 0x18B, 0x8001},
		{"not loaded", raw(0x8001, 0x173, 0x80, 0, 0, 1), 0x910, 0x8001},
		{"no such slot", raw(0x8001, 0x173, 0x80, 0, 1, 0), 0x184, 0x8001},
		{"undefined NV index", raw(0x8001, 0x169, 1, 0xC0, 0x7F, 1), 0x18B, 0x8001},
		{"sessions where none may be", raw(0x8002, 0x165, 0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 1, 0, 0, 0x80, 0, 0, 0), 0x145, 0x8001},
		{"flush a permanent handle", raw(0x8001, 0x165, 0x40, 0, 0, 1), 0x1C4, 0x8001},
		{"flush what is not loaded", raw(0x8001, 0x165, 0x80, 0, 0, 1), 0x1CB, 0x8001},
		{"flush no session", raw(0x8001, 0x165, 3, 0, 0, 1), 0x1CB, 0x8001},
		{"capability", raw(0x8001, 0x17A, 0, 0, 0, 99, 0, 0, 0, 0, 0, 0, 0, 1), 0x1C4, 0x8001},
		{"started already", raw(0x8001, 0x144, 0, 0), 0x100, 0x8001},
		{"shutdown", raw(0x8001, 0x145, 0, 0), 0, 0x8001},
		{"self test", raw(0x8001, 0x143, 1), 0, 0x8001},
	} {
		rsp, err := tpm.Send(c.cmd)
		check(t, err)
		if rc, tag := responseCode(rsp), binary.BigEndian.Uint16(rsp); rc != c.want || tag != c.tag {
			t.Errorf("%s: tag %#x code %#x, want %#x %#x", c.name, tag, rc, c.tag, c.want)
		}
		if int(binary.BigEndian.Uint32(rsp[2:])) != len(rsp) {
			t.Errorf("%s: size in the header of % x", c.name, rsp)
		}
	}
}

func testProperties(t *testing.T, tpm machine) {
	for _, c := range []struct {
		name     string
		property tpm2.TPMPT
		want     uint32
	}{
		{"family", tpm2.TPMPTFamilyIndicator, 0x322E3000},
		{"transient slots", tpm2.TPMPTHRTransientMin, 3},
		{"session slots", tpm2.TPMPTHRLoadedMin, 3},
		{"sessions", tpm2.TPMPTActiveSessionsMax, 64},
		{"PCRs", tpm2.TPMPTPCRCount, 24},
		{"NV block", tpm2.TPMPTNVBufferMax, 1024},
		{"NV index", tpm2.TPMPTNVIndexMax, 2048},
		{"input buffer", tpm2.TPMPTInputBuffer, 1024},
		{"command", tpm2.TPMPTMaxCommandSize, 4096},
		{"free slots", tpm2.TPMPTHRTransientAvail, 3},
		{"loaded sessions", tpm2.TPMPTHRLoaded, 0},
	} {
		rsp := run(t, tpm, tpm2.GetCapability{Capability: tpm2.TPMCapTPMProperties, Property: uint32(c.property), PropertyCount: 1}.Execute)
		list, err := rsp.CapabilityData.Data.TPMProperties()
		check(t, err)
		if len(list.TPMProperty) != 1 || list.TPMProperty[0].Property != c.property || list.TPMProperty[0].Value != c.want {
			t.Errorf("%s: %+v, want %#x", c.name, list.TPMProperty, c.want)
		}
	}
	if n := len(run(t, tpm, tpm2.GetRandom{BytesRequested: 20}.Execute).RandomBytes.Buffer); n != 20 {
		t.Errorf("%d random bytes, want 20", n)
	}
	if n := len(run(t, tpm, tpm2.GetRandom{BytesRequested: 1000}.Execute).RandomBytes.Buffer); n != 64 {
		t.Errorf("%d random bytes at most, want 64", n)
	}
	rsp := run(t, tpm, tpm2.GetCapability{Capability: tpm2.TPMCapHandles, Property: 0x01C00000, PropertyCount: 2}.Execute)
	list, err := rsp.CapabilityData.Data.Handles()
	check(t, err)
	if !rsp.MoreData || len(list.Handle) != 2 || list.Handle[0] != 0x01C00002 || list.Handle[1] != 0x01C0000A {
		t.Errorf("NV handles %x, more %v", list.Handle, rsp.MoreData)
	}
}

// Both know the algorithms and the commands that the emulator claims.
func testLists(t *testing.T, tpm machine) {
	algs := run(t, tpm, tpm2.GetCapability{Capability: tpm2.TPMCapAlgs, PropertyCount: 127}.Execute)
	known := map[tpm2.TPMAlgID]tpm2.TPMAAlgorithm{}
	for _, a := range run2(t, algs.CapabilityData.Data.Algorithms).AlgProperties {
		known[a.Alg] = a.AlgProperties
	}
	for alg, want := range map[tpm2.TPMAlgID]tpm2.TPMAAlgorithm{
		tpm2.TPMAlgRSA:    {Asymmetric: true, Object: true},
		tpm2.TPMAlgECC:    {Asymmetric: true, Object: true},
		tpm2.TPMAlgAES:    {Symmetric: true},
		tpm2.TPMAlgCFB:    {Symmetric: true, Encrypting: true},
		tpm2.TPMAlgSHA1:   {Hash: true},
		tpm2.TPMAlgSHA384: {Hash: true},
		tpm2.TPMAlgRSASSA: {Asymmetric: true, Signing: true},
		tpm2.TPMAlgECDSA:  {Asymmetric: true, Signing: true},
		tpm2.TPMAlgOAEP:   {Asymmetric: true, Encrypting: true},
		tpm2.TPMAlgHMAC:   {Hash: true, Signing: true},
		tpm2.TPMAlgMGF1:   {Hash: true, Method: true},
	} {
		if got, ok := known[alg]; !ok || got != want {
			t.Errorf("algorithm %#x: %+v, want %+v", alg, got, want)
		}
	}
	list := run(t, tpm, tpm2.GetCapability{Capability: tpm2.TPMCapCommands, Property: 0x11F, PropertyCount: 200}.Execute)
	commands := map[uint16]tpm2.TPMACC{}
	for _, c := range run2(t, list.CapabilityData.Data.Command).CommandAttributes {
		commands[c.CommandIndex] = c
	}
	for cc, want := range map[tpm2.TPMCC]struct {
		handles uint8
		out     bool
	}{
		tpm2.TPMCCCreatePrimary: {1, true}, tpm2.TPMCCCreate: {1, false}, tpm2.TPMCCCreateLoaded: {1, true}, tpm2.TPMCCSign: {1, false},
		tpm2.TPMCCStartAuthSession: {2, true}, tpm2.TPMCCCertify: {2, false}, tpm2.TPMCCLoadExternal: {0, true}, tpm2.TPMCCNVRead: {2, false},
	} {
		if got, ok := commands[uint16(cc)]; !ok || got.CHandles != want.handles || got.RHandle != want.out {
			t.Errorf("command %#x: %+v, want %+v", cc, got, want)
		}
	}
	banks := run(t, tpm, tpm2.GetCapability{Capability: tpm2.TPMCapPCRs, PropertyCount: 1}.Execute)
	found := false
	for _, b := range run2(t, banks.CapabilityData.Data.AssignedPCR).PCRSelections {
		found = found || b.Hash == tpm2.TPMAlgSHA256 && string(b.PCRSelect) == "\xff\xff\xff"
	}
	if !found {
		t.Error("no SHA-256 bank")
	}
}

// A persistent key takes a slot while a command uses it: two keys, the parent
// and a new key are one too many.
func testSlots(t *testing.T, tpm machine) {
	template := shape{sign: true}.ecc(tpm2.TPMECCNistP256)
	a := makeKey(t, tpm, template, "")
	b := makeKey(t, tpm, template, "")
	refuse(t, tpm, "the third under a persistent parent", 0x902,
		tpm2.CreateLoaded{ParentHandle: srk(t, tpm), InPublic: tpm2.New2BTemplate(&template)}.Execute)
	primary := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}
	c := run(t, tpm, primary.Execute)
	refuse(t, tpm, "the fourth", 0x902, primary.Execute)
	refuse(t, tpm, "a persistent key", 0x902, tpm2.ReadPublic{ObjectHandle: srkHandle}.Execute)
	refuse(t, tpm, "a persistent key that is not there", 0x902, tpm2.ReadPublic{ObjectHandle: tpm2.TPMHandle(0x81000777)}.Execute)
	if l := handles(t, tpm, 0x80000000); len(l) != 3 {
		t.Errorf("loaded: %x", l)
	}
	parent := tpm2.AuthHandle{Handle: c.ObjectHandle, Name: c.Name, Auth: password}
	refuse(t, tpm, "Create needs a slot, too", 0x902, tpm2.Create{ParentHandle: parent, InPublic: tpm2.New2B(template)}.Execute)
	flush(t, tpm, a.Handle)
	run(t, tpm, tpm2.Create{ParentHandle: parent, InPublic: tpm2.New2B(template)}.Execute)
	flush(t, tpm, b.Handle)
	flush(t, tpm, c.ObjectHandle)
}

func testSessionSlots(t *testing.T, tpm machine) {
	start := tpm2.StartAuthSession{
		TPMKey: tpm2.TPMRHNull, Bind: tpm2.TPMRHNull, NonceCaller: tpm2.TPM2BNonce{Buffer: make([]byte, 16)},
		SessionType: tpm2.TPMSEPolicy, Symmetric: tpm2.TPMTSymDef{Algorithm: tpm2.TPMAlgNull}, AuthHash: tpm2.TPMAlgSHA256,
	}
	var open []tpm2.TPMHandle
	for range 3 {
		open = append(open, tpm2.TPMHandle(run(t, tpm, start.Execute).SessionHandle))
	}
	if open[0] != 0x03000000 || open[1] != 0x03000001 || open[2] != 0x03000002 {
		t.Errorf("handles %x", open)
	}
	refuse(t, tpm, "the fourth session", 0x903, start.Execute)
	flush(t, tpm, open[1])
	start.SessionType = tpm2.TPMSEHMAC
	if h := run(t, tpm, start.Execute).SessionHandle; h != 0x02000001 {
		t.Errorf("handle %x", h)
	}
	for _, h := range []tpm2.TPMHandle{open[0], 0x02000001, open[2]} {
		flush(t, tpm, h)
	}
	start.NonceCaller.Buffer = make([]byte, 15)
	refuse(t, tpm, "short nonce", 0x1D5, start.Execute)
	start.NonceCaller.Buffer = make([]byte, 33)
	refuse(t, tpm, "long nonce", 0x1D5, start.Execute)
	start.NonceCaller.Buffer = make([]byte, 16)
	start.EncryptedSalt.Buffer = []byte{1}
	refuse(t, tpm, "salt for no key", 0x2C4, start.Execute)
}

// digest is what the tests sign.
func digest() tpm2.TPM2BDigest {
	d := sha256.Sum256([]byte("message"))
	return tpm2.TPM2BDigest{Buffer: d[:]}
}

// noTicket says that a digest comes from outside.
func noTicket() tpm2.TPMTTKHashCheck {
	return tpm2.TPMTTKHashCheck{Tag: tpm2.TPMSTHashCheck, Hierarchy: tpm2.TPMRHNull}
}
