package attesttest_test

import (
	"bytes"
	"crypto/rand"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

// endorse satisfies PolicyA.
func endorse(tr transport.TPM, h tpm2.TPMISHPolicy, _ tpm2.TPM2BNonce) error {
	_, err := tpm2.PolicySecret{AuthHandle: tpm2.TPMRHEndorsement, PolicySession: h}.Execute(tr)
	return err
}

// challenge makes a credential in software.
func challenge(t testing.TB, ek tpm2.TPMTPublic, name, secret []byte) (tpm2.TPM2BIDObject, tpm2.TPM2BEncryptedSecret) {
	t.Helper()
	pub, err := tpm2.ImportEncapsulationKey(&ek)
	check(t, err)
	blob, enc, err := tpm2.CreateCredential(rand.Reader, pub, name, secret)
	check(t, err)
	return tpm2.TPM2BIDObject{Buffer: blob}, tpm2.TPM2BEncryptedSecret{Buffer: enc}
}

func testActivation(t *testing.T, tpm machine) {
	ecc := run(t, tpm, tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHEndorsement, InPublic: tpm2.New2B(tpm2.ECCEKTemplate)}.Execute)
	defer flush(t, tpm, ecc.ObjectHandle)
	ak := makeKey(t, tpm, shape{sign: true, restricted: true}.ecc(tpm2.TPMECCNistP256), "")
	defer flush(t, tpm, ak.Handle)
	rsaEK, rsaPub := named(t, tpm, ekHandle, nil)
	for _, c := range []struct {
		name string
		ek   tpm2.NamedHandle
		pub  tpm2.TPMTPublic
	}{
		{"RSA", tpm2.NamedHandle{Handle: ekHandle, Name: rsaEK.Name}, rsaPub},
		{"P-256", tpm2.NamedHandle{Handle: ecc.ObjectHandle, Name: ecc.Name}, *run2(t, ecc.OutPublic.Contents)},
	} {
		secret := bytes.Repeat([]byte{7}, 32)
		blob, enc := challenge(t, c.pub, ak.Name.Buffer, secret)
		auth := func(f tpm2.PolicyCallback, opts ...tpm2.AuthOption) tpm2.AuthHandle {
			return tpm2.AuthHandle{Handle: c.ek.Handle, Name: c.ek.Name, Auth: tpm2.Policy(tpm2.TPMAlgSHA256, 16, f, opts...)}
		}
		activate := tpm2.ActivateCredential{ActivateHandle: ak.AuthHandle, KeyHandle: auth(endorse), CredentialBlob: blob, Secret: enc}
		if got := run(t, tpm, activate.Execute).CertInfo.Buffer; !bytes.Equal(got, secret) {
			t.Errorf("%s: secret %x", c.name, got)
		}
		// Salted to the SRK, the secret encrypted on its way out.
		srkAuth, srkPub := named(t, tpm, srkHandle, nil)
		activate.KeyHandle = auth(endorse, tpm2.Salted(srkAuth.Handle, srkPub), tpm2.AESEncryption(128, tpm2.EncryptOut))
		if got := run(t, tpm, activate.Execute).CertInfo.Buffer; !bytes.Equal(got, secret) {
			t.Errorf("%s: secret in an encrypted session %x", c.name, got)
		}
		activate.KeyHandle = tpm2.AuthHandle{Handle: c.ek.Handle, Name: c.ek.Name, Auth: password}
		refuse(t, tpm, c.name+": EK by password", 0x12F, activate.Execute)
		activate.KeyHandle = auth(func(transport.TPM, tpm2.TPMISHPolicy, tpm2.TPM2BNonce) error { return nil })
		refuse(t, tpm, c.name+": policy not met", 0xA9D, activate.Execute)
		closeSessions(t, tpm)
		other := append([]byte(nil), ak.Name.Buffer...)
		other[len(other)-1] ^= 1
		activate.KeyHandle = auth(endorse)
		activate.CredentialBlob, activate.Secret = challenge(t, c.pub, other, secret)
		refuse(t, tpm, c.name+": credential for another name", 0x1DF, activate.Execute)
		closeSessions(t, tpm)
		activate.CredentialBlob, activate.Secret = blob, tpm2.TPM2BEncryptedSecret{Buffer: enc.Buffer[:len(enc.Buffer)-1]}
		activate.KeyHandle = auth(endorse)
		want := uint32(0x2D5)
		if c.name != "RSA" {
			want = 0x2DA
		}
		refuse(t, tpm, c.name+": short secret", want, activate.Execute)
		closeSessions(t, tpm)
	}
}

