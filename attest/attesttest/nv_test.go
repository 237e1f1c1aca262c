package attesttest_test

import (
	"bytes"
	"crypto/x509"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/attest/attesttest"
)

// An index names an NV index as it is now.
func index(t testing.TB, tpm machine, h tpm2.TPMHandle) (tpm2.NamedHandle, *tpm2.TPMSNVPublic) {
	t.Helper()
	rsp := run(t, tpm, tpm2.NVReadPublic{NVIndex: h}.Execute)
	pub := run2(t, rsp.NVPublic.Contents)
	name, err := tpm2.NVName(pub)
	check(t, err)
	if !bytes.Equal(name.Buffer, rsp.NVName.Buffer) {
		t.Errorf("NV name %x, want %x", rsp.NVName.Buffer, name.Buffer)
	}
	return tpm2.NamedHandle{Handle: h, Name: rsp.NVName}, pub
}

func testNV(t *testing.T, tpm machine) {
	const at = tpm2.TPMHandle(0x01800042)
	pub := tpm2.TPMSNVPublic{
		NVIndex: at, NameAlg: tpm2.TPMAlgSHA256, DataSize: 1200,
		Attributes: tpm2.TPMANV{OwnerWrite: true, AuthRead: true, NoDA: true},
	}
	define := tpm2.NVDefineSpace{AuthHandle: tpm2.TPMRHOwner, Auth: tpm2.TPM2BAuth{Buffer: []byte("nv")}, PublicInfo: tpm2.New2B(pub)}
	run(t, tpm, define.Execute)
	refuse(t, tpm, "defined twice", 0x14C, define.Execute)
	testNVDefinitions(t, tpm, pub)
	x, _ := index(t, tpm, at)
	own := tpm2.AuthHandle{Handle: at, Name: x.Name, Auth: tpm2.PasswordAuth([]byte("nv"))}
	read := tpm2.NVRead{AuthHandle: own, NVIndex: x, Size: 4}
	refuse(t, tpm, "never written", 0x14A, read.Execute)
	data := bytes.Repeat([]byte{1, 2, 3, 4}, 300)
	write := tpm2.NVWrite{AuthHandle: tpm2.TPMRHOwner, NVIndex: x, Data: tpm2.TPM2BMaxNVBuffer{Buffer: data[:700]}}
	run(t, tpm, write.Execute)
	x, now := index(t, tpm, at)
	if !now.Attributes.Written {
		t.Error("not marked as written")
	}
	write.NVIndex, write.Offset, write.Data.Buffer = x, 700, data[700:]
	run(t, tpm, write.Execute)
	write.Offset = 701
	refuse(t, tpm, "beyond the end", 0x146, write.Execute)
	write.AuthHandle = tpm2.AuthHandle{Handle: at, Name: x.Name, Auth: tpm2.PasswordAuth([]byte("nv"))}
	refuse(t, tpm, "written by its own value", 0x12F, write.Execute)
	own.Name = x.Name
	read = tpm2.NVRead{AuthHandle: own, NVIndex: x, Size: 1024, Offset: 176}
	if got := run(t, tpm, read.Execute).Data.Buffer; !bytes.Equal(got, data[176:]) {
		t.Errorf("read %x", got)
	}
	for _, c := range []struct {
		name         string
		size, offset uint16
		want         uint32
	}{{"block", 1025, 0, 0x1C4}, {"offset", 1, 1201, 0x2C4}, {"range", 2, 1199, 0x146}, {"nothing at the end", 0, 1200, 0}} {
		read.Size, read.Offset = c.size, c.offset
		refuse(t, tpm, c.name, c.want, read.Execute)
	}
	read.AuthHandle = tpm2.TPMRHOwner
	refuse(t, tpm, "read by the owner", 0x149, read.Execute)
	own.Auth = tpm2.PasswordAuth([]byte("wrong"))
	read.AuthHandle = own
	refuse(t, tpm, "wrong value", 0x9A2, read.Execute)
	run(t, tpm, tpm2.NVUndefineSpace{AuthHandle: tpm2.TPMRHOwner, NVIndex: x}.Execute)
	refuse(t, tpm, "undefined", 0x18B, tpm2.NVReadPublic{NVIndex: at}.Execute)
}

