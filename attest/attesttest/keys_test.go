package attesttest_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"testing"

	"github.com/google/go-tpm/tpm2"
)

// What is wrong with a template, and how a TPM says so.
func testTemplates(t *testing.T, tpm machine) {
	parent := srk(t, tpm)
	signer := shape{sign: true}.ecc(tpm2.TPMECCNistP256)
	for _, c := range []struct {
		name   string
		change func(*tpm2.TPMTPublic)
		want   uint32
	}{
		{"good", func(*tpm2.TPMTPublic) {}, 0},
		{"no use", func(p *tpm2.TPMTPublic) { p.ObjectAttributes.SignEncrypt = false }, 0x2C2},
		{"restricted for all", func(p *tpm2.TPMTPublic) {
			p.ObjectAttributes.Restricted, p.ObjectAttributes.Decrypt = true, true
		}, 0x2C2},
		{"restricted without scheme", func(p *tpm2.TPMTPublic) { p.ObjectAttributes.Restricted = true }, 0x2D2},
		{"fixedTPM without fixedParent", func(p *tpm2.TPMTPublic) { p.ObjectAttributes.FixedParent = false }, 0x2C2},
		{"fixedParent without fixedTPM", func(p *tpm2.TPMTPublic) { p.ObjectAttributes.FixedTPM = false }, 0x2C2},
		{"sensitive from outside", func(p *tpm2.TPMTPublic) { p.ObjectAttributes.SensitiveDataOrigin = false }, 0x2C2},
		{"encrypted duplication", func(p *tpm2.TPMTPublic) { p.ObjectAttributes.EncryptedDuplication = true }, 0x2C2},
		{"policy of another size", func(p *tpm2.TPMTPublic) { p.AuthPolicy.Buffer = make([]byte, 20) }, 0x2D5},
		{"parent without cipher", func(p *tpm2.TPMTPublic) {
			p.ObjectAttributes.SignEncrypt, p.ObjectAttributes.Decrypt, p.ObjectAttributes.Restricted = false, true, true
		}, 0x2D6},
		{"no name algorithm", func(p *tpm2.TPMTPublic) { p.NameAlg = tpm2.TPMAlgNull }, 0x2C3},
		{"curve", func(p *tpm2.TPMTPublic) { *p = shape{sign: true}.ecc(0x99) }, 0x2E6},
		{"RSA size", func(p *tpm2.TPMTPublic) { *p = shape{sign: true}.rsa(2047) }, 0x2C4},
	} {
		p := signer
		c.change(&p)
		cmd := tpm2.Create{ParentHandle: parent, InPublic: tpm2.New2B(p)}
		refuse(t, tpm, c.name, c.want, cmd.Execute)
	}
	long := tpm2.Create{ParentHandle: parent, InPublic: tpm2.New2B(signer), InSensitive: sensitive(string(bytes.Repeat([]byte{1}, 33)))}
	refuse(t, tpm, "authorization value too long", 0x1D5, long.Execute)
	k := makeKey(t, tpm, signer, "")
	defer flush(t, tpm, k.Handle)
	refuse(t, tpm, "a parent that is none", 0x18A, tpm2.Create{ParentHandle: k.AuthHandle, InPublic: tpm2.New2B(signer)}.Execute)
}

func testCreateLoad(t *testing.T, tpm machine) {
	parent := srk(t, tpm)
	for _, c := range []struct {
		name     string
		template tpm2.TPMTPublic
		private  int // size of the private area
	}{
		{"P-256", shape{sign: true}.ecc(tpm2.TPMECCNistP256), 0x7E},
		{"P-384", shape{sign: true}.ecc(tpm2.TPMECCNistP384), 0x8E},
		{"RSA-2048", shape{decrypt: true}.rsa(2048), 0xDE},
	} {
		k := run(t, tpm, tpm2.Create{
			ParentHandle: parent, InPublic: tpm2.New2B(c.template), InSensitive: sensitive(""),
			OutsideInfo: tpm2.TPM2BData{Buffer: []byte("outside")}, CreationPCR: pcrs(tpm2.TPMAlgSHA256, 1),
		}.Execute)
		if n := len(k.OutPrivate.Buffer); n != c.private {
			t.Errorf("%s: private area of %d bytes, want %d", c.name, n, c.private)
		}
		data, err := k.CreationData.Contents()
		check(t, err)
		if !bytes.Equal(data.ParentName.Buffer, parent.Name.Buffer) || string(data.OutsideInfo.Buffer) != "outside" || len(data.PCRDigest.Buffer) != 32 {
			t.Errorf("%s: creation data %+v", c.name, data)
		}
		load := tpm2.Load{ParentHandle: parent, InPrivate: k.OutPrivate, InPublic: k.OutPublic}
		l := run(t, tpm, load.Execute)
		pub := run(t, tpm, tpm2.ReadPublic{ObjectHandle: l.ObjectHandle}.Execute)
		if !bytes.Equal(pub.Name.Buffer, l.Name.Buffer) || !bytes.Equal(pub.OutPublic.Bytes(), k.OutPublic.Bytes()) {
			t.Errorf("%s: loaded another key", c.name)
		}
		flush(t, tpm, l.ObjectHandle)
		other := append([]byte(nil), k.OutPrivate.Buffer...)
		other[len(other)-1] ^= 1
		load.InPrivate.Buffer = other
		refuse(t, tpm, "changed private area", 0x1DF, load.Execute)
		load.InPrivate.Buffer = nil
		refuse(t, tpm, "empty private area", 0x1D5, load.Execute)
		load.InPrivate = k.OutPrivate
		changed := *run2(t, k.OutPublic.Contents)
		changed.ObjectAttributes.NoDA = false
		load.InPublic = tpm2.New2B(changed)
		refuse(t, tpm, "changed public area", 0x1DF, load.Execute)
	}
}

