package attesttest_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest/attesttest"
)

// A sample is a command buffer that the TPM it was recorded on accepts.
type sample struct {
	name string
	cmd  []byte
}

// A tape records the last command.
type tape struct {
	transport.TPM
	last []byte
	all  []sample
}

func (r *tape) Send(cmd []byte) ([]byte, error) {
	r.last = append([]byte(nil), cmd...)
	return r.TPM.Send(cmd)
}

// keep adds the last command to the samples.
func (r *tape) keep(name string) { r.all = append(r.all, sample{name, r.last}) }

// record brings a TPM to a state, with two keys, a policy session and an NV
// index, and returns samples that work in it by passwords.
func record(t testing.TB, tpm transport.TPM) []sample {
	t.Helper()
	r := &tape{TPM: tpm}
	ak := makeKey(t, r, shape{sign: true, restricted: true}.ecc(tpm2.TPMECCNistP256), "")
	r.keep("CreateLoaded")
	parent := srk(t, r)
	r.keep("ReadPublic")
	p := run(t, r, tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute)
	r.keep("CreatePrimary")
	flush(t, r, p.ObjectHandle)
	made := run(t, r, tpm2.Create{ParentHandle: parent, InPublic: tpm2.New2B(shape{decrypt: true}.rsa(2048))}.Execute)
	r.keep("Create")
	l := run(t, r, tpm2.Load{ParentHandle: parent, InPrivate: made.OutPrivate, InPublic: made.OutPublic}.Execute)
	r.keep("Load")
	dec := key{tpm2.AuthHandle{Handle: l.ObjectHandle, Name: l.Name, Auth: password}, *run2(t, made.OutPublic.Contents)}
	recordProofs(t, r, ak, dec, made)
	recordSecrets(t, r, ak, dec)
	recordPolicies(t, r)
	recordNV(t, r)
	run(t, r, tpm2.GetCapability{Capability: tpm2.TPMCapHandles, Property: 0x81000000, PropertyCount: 5}.Execute)
	r.keep("GetCapability")
	run(t, r, tpm2.GetRandom{BytesRequested: 16}.Execute)
	r.keep("GetRandom")
	run(t, r, tpm2.HierarchyChangeAuth{AuthHandle: tpm2.TPMRHOwner}.Execute)
	r.keep("HierarchyChangeAuth")
	return r.all
}

func recordProofs(t testing.TB, r *tape, ak, dec key, made *tpm2.CreateResponse) {
	t.Helper()
	run(t, r, tpm2.Certify{ObjectHandle: dec.AuthHandle, SignHandle: ak.AuthHandle, QualifyingData: tpm2.TPM2BData{Buffer: []byte("nonce")}}.Execute)
	r.keep("Certify")
	run(t, r, tpm2.CertifyCreation{SignHandle: ak.AuthHandle, ObjectHandle: dec.public(), CreationHash: made.CreationHash, CreationTicket: made.CreationTicket}.Execute)
	r.keep("CertifyCreation")
	run(t, r, tpm2.Quote{SignHandle: ak.AuthHandle, PCRSelect: pcrs(tpm2.TPMAlgSHA256, 1)}.Execute)
	r.keep("Quote")
	h := run(t, r, tpm2.Hash{Data: tpm2.TPM2BMaxBuffer{Buffer: []byte("message")}, HashAlg: tpm2.TPMAlgSHA256, Hierarchy: tpm2.TPMRHOwner}.Execute)
	r.keep("Hash")
	s := run(t, r, tpm2.Sign{KeyHandle: ak.AuthHandle, Digest: digest(), Validation: h.Validation}.Execute)
	r.keep("Sign")
	run(t, r, tpm2.VerifySignature{KeyHandle: ak.public(), Digest: digest(), Signature: s.Signature}.Execute)
	r.keep("VerifySignature")
	run(t, r, tpm2.PCRRead{PCRSelectionIn: pcrs(tpm2.TPMAlgSHA256, 1)}.Execute)
	r.keep("PCR_Read")
	run(t, r, tpm2.PCRExtend{
		PCRHandle: tpm2.AuthHandle{Handle: 16, Auth: password},
		Digests:   tpm2.TPMLDigestValues{Digests: []tpm2.TPMTHA{{HashAlg: tpm2.TPMAlgSHA256, Digest: digest().Buffer}}},
	}.Execute)
	r.keep("PCR_Extend")
}