// The high-range template H-3: SHA-384, AES-256, PolicyOR, or a password.
func testActivation384(t *testing.T, tpm machine) {
	template, a, c := ek384()
	ek := run(t, tpm, tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHEndorsement, InPublic: tpm2.New2B(template)}.Execute)
	defer flush(t, tpm, ek.ObjectHandle)
	ak := makeKey(t, tpm, shape{sign: true, restricted: true}.ecc(tpm2.TPMECCNistP256), "")
	defer flush(t, tpm, ak.Handle)
	secret := bytes.Repeat([]byte{9}, 48)
	blob, enc := challenge(t, *run2(t, ek.OutPublic.Contents), ak.Name.Buffer, secret)
	either := func(tr transport.TPM, h tpm2.TPMISHPolicy, n tpm2.TPM2BNonce) error {
		if err := endorse(tr, h, n); err != nil {
			return err
		}
		_, err := tpm2.PolicyOr{PolicySession: h, PHashList: tpm2.TPMLDigest{Digests: []tpm2.TPM2BDigest{{Buffer: a}, {Buffer: c}}}}.Execute(tr)
		return err
	}
	for _, s := range []tpm2.Session{tpm2.Policy(tpm2.TPMAlgSHA384, 16, either), password} {
		activate := tpm2.ActivateCredential{
			ActivateHandle: ak.AuthHandle, KeyHandle: tpm2.AuthHandle{Handle: ek.ObjectHandle, Name: ek.Name, Auth: s},
			CredentialBlob: blob, Secret: enc,
		}
		if got := run(t, tpm, activate.Execute).CertInfo.Buffer; !bytes.Equal(got, secret) {
			t.Errorf("secret %x", got)
		}
	}
}

// The same with a P-256 EK, made by TPM2_CreateLoaded.
func testMakeCredentialECC(t *testing.T, tpm machine) {
	ak := makeKey(t, tpm, shape{sign: true, restricted: true}.ecc(tpm2.TPMECCNistP256), "")
	defer flush(t, tpm, ak.Handle)
	template := tpm2.ECCEKTemplate
	ek := run(t, tpm, tpm2.CreateLoaded{ParentHandle: tpm2.TPMRHEndorsement, InPublic: tpm2.New2BTemplate(&template)}.Execute)
	defer flush(t, tpm, ek.ObjectHandle)
	if len(ek.OutPrivate.Buffer) != 0 {
		t.Errorf("private area of a primary: %x", ek.OutPrivate.Buffer)
	}
	made := run(t, tpm, tpm2.MakeCredential{Handle: ek.ObjectHandle, Credential: tpm2.TPM2BDigest{Buffer: []byte("secret")}, ObjectName: ak.Name}.Execute)
	activate := tpm2.ActivateCredential{
		ActivateHandle: ak.AuthHandle, CredentialBlob: made.CredentialBlob, Secret: made.Secret,
		KeyHandle: tpm2.AuthHandle{Handle: ek.ObjectHandle, Name: ek.Name, Auth: tpm2.Policy(tpm2.TPMAlgSHA256, 16, endorse)},
	}
	if got := run(t, tpm, activate.Execute).CertInfo.Buffer; string(got) != "secret" {
		t.Errorf("secret %q", got)
	}
}

// What TPM2_MakeCredential makes, TPM2_ActivateCredential opens.
func testMakeCredential(t *testing.T, tpm machine) {
	ak := makeKey(t, tpm, shape{sign: true, restricted: true}.rsa(2048), "")
	defer flush(t, tpm, ak.Handle)
	ek, pub := named(t, tpm, ekHandle, nil)
	ext := run(t, tpm, tpm2.LoadExternal{InPublic: tpm2.New2B(pub), Hierarchy: tpm2.TPMRHEndorsement}.Execute)
	if !bytes.Equal(ext.Name.Buffer, ek.Name.Buffer) {
		t.Errorf("external name %x", ext.Name.Buffer)
	}
	cred := tpm2.MakeCredential{Handle: ext.ObjectHandle, Credential: tpm2.TPM2BDigest{Buffer: []byte("secret")}, ObjectName: ak.Name}
	made := run(t, tpm, cred.Execute)
	cred.Credential.Buffer = make([]byte, 33)
	refuse(t, tpm, "long credential", 0x1D5, cred.Execute)
	flush(t, tpm, ext.ObjectHandle)
	ek.Auth = tpm2.Policy(tpm2.TPMAlgSHA256, 16, endorse)
	activate := tpm2.ActivateCredential{ActivateHandle: ak.AuthHandle, KeyHandle: ek, CredentialBlob: made.CredentialBlob, Secret: made.Secret}
	if got := run(t, tpm, activate.Execute).CertInfo.Buffer; string(got) != "secret" {
		t.Errorf("secret %q", got)
	}
	cred.Handle, cred.Credential.Buffer = ak.Handle, nil
	refuse(t, tpm, "a key that is no EK", 0x18A, cred.Execute)
}