// run2 calls f, which must succeed.
func run2[R any](t testing.TB, f func() (R, error)) R {
	t.Helper()
	v, err := f()
	check(t, err)
	return v
}

// The same template gives the same key, another unique another key, and a
// hierarchy of its own another one.
func testPrimaries(t *testing.T, tpm machine) {
	make1 := func(root tpm2.TPMHandle, p tpm2.TPMTPublic) (area, name []byte) {
		cmd := tpm2.CreatePrimary{PrimaryHandle: root, InPublic: tpm2.New2B(p)}
		rsp := run(t, tpm, cmd.Execute)
		flush(t, tpm, rsp.ObjectHandle)
		data := run2(t, rsp.CreationData.Contents)
		if data.ParentNameAlg != tpm2.TPMAlgNull || !bytes.Equal(data.ParentName.Buffer, tpm2.HandleName(root).Buffer) {
			t.Errorf("creation data %+v", data)
		}
		return rsp.OutPublic.Bytes(), rsp.Name.Buffer
	}
	first, name := make1(tpm2.TPMRHOwner, tpm2.ECCSRKTemplate)
	again, _ := make1(tpm2.TPMRHOwner, tpm2.ECCSRKTemplate)
	if !bytes.Equal(first, again) || len(name) != 34 {
		t.Error("the same template made another key")
	}
	if other, _ := make1(tpm2.TPMRHEndorsement, tpm2.ECCSRKTemplate); bytes.Equal(first, other) {
		t.Error("two hierarchies made the same key")
	}
	changed := tpm2.ECCSRKTemplate
	changed.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{X: tpm2.TPM2BECCParameter{Buffer: []byte{1}}})
	if other, _ := make1(tpm2.TPMRHOwner, changed); bytes.Equal(first, other) {
		t.Error("another unique made the same key")
	}
	ek, _ := make1(tpm2.TPMRHEndorsement, tpm2.RSAEKTemplate)
	_, pub := named(t, tpm, ekHandle, password)
	if !bytes.Equal(ek, tpm2.Marshal(pub)) {
		t.Error("the persistent EK is not that of the template")
	}
	null, _ := make1(tpm2.TPMRHNull, tpm2.ECCSRKTemplate)
	check(t, tpm.Reboot())
	if again, _ := make1(tpm2.TPMRHOwner, tpm2.ECCSRKTemplate); !bytes.Equal(first, again) {
		t.Error("another key after a reboot")
	}
	if again, _ := make1(tpm2.TPMRHNull, tpm2.ECCSRKTemplate); bytes.Equal(null, again) {
		t.Error("the null hierarchy survived a reboot")
	}
}

func testEvict(t *testing.T, tpm machine) {
	k := makeKey(t, tpm, shape{sign: true}.ecc(tpm2.TPMECCNistP256), "")
	const at = tpm2.TPMHandle(0x81000123)
	evict := tpm2.EvictControl{Auth: tpm2.TPMRHOwner, ObjectHandle: k.public(), PersistentHandle: at}
	run(t, tpm, evict.Execute)
	refuse(t, tpm, "twice", 0x14C, evict.Execute)
	evict.PersistentHandle = 0x81800001
	refuse(t, tpm, "a handle of the platform", 0x1CD, evict.Execute)
	evict.PersistentHandle = 0x80000001
	refuse(t, tpm, "no persistent handle", 0x1C4, evict.Execute)
	flush(t, tpm, k.Handle)
	kept, _ := named(t, tpm, at, password)
	run(t, tpm, tpm2.Sign{KeyHandle: kept, Digest: digest(), InScheme: ecdsaScheme(tpm2.TPMAlgSHA256), Validation: noTicket()}.Execute)
	drop := tpm2.EvictControl{Auth: tpm2.TPMRHOwner, ObjectHandle: tpm2.NamedHandle{Handle: at, Name: k.Name}, PersistentHandle: at + 1}
	refuse(t, tpm, "another handle", 0x28B, drop.Execute)
	drop.PersistentHandle = at
	run(t, tpm, drop.Execute)
	refuse(t, tpm, "gone", 0x28B, drop.Execute)
	null := run(t, tpm, tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHNull, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute)
	defer flush(t, tpm, null.ObjectHandle)
	evict = tpm2.EvictControl{Auth: tpm2.TPMRHOwner, ObjectHandle: tpm2.NamedHandle{Handle: null.ObjectHandle, Name: null.Name}, PersistentHandle: at}
	refuse(t, tpm, "a key of the null hierarchy", 0x282, evict.Execute)
}

