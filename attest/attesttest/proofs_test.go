package attesttest_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"math/big"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

// verify checks a TPM's signature with Go's crypto.
func verify(t testing.TB, k key, what string, sig tpm2.TPMTSignature, hash crypto.Hash, d []byte) {
	t.Helper()
	pub, err := tpm2.Pub(k.pub)
	check(t, err)
	switch pub := pub.(type) {
	case *ecdsa.PublicKey:
		s, err := sig.Signature.ECDSA()
		check(t, err)
		r, v := new(big.Int).SetBytes(s.SignatureR.Buffer), new(big.Int).SetBytes(s.SignatureS.Buffer)
		der, err := asn1.Marshal(struct{ R, S *big.Int }{r, v})
		check(t, err)
		if !ecdsa.VerifyASN1(pub, d, der) || len(s.SignatureR.Buffer) != (pub.Params().BitSize+7)/8 {
			t.Errorf("%s: ECDSA signature is wrong", what)
		}
	case *rsa.PublicKey:
		if sig.SigAlg == tpm2.TPMAlgRSAPSS {
			s, err := sig.Signature.RSAPSS()
			check(t, err)
			if err := rsa.VerifyPSS(pub, hash, d, s.Sig.Buffer, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			return
		}
		s, err := sig.Signature.RSASSA()
		check(t, err)
		if err := rsa.VerifyPKCS1v15(pub, hash, d, s.Sig.Buffer); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func testSign(t *testing.T, tpm machine) {
	sums := map[tpm2.TPMIAlgHash]crypto.Hash{
		tpm2.TPMAlgSHA1: crypto.SHA1, tpm2.TPMAlgSHA256: crypto.SHA256, tpm2.TPMAlgSHA384: crypto.SHA384,
	}
	for _, c := range []struct {
		name     string
		template tpm2.TPMTPublic
		schemes  []func(tpm2.TPMIAlgHash) tpm2.TPMTSigScheme
		not      tpm2.TPMTSigScheme
	}{
		{"P-256", shape{sign: true}.ecc(tpm2.TPMECCNistP256), []func(tpm2.TPMIAlgHash) tpm2.TPMTSigScheme{ecdsaScheme}, rsassa(tpm2.TPMAlgSHA256)},
		{"P-384", shape{sign: true}.ecc(tpm2.TPMECCNistP384), []func(tpm2.TPMIAlgHash) tpm2.TPMTSigScheme{ecdsaScheme}, rsassa(tpm2.TPMAlgSHA256)},
		{"RSA", shape{sign: true, decrypt: true}.rsa(2048), []func(tpm2.TPMIAlgHash) tpm2.TPMTSigScheme{rsassa, rsapss}, ecdsaScheme(tpm2.TPMAlgSHA256)},
	} {
		k := makeKey(t, tpm, c.template, "")
		for alg, hash := range sums {
			h := hash.New()
			h.Write([]byte("message"))
			d := h.Sum(nil)
			for _, scheme := range c.schemes {
				sign := tpm2.Sign{KeyHandle: k.AuthHandle, Digest: tpm2.TPM2BDigest{Buffer: d}, InScheme: scheme(alg), Validation: noTicket()}
				sig := run(t, tpm, sign.Execute).Signature
				verify(t, k, c.name, sig, hash, d)
				check := tpm2.VerifySignature{KeyHandle: k.public(), Digest: sign.Digest, Signature: sig}
				run(t, tpm, check.Execute)
				check.Digest.Buffer = append([]byte{d[0] ^ 1}, d[1:]...)
				refuse(t, tpm, c.name+": signature of another digest", 0x2DB, check.Execute)
				sign.Digest.Buffer = d[1:]
				refuse(t, tpm, c.name+": short digest", 0x1D5, sign.Execute)
			}
		}
		sign := tpm2.Sign{KeyHandle: k.AuthHandle, Digest: digest(), InScheme: c.not, Validation: noTicket()}
		refuse(t, tpm, c.name+": scheme of another algorithm", 0x2D2, sign.Execute)
		sign.InScheme = tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull}
		refuse(t, tpm, c.name+": no scheme", 0x2D2, sign.Execute)
		flush(t, tpm, k.Handle)
	}
}

// A restricted key signs nothing that the TPM has not hashed itself.
func testRestricted(t *testing.T, tpm machine) {
	ak := makeKey(t, tpm, shape{sign: true, restricted: true}.ecc(tpm2.TPMECCNistP256), "")
	defer flush(t, tpm, ak.Handle)
	sign := tpm2.Sign{KeyHandle: ak.AuthHandle, Digest: digest(), Validation: noTicket()}
	refuse(t, tpm, "external digest", 0x3E0, sign.Execute)
	hash := tpm2.Hash{Data: tpm2.TPM2BMaxBuffer{Buffer: []byte("message")}, HashAlg: tpm2.TPMAlgSHA256, Hierarchy: tpm2.TPMRHOwner}
	h := run(t, tpm, hash.Execute)
	if !bytes.Equal(h.OutHash.Buffer, digest().Buffer) {
		t.Errorf("hash %x", h.OutHash.Buffer)
	}
	sign.Validation = h.Validation
	verify(t, ak, "with a ticket", run(t, tpm, sign.Execute).Signature, crypto.SHA256, digest().Buffer)
	sign.Digest.Buffer = make([]byte, 32)
	refuse(t, tpm, "ticket of another digest", 0x3E0, sign.Execute)
	hash.Data.Buffer = []byte("\xffTCG and more")
	h = run(t, tpm, hash.Execute)
	if len(h.Validation.Digest.Buffer) != 0 || h.Validation.Hierarchy != tpm2.TPMRHNull {
		t.Error("a ticket for what looks like an attestation")
	}
	sign.Digest, sign.Validation = h.OutHash, h.Validation
	refuse(t, tpm, "what looks like an attestation", 0x3E0, sign.Execute)
	sign = tpm2.Sign{KeyHandle: srk(t, tpm), Digest: digest(), InScheme: rsassa(tpm2.TPMAlgSHA256), Validation: noTicket()}
	refuse(t, tpm, "a key that does not sign", 0x19C, sign.Execute)
}

func testDecrypt(t *testing.T, tpm machine) {
	k := makeKey(t, tpm, shape{decrypt: true}.rsa(2048), "")
	defer flush(t, tpm, k.Handle)
	pub, ok := run2(t, func() (crypto.PublicKey, error) { return tpm2.Pub(k.pub) }).(*rsa.PublicKey)
	if !ok {
		t.Fatal("no RSA key")
	}
	text, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, pub, []byte("hello"), []byte("label\x00"))
	check(t, err)
	decrypt := tpm2.RSADecrypt{
		KeyHandle: k.AuthHandle, CipherText: tpm2.TPM2BPublicKeyRSA{Buffer: text}, InScheme: oaep(tpm2.TPMAlgSHA256),
		Label: tpm2.TPM2BData{Buffer: []byte("label\x00")},
	}
	if got := run(t, tpm, decrypt.Execute).Message.Buffer; string(got) != "hello" {
		t.Errorf("OAEP: %q", got)
	}
	decrypt.Label.Buffer = []byte("label")
	refuse(t, tpm, "label without NUL", 0x3C4, decrypt.Execute)
	decrypt.Label.Buffer, decrypt.CipherText.Buffer = nil, text[1:]
	refuse(t, tpm, "short text", 0x95, decrypt.Execute)
	for _, scheme := range []tpm2.TPMTRSADecrypt{oaep(tpm2.TPMAlgSHA1), oaep(tpm2.TPMAlgSHA256), rsaes()} {
		encrypt := tpm2.RSAEncrypt{KeyHandle: k.public(), Message: tpm2.TPM2BPublicKeyRSA{Buffer: []byte("round trip")}, InScheme: scheme}
		decrypt.CipherText, decrypt.InScheme = run(t, tpm, encrypt.Execute).OutData, scheme
		if got := run(t, tpm, decrypt.Execute).Message.Buffer; string(got) != "round trip" {
			t.Errorf("scheme %#x: %q", scheme.Scheme, got)
		}
	}
	null := tpm2.TPMTRSADecrypt{Scheme: tpm2.TPMAlgNull}
	message := append([]byte{1}, make([]byte, 255)...)
	encrypt := tpm2.RSAEncrypt{KeyHandle: k.public(), Message: tpm2.TPM2BPublicKeyRSA{Buffer: message}, InScheme: null}
	decrypt.CipherText, decrypt.InScheme = run(t, tpm, encrypt.Execute).OutData, null
	if got := run(t, tpm, decrypt.Execute).Message.Buffer; !bytes.Equal(got, message) {
		t.Errorf("no padding: %x", got)
	}
	decrypt.KeyHandle = srk(t, tpm)
	refuse(t, tpm, "restricted key", 0x182, decrypt.Execute)
	ec := makeKey(t, tpm, shape{sign: true}.ecc(tpm2.TPMECCNistP256), "")
	defer flush(t, tpm, ec.Handle)
	decrypt.KeyHandle = ec.AuthHandle
	refuse(t, tpm, "ECC key", 0x19C, decrypt.Execute)
}

func testCertify(t *testing.T, tpm machine) {
	for _, template := range []tpm2.TPMTPublic{
		shape{sign: true, restricted: true}.ecc(tpm2.TPMECCNistP256),
		shape{sign: true, restricted: true}.rsa(2048),
		shape{sign: true, restricted: true, hash: tpm2.TPMAlgSHA1}.rsa(2048),
	} {
		ak := makeKey(t, tpm, template, "")
		k := makeKey(t, tpm, shape{sign: true}.ecc(tpm2.TPMECCNistP256), "")
		certify := tpm2.Certify{ObjectHandle: k.AuthHandle, SignHandle: ak.AuthHandle, QualifyingData: tpm2.TPM2BData{Buffer: []byte("nonce")}}
		rsp := run(t, tpm, certify.Execute)
		a := attested(t, ak, rsp.CertifyInfo, rsp.Signature, "nonce")
		info := run2(t, a.Attested.Certify)
		if !bytes.Equal(info.Name.Buffer, k.Name.Buffer) {
			t.Errorf("certified %x", info.Name.Buffer)
		}
		read := run(t, tpm, tpm2.ReadPublic{ObjectHandle: k.Handle}.Execute)
		if !bytes.Equal(info.QualifiedName.Buffer, read.QualifiedName.Buffer) {
			t.Errorf("qualified name %x", info.QualifiedName.Buffer)
		}
		certify.SignHandle = srk(t, tpm)
		flush(t, tpm, ak.Handle)
		refuse(t, tpm, "signer that does not sign", 0x29C, certify.Execute)
		certify.SignHandle = k.AuthHandle
		refuse(t, tpm, "no scheme", 0x2D2, certify.Execute)
		flush(t, tpm, k.Handle)
	}
}

// attested checks what all attestations have and returns it.
func attested(t testing.TB, ak key, b tpm2.TPM2BAttest, sig tpm2.TPMTSignature, extra string) *tpm2.TPMSAttest {
	t.Helper()
	hash := crypto.SHA256
	if s, err := sig.Signature.RSASSA(); sig.SigAlg == tpm2.TPMAlgRSASSA && err == nil && s.Hash == tpm2.TPMAlgSHA1 {
		hash = crypto.SHA1
	}
	h := hash.New()
	h.Write(b.Bytes())
	verify(t, ak, "attestation", sig, hash, h.Sum(nil))
	a := run2(t, b.Contents)
	check(t, a.Magic.Check())
	if string(a.ExtraData.Buffer) != extra || len(a.QualifiedSigner.Buffer) != 34 {
		t.Errorf("attestation %+v", a)
	}
	return a
}

func testCreation(t *testing.T, tpm machine) {
	ak := makeKey(t, tpm, shape{sign: true, restricted: true}.ecc(tpm2.TPMECCNistP256), "")
	defer flush(t, tpm, ak.Handle)
	parent := srk(t, tpm)
	k := run(t, tpm, tpm2.Create{ParentHandle: parent, InPublic: tpm2.New2B(shape{sign: true}.ecc(tpm2.TPMECCNistP256))}.Execute)
	if sum := sha256.Sum256(k.CreationData.Bytes()); !bytes.Equal(sum[:], k.CreationHash.Buffer) {
		t.Error("creation hash is not that of the data")
	}
	l := run(t, tpm, tpm2.Load{ParentHandle: parent, InPrivate: k.OutPrivate, InPublic: k.OutPublic}.Execute)
	defer flush(t, tpm, l.ObjectHandle)
	certify := tpm2.CertifyCreation{
		SignHandle: ak.AuthHandle, ObjectHandle: tpm2.NamedHandle{Handle: l.ObjectHandle, Name: l.Name},
		QualifyingData: tpm2.TPM2BData{Buffer: []byte("nonce")}, CreationHash: k.CreationHash, CreationTicket: k.CreationTicket,
	}
	rsp := run(t, tpm, certify.Execute)
	info := run2(t, attested(t, ak, rsp.CertifyInfo, rsp.Signature, "nonce").Attested.Creation)
	if !bytes.Equal(info.ObjectName.Buffer, l.Name.Buffer) || !bytes.Equal(info.CreationHash.Buffer, k.CreationHash.Buffer) {
		t.Errorf("creation %+v", info)
	}
	certify.ObjectHandle = ak.public()
	refuse(t, tpm, "ticket of another key", 0x4E0, certify.Execute)
	certify.ObjectHandle = tpm2.NamedHandle{Handle: l.ObjectHandle, Name: l.Name}
	certify.CreationHash.Buffer = make([]byte, 32)
	refuse(t, tpm, "ticket of another hash", 0x4E0, certify.Execute)
}

// pcrs selects PCRs 0 to 7 of a bank by a bit map.
func pcrs(bank tpm2.TPMIAlgHash, bits byte) tpm2.TPMLPCRSelection {
	return tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{{Hash: bank, PCRSelect: []byte{bits, 0, 0}}}}
}