func recordSecrets(t testing.TB, r *tape, ak, dec key) {
	t.Helper()
	e := run(t, r, tpm2.RSAEncrypt{KeyHandle: dec.public(), Message: tpm2.TPM2BPublicKeyRSA{Buffer: []byte("hello")}, InScheme: oaep(tpm2.TPMAlgSHA256)}.Execute)
	r.keep("RSA_Encrypt")
	run(t, r, tpm2.RSADecrypt{KeyHandle: dec.AuthHandle, CipherText: e.OutData, InScheme: oaep(tpm2.TPMAlgSHA256)}.Execute)
	r.keep("RSA_Decrypt")
	run(t, r, tpm2.MakeCredential{Handle: ekHandle, Credential: tpm2.TPM2BDigest{Buffer: []byte("secret")}, ObjectName: ak.Name}.Execute)
	r.keep("MakeCredential")
	x := run(t, r, tpm2.LoadExternal{InPublic: tpm2.New2B(dec.pub), Hierarchy: tpm2.TPMRHOwner}.Execute)
	r.keep("LoadExternal")
	flush(t, r, x.ObjectHandle)
	r.keep("FlushContext") // of nothing, by now
	const at = tpm2.TPMHandle(0x81000777)
	run(t, r, tpm2.EvictControl{Auth: tpm2.TPMRHOwner, ObjectHandle: ak.public(), PersistentHandle: at}.Execute)
	run(t, r, tpm2.EvictControl{Auth: tpm2.TPMRHOwner, ObjectHandle: tpm2.NamedHandle{Handle: at, Name: ak.Name}, PersistentHandle: at}.Execute)
	r.keep("EvictControl") // of nothing, by now
}

func recordPolicies(t testing.TB, r *tape) {
	t.Helper()
	s := run(t, r, tpm2.StartAuthSession{
		TPMKey: tpm2.TPMRHNull, Bind: tpm2.TPMRHNull, NonceCaller: tpm2.TPM2BNonce{Buffer: make([]byte, 16)}, SessionType: tpm2.TPMSEPolicy,
		AuthHash: tpm2.TPMAlgSHA256,
		Symmetric: tpm2.TPMTSymDef{
			Algorithm: tpm2.TPMAlgAES,
			KeyBits:   tpm2.NewTPMUSymKeyBits(tpm2.TPMAlgAES, tpm2.TPMKeyBits(128)),
			Mode:      tpm2.NewTPMUSymMode(tpm2.TPMAlgAES, tpm2.TPMAlgCFB),
		},
	}.Execute)
	r.keep("StartAuthSession")
	h := s.SessionHandle
	run(t, r, tpm2.PolicySecret{AuthHandle: tpm2.TPMRHEndorsement, PolicySession: h}.Execute)
	r.keep("PolicySecret")
	run(t, r, tpm2.PolicyGetDigest{PolicySession: h}.Execute)
	r.keep("PolicyGetDigest")
	run(t, r, tpm2.PolicyCommandCode{PolicySession: h, Code: tpm2.TPMCCSign}.Execute)
	r.keep("PolicyCommandCode")
	d := run(t, r, tpm2.PolicyGetDigest{PolicySession: h}.Execute)
	run(t, r, tpm2.PolicyOr{PolicySession: h, PHashList: tpm2.TPMLDigest{Digests: []tpm2.TPM2BDigest{d.PolicyDigest, {Buffer: make([]byte, 32)}}}}.Execute)
	r.keep("PolicyOR") // not met, by now
}

func recordNV(t testing.TB, r *tape) {
	t.Helper()
	pub := tpm2.TPMSNVPublic{
		NVIndex: 0x01800001, NameAlg: tpm2.TPMAlgSHA256, DataSize: 64,
		Attributes: tpm2.TPMANV{OwnerWrite: true, OwnerRead: true, AuthRead: true, AuthWrite: true, NoDA: true},
	}
	run(t, r, tpm2.NVDefineSpace{AuthHandle: tpm2.TPMRHOwner, PublicInfo: tpm2.New2B(pub)}.Execute)
	n := run(t, r, tpm2.NVReadPublic{NVIndex: pub.NVIndex}.Execute)
	r.keep("NV_ReadPublic")
	x := tpm2.NamedHandle{Handle: pub.NVIndex, Name: n.NVName}
	run(t, r, tpm2.NVWrite{AuthHandle: tpm2.TPMRHOwner, NVIndex: x, Data: tpm2.TPM2BMaxNVBuffer{Buffer: []byte("abc")}}.Execute)
	r.keep("NV_Write")
	x.Name = run(t, r, tpm2.NVReadPublic{NVIndex: pub.NVIndex}.Execute).NVName
	own := tpm2.AuthHandle{Handle: x.Handle, Name: x.Name, Auth: password}
	run(t, r, tpm2.NVRead{AuthHandle: own, NVIndex: x, Size: 3}.Execute)
	r.keep("NV_Read")
	pub.NVIndex++
	run(t, r, tpm2.NVDefineSpace{AuthHandle: tpm2.TPMRHOwner, PublicInfo: tpm2.New2B(pub)}.Execute)
	r.keep("NV_DefineSpace")
	x.Handle, x.Name = pub.NVIndex, run(t, r, tpm2.NVReadPublic{NVIndex: pub.NVIndex}.Execute).NVName
	run(t, r, tpm2.NVUndefineSpace{AuthHandle: tpm2.TPMRHOwner, NVIndex: x}.Execute)
	r.keep("NV_UndefineSpace") // of nothing, by now
}