// A reboot drops what is loaded and keeps what is persistent; keys load again.
func testReboot(t *testing.T, tpm machine) {
	parent := srk(t, tpm)
	k := run(t, tpm, tpm2.Create{ParentHandle: parent, InPublic: tpm2.New2B(shape{sign: true}.ecc(tpm2.TPMECCNistP256))}.Execute)
	load := tpm2.Load{ParentHandle: parent, InPrivate: k.OutPrivate, InPublic: k.OutPublic}
	run(t, tpm, load.Execute)
	_, _, err := tpm2.PolicySession(tpm, tpm2.TPMAlgSHA256, 16)
	check(t, err)
	check(t, tpm.Reboot())
	if l := append(handles(t, tpm, 0x80000000), handles(t, tpm, 0x02000000)...); len(l) > 0 {
		t.Errorf("loaded after a reboot: %x", l)
	}
	l := run(t, tpm, load.Execute)
	flush(t, tpm, l.ObjectHandle)
}

// elsewhere is a point that is nobody's key.
func elsewhere(t testing.TB) tpm2.TPMUPublicID {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	point, err := k.PublicKey.Bytes()
	check(t, err)
	return tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{
		X: tpm2.TPM2BECCParameter{Buffer: point[1:33]}, Y: tpm2.TPM2BECCParameter{Buffer: point[33:]},
	})
}

// Keys from outside: with their private part in the null hierarchy only.
func testExternal(t *testing.T, tpm machine) {
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	point, err := priv.PublicKey.Bytes()
	check(t, err)
	d, err := priv.Bytes()
	check(t, err)
	template := shape{sign: true}.ecc(tpm2.TPMECCNistP256)
	template.ObjectAttributes = tpm2.TPMAObject{UserWithAuth: true, SignEncrypt: true, NoDA: true}
	template.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{
		X: tpm2.TPM2BECCParameter{Buffer: point[1:33]}, Y: tpm2.TPM2BECCParameter{Buffer: point[33:]},
	})
	secret := tpm2.TPMTSensitive{
		SensitiveType: tpm2.TPMAlgECC, AuthValue: tpm2.TPM2BAuth{Buffer: []byte("auth")},
		Sensitive: tpm2.NewTPMUSensitiveComposite(tpm2.TPMAlgECC, &tpm2.TPM2BECCParameter{Buffer: d}),
	}
	load := tpm2.LoadExternal{InPrivate: tpm2.New2B(secret), InPublic: tpm2.New2B(template), Hierarchy: tpm2.TPMRHNull}
	l := run(t, tpm, load.Execute)
	k := key{tpm2.AuthHandle{Handle: l.ObjectHandle, Name: l.Name, Auth: tpm2.PasswordAuth([]byte("auth"))}, template}
	sig := run(t, tpm, tpm2.Sign{KeyHandle: k.AuthHandle, Digest: digest(), InScheme: ecdsaScheme(tpm2.TPMAlgSHA256), Validation: noTicket()}.Execute)
	verify(t, k, "external key", sig.Signature, crypto.SHA256, digest().Buffer)
	flush(t, tpm, k.Handle)
	load.Hierarchy = tpm2.TPMRHOwner
	refuse(t, tpm, "private key in another hierarchy", 0x3C5, load.Execute)
	load.Hierarchy = tpm2.TPMRHNull
	fixed := template
	fixed.ObjectAttributes.FixedTPM = true
	load.InPublic = tpm2.New2B(fixed)
	refuse(t, tpm, "fixed to the TPM", 0x2C2, load.Execute)
	other := template
	other.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{
		X: tpm2.TPM2BECCParameter{Buffer: point[1:33]}, Y: tpm2.TPM2BECCParameter{Buffer: make([]byte, 32)},
	})
	off := tpm2.LoadExternal{InPublic: tpm2.New2B(other), Hierarchy: tpm2.TPMRHOwner}
	refuse(t, tpm, "not on the curve", 0x2E7, off.Execute)
	other.Unique = elsewhere(t)
	load.InPublic = tpm2.New2B(other)
	refuse(t, tpm, "private key of another", 0xA5, load.Execute)
	public := tpm2.LoadExternal{InPublic: tpm2.New2B(template), Hierarchy: tpm2.TPMRHOwner}
	l = run(t, tpm, public.Execute)
	k.Handle, k.Auth = l.ObjectHandle, password
	refuse(t, tpm, "sign with a public key", 0x12F, tpm2.Sign{KeyHandle: k.AuthHandle, Digest: digest(), InScheme: ecdsaScheme(tpm2.TPMAlgSHA256), Validation: noTicket()}.Execute)
	run(t, tpm, tpm2.VerifySignature{KeyHandle: k.public(), Digest: digest(), Signature: sig.Signature}.Execute)
	flush(t, tpm, k.Handle)
}
