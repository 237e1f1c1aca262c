package attesttest_test

import (
	"bytes"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

func testAuthorization(t *testing.T, tpm machine) {
	k := makeKey(t, tpm, shape{sign: true}.ecc(tpm2.TPMECCNistP256), "right")
	defer flush(t, tpm, k.Handle)
	da := makeKey(t, tpm, shape{sign: true, da: true}.ecc(tpm2.TPMECCNistP256), "right")
	defer flush(t, tpm, da.Handle)
	sign := tpm2.Sign{KeyHandle: k.AuthHandle, Digest: digest(), InScheme: ecdsaScheme(tpm2.TPMAlgSHA256), Validation: noTicket()}
	run(t, tpm, sign.Execute)
	sign.KeyHandle = k.with(tpm2.PasswordAuth([]byte("right\x00\x00")))
	run(t, tpm, sign.Execute)
	for _, c := range []struct {
		name string
		h    tpm2.AuthHandle
		want uint32
	}{
		{"wrong password", k.with(tpm2.PasswordAuth([]byte("wrong"))), 0x9A2},
		{"no password", k.with(password), 0x9A2},
		{"wrong HMAC", k.with(tpm2.HMAC(tpm2.TPMAlgSHA256, 16, tpm2.Auth([]byte("wrong")))), 0x9A2},
		{"wrong password that counts", da.with(tpm2.PasswordAuth([]byte("wrong"))), 0x98E},
		{"wrong HMAC that counts", da.with(tpm2.HMAC(tpm2.TPMAlgSHA256, 16, tpm2.Auth([]byte("wrong")))), 0x98E},
	} {
		sign.KeyHandle = c.h
		refuse(t, tpm, c.name, c.want, sign.Execute)
		closeSessions(t, tpm)
	}
	sign.KeyHandle = k.with(tpm2.HMAC(tpm2.TPMAlgSHA256, 16, tpm2.Auth([]byte("right"))))
	run(t, tpm, sign.Execute)
	rsp, err := tpm.Send(raw(0x8001, 0x131, 0x40, 0, 0, 1))
	check(t, err)
	if rc := responseCode(rsp); rc != 0x125 {
		t.Errorf("no authorization: %#x, want 0x125", rc)
	}
	reset := raw(0x8002, 0x139, 0x40, 0, 0, 0xA, 0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 1, 0, 0)
	rsp, err = tpm.Send(reset)
	check(t, err)
	if rc := responseCode(rsp); rc != 0 {
		t.Errorf("lockout reset: %#x", rc)
	}
}

// closeSessions flushes the sessions that a failed command left.
func closeSessions(t *testing.T, tpm transport.TPM) {
	t.Helper()
	for _, h := range handles(t, tpm, 0x02000000) {
		flush(t, tpm, h)
	}
}

// An EK takes no password, and an ADMIN command needs the policy of a key that
// has adminWithPolicy, with TPM2_PolicyCommandCode.
func testRoles(t *testing.T, tpm machine) {
	ek, _ := named(t, tpm, ekHandle, password)
	refuse(t, tpm, "EK by password", 0x12F, tpm2.Create{ParentHandle: ek, InPublic: tpm2.New2B(shape{sign: true}.ecc(tpm2.TPMECCNistP256))}.Execute)
	calc, err := tpm2.NewPolicyCalculator(tpm2.TPMAlgSHA256)
	check(t, err)
	check(t, tpm2.PolicyCommandCode{Code: tpm2.TPMCCCertify}.Update(calc))
	k := makeKey(t, tpm, shape{sign: true, policy: calc.Hash().Digest}.ecc(tpm2.TPMECCNistP256), "")
	defer flush(t, tpm, k.Handle)
	ak := makeKey(t, tpm, shape{sign: true, restricted: true}.ecc(tpm2.TPMECCNistP256), "")
	defer flush(t, tpm, ak.Handle)
	certify := tpm2.Certify{ObjectHandle: k.with(password), SignHandle: ak.AuthHandle}
	refuse(t, tpm, "ADMIN by password", 0x124, certify.Execute)
	certify.ObjectHandle = k.with(tpm2.Policy(tpm2.TPMAlgSHA256, 16, func(transport.TPM, tpm2.TPMISHPolicy, tpm2.TPM2BNonce) error { return nil }))
	refuse(t, tpm, "ADMIN by a policy without command code", 0x99D, certify.Execute)
	closeSessions(t, tpm)
	for _, c := range []struct {
		code tpm2.TPMCC
		want uint32
	}{{tpm2.TPMCCCertify, 0}, {tpm2.TPMCCSign, 0x99D}} {
		certify.ObjectHandle = k.with(tpm2.Policy(tpm2.TPMAlgSHA256, 16, func(tr transport.TPM, h tpm2.TPMISHPolicy, _ tpm2.TPM2BNonce) error {
			_, err := tpm2.PolicyCommandCode{PolicySession: h, Code: c.code}.Execute(tr)
			return err
		}))
		refuse(t, tpm, "ADMIN by a policy with command code", c.want, certify.Execute)
		closeSessions(t, tpm)
	}
}

// One salted session makes a key with a secret authorization value, then
// decrypts with it, for salts by an RSA and by an ECC key.
func testSalted(t *testing.T, tpm machine) {
	rsaHandle, rsaPub := named(t, tpm, srkHandle, password)
	p := run(t, tpm, tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute)
	defer flush(t, tpm, p.ObjectHandle)
	eccPub, err := p.OutPublic.Contents()
	check(t, err)
	for _, c := range []struct {
		name   string
		handle tpm2.TPMHandle
		pub    tpm2.TPMTPublic
		hash   tpm2.TPMIAlgHash
		bits   tpm2.TPMKeyBits
	}{
		{"RSA", rsaHandle.Handle, rsaPub, tpm2.TPMAlgSHA256, 128},
		{"ECC", p.ObjectHandle, *eccPub, tpm2.TPMAlgSHA256, 128},
		{"ECC SHA-384 AES-256", p.ObjectHandle, *eccPub, tpm2.TPMAlgSHA384, 256},
		{"RSA SHA-1", rsaHandle.Handle, rsaPub, tpm2.TPMAlgSHA1, 128},
	} {
		s, done, err := tpm2.HMACSession(tpm, c.hash, 16, tpm2.Salted(c.handle, c.pub), tpm2.AESEncryption(c.bits, tpm2.EncryptInOut))
		check(t, err)
		parent := rsaHandle
		parent.Auth = s
		template := shape{sign: true}.ecc(tpm2.TPMECCNistP256)
		k := run(t, tpm, tpm2.CreateLoaded{ParentHandle: parent, InSensitive: sensitive("secret"), InPublic: tpm2.New2BTemplate(&template)}.Execute)
		sign := tpm2.Sign{
			KeyHandle: tpm2.AuthHandle{Handle: k.ObjectHandle, Name: k.Name, Auth: tpm2.PasswordAuth([]byte("secret"))},
			Digest:    digest(), InScheme: ecdsaScheme(tpm2.TPMAlgSHA256), Validation: noTicket(),
		}
		run(t, tpm, sign.Execute)
		check(t, done())
		flush(t, tpm, k.ObjectHandle)
		// A session that does nothing but encrypt.
		s, done, err = tpm2.HMACSession(tpm, c.hash, 16, tpm2.Salted(c.handle, c.pub), tpm2.AESEncryption(c.bits, tpm2.EncryptOut))
		check(t, err)
		if n := len(run(t, tpm, tpm2.GetRandom{BytesRequested: 16}.Execute, s).RandomBytes.Buffer); n != 16 {
			t.Errorf("%s: %d random bytes", c.name, n)
		}
		plain := run(t, tpm, tpm2.ReadPublic{ObjectHandle: ekHandle}.Execute)
		ek := run(t, tpm, tpm2.ReadPublic{ObjectHandle: tpm2.NamedHandle{Handle: ekHandle, Name: plain.Name}}.Execute, s)
		if !bytes.Equal(ek.OutPublic.Bytes(), plain.OutPublic.Bytes()) {
			t.Errorf("%s: the encrypted answer is another", c.name)
		}
		check(t, done())
	}
}

// Three sessions: one authorizes, one decrypts, one encrypts.
func testThreeSessions(t *testing.T, tpm machine) {
	h, pub := named(t, tpm, srkHandle, password)
	start := func(opts ...tpm2.AuthOption) (tpm2.Session, func() error) {
		s, done, err := tpm2.HMACSession(tpm, tpm2.TPMAlgSHA256, 16, opts...)
		check(t, err)
		return s, done
	}
	in, doneIn := start(tpm2.Salted(h.Handle, pub), tpm2.AESEncryption(128, tpm2.EncryptIn))
	out, doneOut := start(tpm2.Salted(h.Handle, pub), tpm2.AESEncryption(128, tpm2.EncryptOut))
	both, doneBoth := start(tpm2.Salted(h.Handle, pub))
	for _, s := range []tpm2.Session{password, both} {
		h.Auth = s
		template := shape{sign: true}.ecc(tpm2.TPMECCNistP256)
		k := run(t, tpm, tpm2.CreateLoaded{ParentHandle: h, InSensitive: sensitive("secret"), InPublic: tpm2.New2BTemplate(&template)}.Execute, in, out)
		sign := tpm2.Sign{
			KeyHandle: tpm2.AuthHandle{Handle: k.ObjectHandle, Name: k.Name, Auth: tpm2.PasswordAuth([]byte("secret"))},
			Digest:    digest(), InScheme: ecdsaScheme(tpm2.TPMAlgSHA256), Validation: noTicket(),
		}
		run(t, tpm, sign.Execute)
		flush(t, tpm, k.ObjectHandle)
	}
	for _, done := range []func() error{doneIn, doneOut, doneBoth} {
		check(t, done())
	}
}

// A session bound to a key: its HMAC leaves the key's value out.
func testBound(t *testing.T, tpm machine) {
	k := makeKey(t, tpm, shape{sign: true}.ecc(tpm2.TPMECCNistP256), "bound")
	defer flush(t, tpm, k.Handle)
	s, done, err := tpm2.HMACSession(tpm, tpm2.TPMAlgSHA256, 16, tpm2.Bound(k.Handle, k.Name, []byte("bound")))
	check(t, err)
	sign := tpm2.Sign{KeyHandle: k.with(s), Digest: digest(), InScheme: ecdsaScheme(tpm2.TPMAlgSHA256), Validation: noTicket()}
	for range 2 {
		run(t, tpm, sign.Execute)
	}
	check(t, done())
}

func testPolicy(t *testing.T, tpm machine) {
	s, done, err := tpm2.PolicySession(tpm, tpm2.TPMAlgSHA256, 16)
	check(t, err)
	h := s.Handle()
	read := func() []byte {
		return run(t, tpm, tpm2.PolicyGetDigest{PolicySession: h}.Execute).PolicyDigest.Buffer
	}
	if !bytes.Equal(read(), make([]byte, 32)) {
		t.Error("a policy that does not begin with zeros")
	}
	calc, err := tpm2.NewPolicyCalculator(tpm2.TPMAlgSHA256)
	check(t, err)
	secret := tpm2.PolicySecret{AuthHandle: tpm2.TPMRHEndorsement, PolicySession: h}
	rsp := run(t, tpm, secret.Execute)
	if rsp.PolicyTicket.Tag != tpm2.TPMSTAuthSecret || rsp.PolicyTicket.Hierarchy != tpm2.TPMRHNull || len(rsp.Timeout.Buffer) != 0 {
		t.Errorf("ticket %+v, timeout %x", rsp.PolicyTicket, rsp.Timeout.Buffer)
	}
	check(t, secret.Update(calc))
	if want := unhex("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa"); !bytes.Equal(read(), want) {
		t.Errorf("PolicyA is %x", read())
	}
	secret.NonceTPM.Buffer = make([]byte, 16)
	refuse(t, tpm, "nonce", 0x1CF, secret.Execute)
	secret.NonceTPM.Buffer, secret.CPHashA.Buffer = nil, make([]byte, 5)
	refuse(t, tpm, "cpHash", 0x2D5, secret.Execute)
	or := tpm2.PolicyOr{PolicySession: h, PHashList: tpm2.TPMLDigest{Digests: []tpm2.TPM2BDigest{{Buffer: make([]byte, 32)}, {Buffer: make([]byte, 32)}}}}
	refuse(t, tpm, "PolicyOR without the digest", 0x1C4, or.Execute)
	or.PHashList.Digests = or.PHashList.Digests[:1]
	refuse(t, tpm, "PolicyOR of one", 0x1D5, or.Execute)
	or.PHashList.Digests = []tpm2.TPM2BDigest{{Buffer: make([]byte, 32)}, {Buffer: read()}}
	run(t, tpm, or.Execute)
	check(t, or.Update(calc))
	code := tpm2.PolicyCommandCode{PolicySession: h, Code: tpm2.TPMCCSign}
	run(t, tpm, code.Execute)
	check(t, code.Update(calc))
	refuse(t, tpm, "another command code", 0x1C4, tpm2.PolicyCommandCode{PolicySession: h, Code: tpm2.TPMCCQuote}.Execute)
	pcr := tpm2.PolicyPCR{PolicySession: h, Pcrs: pcrs(tpm2.TPMAlgSHA256, 0x80)}
	pcr.PcrDigest.Buffer = make([]byte, 32)
	refuse(t, tpm, "PCR digest", 0x1C4, pcr.Execute)
	pcr.PcrDigest.Buffer = nil
	run(t, tpm, pcr.Execute)
	pcr.PcrDigest.Buffer = pcrDigest(t, tpm, tpm2.TPMAlgSHA256, 7)
	check(t, pcr.Update(calc))
	value := tpm2.PolicyAuthValue{PolicySession: h}
	run(t, tpm, value.Execute)
	check(t, value.Update(calc))
	if !bytes.Equal(read(), calc.Hash().Digest) {
		t.Errorf("digest %x, want %x", read(), calc.Hash().Digest)
	}
	check(t, done())
	refuse(t, tpm, "session that is gone", 0x910, tpm2.PolicyGetDigest{PolicySession: h}.Execute)
}

// A policy that asks for the key's value in the HMAC, and one for a command.
func testPolicyValue(t *testing.T, tpm machine) {
	calc, err := tpm2.NewPolicyCalculator(tpm2.TPMAlgSHA256)
	check(t, err)
	check(t, tpm2.PolicyAuthValue{}.Update(calc))
	check(t, tpm2.PolicyCommandCode{Code: tpm2.TPMCCSign}.Update(calc))
	template := shape{sign: true, policy: calc.Hash().Digest}.ecc(tpm2.TPMECCNistP256)
	template.ObjectAttributes.AdminWithPolicy, template.ObjectAttributes.UserWithAuth = false, false
	k := makeKey(t, tpm, template, "value")
	defer flush(t, tpm, k.Handle)
	gather := func(tr transport.TPM, h tpm2.TPMISHPolicy, _ tpm2.TPM2BNonce) error {
		if _, err := (tpm2.PolicyAuthValue{PolicySession: h}).Execute(tr); err != nil {
			return err
		}
		_, err := tpm2.PolicyCommandCode{PolicySession: h, Code: tpm2.TPMCCSign}.Execute(tr)
		return err
	}
	sign := tpm2.Sign{Digest: digest(), InScheme: ecdsaScheme(tpm2.TPMAlgSHA256), Validation: noTicket()}
	sign.KeyHandle = k.with(tpm2.Policy(tpm2.TPMAlgSHA256, 16, gather, tpm2.Auth([]byte("value")), tpm2.AESEncryption(128, tpm2.EncryptIn)))
	run(t, tpm, sign.Execute)
	sign.KeyHandle = k.with(tpm2.Policy(tpm2.TPMAlgSHA256, 16, gather, tpm2.Auth([]byte("wrong"))))
	refuse(t, tpm, "wrong value in a policy", 0x9A2, sign.Execute)
	closeSessions(t, tpm)
	sign.KeyHandle = k.with(password)
	refuse(t, tpm, "no policy", 0x12F, sign.Execute)
	quote := tpm2.Quote{
		SignHandle: k.with(tpm2.Policy(tpm2.TPMAlgSHA256, 16, gather, tpm2.Auth([]byte("value")))),
		InScheme:   ecdsaScheme(tpm2.TPMAlgSHA256), PCRSelect: pcrs(tpm2.TPMAlgSHA256, 1),
	}
	refuse(t, tpm, "another command than the policy's", 0x9A4, quote.Execute)
	closeSessions(t, tpm)
}

func testHierarchyAuth(t *testing.T, tpm machine) {
	secret := []byte("endorsement")
	change := tpm2.HierarchyChangeAuth{AuthHandle: tpm2.TPMRHEndorsement, NewAuth: tpm2.TPM2BAuth{Buffer: make([]byte, 65)}}
	refuse(t, tpm, "too long", 0x1D5, change.Execute)
	change.NewAuth.Buffer = secret
	run(t, tpm, change.Execute)
	primary := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHEndorsement, InPublic: tpm2.New2B(tpm2.ECCEKTemplate)}
	refuse(t, tpm, "no auth", 0x9A2, primary.Execute)
	primary.PrimaryHandle = tpm2.AuthHandle{Handle: tpm2.TPMRHEndorsement, Auth: tpm2.PasswordAuth(secret)}
	ek := run(t, tpm, primary.Execute)
	flush(t, tpm, ek.ObjectHandle)
	s, done, err := tpm2.PolicySession(tpm, tpm2.TPMAlgSHA256, 16)
	check(t, err)
	policy := tpm2.PolicySecret{AuthHandle: tpm2.TPMRHEndorsement, PolicySession: s.Handle()}
	refuse(t, tpm, "PolicySecret without", 0x9A2, policy.Execute)
	policy.AuthHandle = tpm2.AuthHandle{Handle: tpm2.TPMRHEndorsement, Auth: tpm2.HMAC(tpm2.TPMAlgSHA256, 16, tpm2.Auth(secret))}
	run(t, tpm, policy.Execute)
	check(t, done())
	// The answer's HMAC is made with the new value already.
	change = tpm2.HierarchyChangeAuth{AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHEndorsement, Auth: tpm2.PasswordAuth(secret)}}
	run(t, tpm, change.Execute)
	run(t, tpm, tpm2.HierarchyChangeAuth{AuthHandle: tpm2.TPMRHEndorsement}.Execute)
}