// pcrDigest reads a PCR and returns the SHA-256 of its value.
func pcrDigest(t testing.TB, tpm transport.TPM, bank tpm2.TPMIAlgHash, pcr int) []byte {
	t.Helper()
	rsp := run(t, tpm, tpm2.PCRRead{PCRSelectionIn: pcrs(bank, 1<<pcr)}.Execute)
	if len(rsp.PCRValues.Digests) != 1 {
		t.Fatalf("%d PCRs", len(rsp.PCRValues.Digests))
	}
	sum := sha256.Sum256(rsp.PCRValues.Digests[0].Buffer)
	return sum[:]
}

func testQuote(t *testing.T, tpm machine) {
	ak := makeKey(t, tpm, shape{sign: true, restricted: true}.ecc(tpm2.TPMECCNistP256), "")
	defer flush(t, tpm, ak.Handle)
	before := pcrDigest(t, tpm, tpm2.TPMAlgSHA256, 7)
	extend := tpm2.PCRExtend{
		PCRHandle: tpm2.AuthHandle{Handle: 7, Auth: password},
		Digests:   tpm2.TPMLDigestValues{Digests: []tpm2.TPMTHA{{HashAlg: tpm2.TPMAlgSHA256, Digest: digest().Buffer}}},
	}
	run(t, tpm, extend.Execute)
	want := pcrDigest(t, tpm, tpm2.TPMAlgSHA256, 7)
	if bytes.Equal(before, want) {
		t.Error("extending changes nothing")
	}
	quote := tpm2.Quote{SignHandle: ak.AuthHandle, QualifyingData: tpm2.TPM2BData{Buffer: []byte("nonce")}, PCRSelect: pcrs(tpm2.TPMAlgSHA256, 0x80)}
	rsp := run(t, tpm, quote.Execute)
	info := run2(t, attested(t, ak, rsp.Quoted, rsp.Signature, "nonce").Attested.Quote)
	if !bytes.Equal(info.PCRDigest.Buffer, want) {
		t.Errorf("PCR digest %x, want %x", info.PCRDigest.Buffer, want)
	}
	all := tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{{Hash: tpm2.TPMAlgSHA256, PCRSelect: []byte{0xFF, 0xFF, 0xFF}}}}
	read := run(t, tpm, tpm2.PCRRead{PCRSelectionIn: all}.Execute)
	if n := len(read.PCRValues.Digests); n != 8 || !bytes.Equal(read.PCRSelectionOut.PCRSelections[0].PCRSelect, []byte{0xFF, 0, 0}) {
		t.Errorf("%d PCRs in a call", n)
	}
	extend.PCRHandle = tpm2.AuthHandle{Handle: 18, Auth: password}
	refuse(t, tpm, "a dynamic PCR", 0x907, extend.Execute)
}