// differences are where the emulator's response code is not swtpm's: by
// command, the emulator's code and swtpm's.
var differences = map[string]string{
	"CreatePrimary 0x2c9 0x0":      "AES modes but CFB are not implemented",
	"CreatePrimary 0x2d6 0x0":      "Camellia is not implemented",
	"CreatePrimary 0x2e6 0x0":      "P-192 and P-224 are not implemented",
	"StartAuthSession 0x4d6 0x0":   "Camellia is not implemented",
	"VerifySignature 0x2d2 0x2db":  "EC Schnorr is not implemented",
	"LoadExternal 0x2cd 0x0":       "exponents but 65537 are not implemented",
	"LoadExternal 0x2cd 0x2c4":     "exponents but 65537 are not implemented",
	"NV_DefineSpace 0x2c2 0x2d5":   "NV types but ordinary are not implemented",
	"PolicySecret 0x9a2 0x0":       "the platform authorization is random, swtpm's is empty",
	"NV_DefineSpace 0x9a2 0x182":   "the platform authorization is random, swtpm's is empty",
	"NV_UndefineSpace 0x9a2 0x28b": "the platform authorization is random, swtpm's is empty",
	"PolicySecret 0x0 0x4e3":       "expired or not: seconds since the start",
	"PolicySecret 0x4e3 0x0":       "expired or not: seconds since the start",
	"RSA_Decrypt 0x84 0x101":       "libtpms says TPM_RC_FAILURE for bad padding; part 3 says TPM_RC_VALUE",
}

// Each sample is cut, lengthened and changed byte by byte; the emulator and
// swtpm must answer with the same response code.
func TestSameCodes(t *testing.T) {
	t.Parallel()
	other := swtpm(t)
	tpm := emulator(t, attesttest.Config{})
	a, b := record(t, tpm), record(t, other)
	base := map[tpm2.TPMHandle]bool{}
	for _, from := range rooms {
		for _, h := range handles(t, tpm, from) {
			base[h] = true
		}
	}
	tried := 0
	for i, x := range a {
		variants(x.cmd, b[i].cmd, func(what string, p, q []byte) {
			tried++
			got, want := answer(t, tpm, p, base), answer(t, other, q, base)
			if _, known := differences[fmt.Sprintf("%s %#x %#x", x.name, got, want)]; got != want && !known {
				t.Errorf("%s, %s: %#x, swtpm says %#x", x.name, what, got, want)
			}
		})
	}
	if tried < 5000 {
		t.Errorf("%d variants only", tried)
	}
}

// variants calls f with the same changes of two samples of a command, which
// differ in random values only.
func variants(a, b []byte, f func(what string, a, b []byte)) {
	end := min(len(a), len(b), 250)
	for n := 10; n < end; n++ {
		f(fmt.Sprintf("first %d bytes", n), sized(a[:n]), sized(b[:n]))
	}
	f("a byte more", sized(append(a[:len(a):len(a)], 0)), sized(append(b[:len(b):len(b)], 0)))
	for n := 10; n < end; n++ {
		if a[n] != b[n] {
			continue
		}
		for _, v := range []byte{0, 1, 0xFF, a[n] ^ 1, a[n] ^ 4, a[n] ^ 0x20, a[n] ^ 0x80, a[n] + 1} {
			p, q := sized(a), sized(b)
			p[n], q[n] = v, v
			f(fmt.Sprintf("byte %d = %#x", n, v), p, q)
		}
	}
}

// sized returns a copy of a command with its size set.
func sized(cmd []byte) []byte {
	b := append([]byte(nil), cmd...)
	binary.BigEndian.PutUint32(b[2:], uint32(len(b)))
	return b
}

// rooms are the first handles of what commands may add to.
var rooms = []uint32{0x01000000, 0x02000000, 0x80000000, 0x81000000}

// answer runs a command, returns its response code, and drops what it added.
func answer(t testing.TB, tpm transport.TPM, cmd []byte, base map[tpm2.TPMHandle]bool) uint32 {
	t.Helper()
	rsp, err := tpm.Send(cmd)
	check(t, err)
	rc := responseCode(rsp)
	if rc != 0 {
		return rc
	}
	for _, from := range rooms {
		for _, h := range handles(t, tpm, from) {
			if !base[h] {
				drop(t, tpm, h)
			}
		}
	}
	return rc
}

func drop(t testing.TB, tpm transport.TPM, h tpm2.TPMHandle) {
	t.Helper()
	switch h >> 24 {
	case 0x01:
		name := run(t, tpm, tpm2.NVReadPublic{NVIndex: h}.Execute).NVName
		run(t, tpm, tpm2.NVUndefineSpace{AuthHandle: tpm2.TPMRHOwner, NVIndex: tpm2.NamedHandle{Handle: h, Name: name}}.Execute)
	case 0x81:
		name := run(t, tpm, tpm2.ReadPublic{ObjectHandle: h}.Execute).Name
		run(t, tpm, tpm2.EvictControl{Auth: tpm2.TPMRHOwner, ObjectHandle: tpm2.NamedHandle{Handle: h, Name: name}, PersistentHandle: h}.Execute)
	default:
		flush(t, tpm, h)
	}
}