// What is wrong with a definition.
func testNVDefinitions(t *testing.T, tpm machine, good tpm2.TPMSNVPublic) {
	t.Helper()
	for _, c := range []struct {
		name   string
		change func(*tpm2.TPMSNVPublic)
		want   uint32
	}{
		{"too large", func(p *tpm2.TPMSNVPublic) { p.DataSize = 2049 }, 0x2D5},
		{"nobody writes", func(p *tpm2.TPMSNVPublic) { p.Attributes.OwnerWrite = false }, 0x2C2},
		{"nobody reads", func(p *tpm2.TPMSNVPublic) { p.Attributes.AuthRead = false }, 0x2C2},
		{"platform's", func(p *tpm2.TPMSNVPublic) { p.Attributes.PlatformCreate = true }, 0x182},
		{"written", func(p *tpm2.TPMSNVPublic) { p.Attributes.Written = true }, 0x2C2},
		{"no name", func(p *tpm2.TPMSNVPublic) { p.NameAlg = tpm2.TPMAlgNull }, 0x2C3},
		{"policy size", func(p *tpm2.TPMSNVPublic) { p.AuthPolicy.Buffer = make([]byte, 3) }, 0x2D5},
	} {
		p := good
		p.NVIndex++
		c.change(&p)
		refuse(t, tpm, c.name, c.want, tpm2.NVDefineSpace{AuthHandle: tpm2.TPMRHOwner, PublicInfo: tpm2.New2B(p)}.Execute)
	}
}

// readNV reads a whole index by its own empty password.
func readNV(t testing.TB, tpm machine, h tpm2.TPMHandle) []byte {
	t.Helper()
	x, pub := index(t, tpm, h)
	read := tpm2.NVRead{AuthHandle: tpm2.AuthHandle{Handle: h, Name: x.Name, Auth: password}, NVIndex: x}
	var data []byte
	for len(data) < int(pub.DataSize) {
		read.Size, read.Offset = min(1024, pub.DataSize-uint16(len(data))), uint16(len(data))
		data = append(data, run(t, tpm, read.Execute).Data.Buffer...)
	}
	return data
}

// The maker's certificates are in NV memory, of the keys of the templates, and
// the owner cannot change them.
func testCertificates(t *testing.T, tpm machine) {
	ca := readNV(t, tpm, 0x01C00100)
	if !bytes.Equal(ca, attesttest.Certificates()[0].Raw) {
		t.Error("the chain index does not hold the issuing CA")
	}
	for h, template := range map[tpm2.TPMHandle]tpm2.TPMTPublic{0x01C00002: tpm2.RSAEKTemplate, 0x01C0000A: tpm2.ECCEKTemplate} {
		cert, err := x509.ParseCertificate(readNV(t, tpm, h))
		check(t, err)
		ek := run(t, tpm, tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHEndorsement, InPublic: tpm2.New2B(template)}.Execute)
		flush(t, tpm, ek.ObjectHandle)
		pub, err := tpm2.Pub(*run2(t, ek.OutPublic.Contents))
		check(t, err)
		if k, ok := cert.PublicKey.(interface{ Equal(any) bool }); ok && !k.Equal(pub) {
			t.Errorf("index %#x: certificate of another key", h)
		}
		want, err := attesttest.EKCertificate(pub)
		check(t, err)
		if !cert.Equal(want) {
			t.Errorf("index %#x: another certificate than EKCertificate's", h)
		}
		x, _ := index(t, tpm, h)
		refuse(t, tpm, "written by the owner", 0x149, tpm2.NVWrite{AuthHandle: tpm2.TPMRHOwner, NVIndex: x, Data: tpm2.TPM2BMaxNVBuffer{Buffer: []byte{0}}}.Execute)
		refuse(t, tpm, "undefined by the owner", 0x149, tpm2.NVUndefineSpace{AuthHandle: tpm2.TPMRHOwner, NVIndex: x}.Execute)
	}
}
