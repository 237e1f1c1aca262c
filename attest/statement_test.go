package attest_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"math/big"
	"testing"

	goattest "github.com/google/go-attestation/attest"
	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
)

// go-attestation's verifier accepts our statements, and ours agrees.
func TestGoAttestationAccepts(t *testing.T) {
	for _, state := range []string{"ready", "fresh"} {
		forBackends(t, state, func(t *testing.T, tr transport.TPM) {
			tpm := &attest.TPM{Transport: tr}
			release := tpm.Keep()
			ek := firstEK(t, tpm)
			for _, c := range []struct {
				aik  attest.Template
				keys []attest.Template
			}{
				{attest.Template{}, []attest.Template{{Usage: attest.Sign}, {Usage: attest.Decrypt}}},
				{attest.Template{Algorithm: attest.P256}, []attest.Template{{Algorithm: attest.P256, Usage: attest.Sign}, {Algorithm: attest.P384, Usage: attest.Sign}}},
				{attest.Template{Algorithm: attest.P384, Hash: crypto.SHA384}, []attest.Template{{Algorithm: attest.P384, Usage: attest.Sign}, {Usage: attest.Decrypt}}},
				{attest.Template{Algorithm: attest.RSA3072, Hash: crypto.SHA384}, []attest.Template{{Algorithm: attest.RSA3072, Usage: attest.Sign | attest.Decrypt}}},
			} {
				if c.aik.Algorithm == attest.RSA3072 && state == "fresh" {
					continue // it takes long to make
				}
				c.aik.Usage = attest.Attest
				aik := create(t, tpm, c.aik)
				goActivates(t, tpm, ek, aik)
				for _, tmpl := range c.keys {
					goCertifies(t, tpm, aik, create(t, tpm, tmpl), max(c.aik.Hash, crypto.SHA256))
				}
			}
			if err := release(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
}

func goActivates(t *testing.T, tpm *attest.TPM, ek *attest.EK, aik *attest.Key) {
	t.Helper()
	c := aik.Creation()
	p := goattest.ActivationParameters{EK: ek.Public, AK: goattest.AttestationParameters{
		Public:            c.PublicArea,
		CreateData:        c.CreationData,
		CreateAttestation: c.Attest,
		CreateSignature:   c.Signature,
	}}
	if err := p.CheckAKParameters(); err != nil {
		t.Fatal(err)
	}
	secret, ec, err := p.Generate()
	if err != nil {
		t.Fatal(err)
	}
	// go-attestation keeps the size prefixes.
	got, err := tpm.ActivateCredential(context.Background(), ek, aik, &attest.Credential{Blob: ec.Credential[2:], EncryptedSecret: ec.Secret[2:]})
	if err != nil || !bytes.Equal(got, secret) {
		t.Errorf("credential by go-attestation: %v", err)
	}
}

func goCertifies(t *testing.T, tpm *attest.TPM, aik, key *attest.Key, hash crypto.Hash) {
	t.Helper()
	s := certify(t, tpm, key, aik, nil)
	p := goattest.CertificationParameters{Public: s.PublicArea, CreateAttestation: s.Attest, CreateSignature: s.Signature}
	if err := p.Verify(goattest.VerifyOpts{Public: aik.Public(), Hash: hash}); err != nil {
		t.Errorf("go-attestation: %v", err)
	}
}

// proofs returns an RSA and a P-256 attestation key's statements, with and
// without creation data, and the keys that made them.
func proofs(t testing.TB, tr transport.TPM) (all []*attest.Statement, by []crypto.PublicKey) {
	t.Helper()
	ctx := context.Background()
	tpm := &attest.TPM{Transport: tr}
	for _, alg := range []attest.Algorithm{attest.RSA2048, attest.P256} {
		aik, err := tpm.CreateKey(ctx, attest.Template{Algorithm: alg, Usage: attest.Attest})
		if err != nil {
			t.Fatal(err)
		}
		dk, err := tpm.CreateKey(ctx, attest.Template{Algorithm: alg, Usage: attest.Sign})
		if err != nil {
			t.Fatal(err)
		}
		s, err := tpm.Certify(ctx, dk, aik, []byte("nonce"))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, aik.Creation(), s)
		by = append(by, aik.Public(), aik.Public())
	}
	return all, by
}

func nonceOf(s *attest.Statement) []byte {
	if s.CreationData != nil {
		return nil
	}
	return []byte("nonce")
}

// Changing, cutting or adding any byte of any part is noticed.
func TestVerifyNoticesChanges(t *testing.T) {
	all, by := proofs(t, emulator(t, "ready"))
	for i, s := range all {
		if err := s.Verify(by[i], nonceOf(s)); err != nil {
			t.Fatal(err)
		}
		for _, part := range []func(*attest.Statement) *[]byte{
			func(s *attest.Statement) *[]byte { return &s.PublicArea },
			func(s *attest.Statement) *[]byte { return &s.Attest },
			func(s *attest.Statement) *[]byte { return &s.Signature },
			func(s *attest.Statement) *[]byte { return &s.CreationData },
		} {
			orig := *part(s)
			refuse := func(what string, at int, b []byte) {
				t.Helper()
				c := *s
				*part(&c) = b
				if err := c.Verify(by[i], nonceOf(s)); !errors.Is(err, attest.ErrProof) {
					t.Fatalf("statement %d, %s at %d: %v", i, what, at, err)
				}
			}
			for j := range orig {
				for _, bit := range []byte{1, 0x80} {
					b := bytes.Clone(orig)
					b[j] ^= bit
					refuse("flip", j, b)
				}
				if j > 0 || part(s) != &s.CreationData {
					refuse("cut", j, orig[:j])
				}
			}
			if len(orig) > 0 {
				refuse("addition", len(orig), append(bytes.Clone(orig), 0))
			}
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	tr := emulator(t, "ready")
	all, by := proofs(t, tr)
	creation, certified := all[0], all[1]
	rsaKey, ecKey := by[0].(*rsa.PublicKey), by[2].(*ecdsa.PublicKey)
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	//lint:ignore SA1019 ParseUncompressedPublicKey would refuse it
	off := &ecdsa.PublicKey{Curve: elliptic.P256(), X: big.NewInt(1), Y: big.NewInt(1)}
	even := new(big.Int).Sub(rsaKey.N, big.NewInt(1))
	for name, c := range map[string]struct {
		s     *attest.Statement
		by    crypto.PublicKey
		nonce []byte
	}{
		"no statement":          {nil, rsaKey, nil},
		"empty statement":       {&attest.Statement{}, rsaKey, nil},
		"other nonce":           {certified, rsaKey, []byte("noncf")},
		"no nonce":              {certified, rsaKey, nil},
		"long nonce":            {certified, rsaKey, []byte("nonce1")},
		"other key":             {certified, ecKey, []byte("nonce")},
		"no key":                {certified, nil, []byte("nonce")},
		"nil RSA key":           {certified, (*rsa.PublicKey)(nil), []byte("nonce")},
		"empty RSA key":         {certified, &rsa.PublicKey{}, []byte("nonce")},
		"RSA exponent 3":        {certified, &rsa.PublicKey{N: rsaKey.N, E: 3}, []byte("nonce")},
		"even RSA modulus":      {certified, &rsa.PublicKey{N: even, E: 65537}, []byte("nonce")},
		"short RSA modulus":     {certified, &rsa.PublicKey{N: big.NewInt(3233), E: 65537}, []byte("nonce")},
		"huge RSA modulus":      {certified, &rsa.PublicKey{N: new(big.Int).SetBit(rsaKey.N, 9000, 1), E: 65537}, []byte("nonce")},
		"nil ECC key":           {all[3], (*ecdsa.PublicKey)(nil), []byte("nonce")},
		"empty ECC key":         {all[3], &ecdsa.PublicKey{}, []byte("nonce")},
		"ECC key without point": {all[3], &ecdsa.PublicKey{Curve: elliptic.P256()}, []byte("nonce")},
		"P-224":                 {all[3], &p224.PublicKey, []byte("nonce")},
		"not on the curve":      {all[3], off, []byte("nonce")},
		"unknown kind of key":   {certified, "key", []byte("nonce")},
		"creation as certify":   {&attest.Statement{PublicArea: creation.PublicArea, Attest: creation.Attest, Signature: creation.Signature}, rsaKey, nil},
		"certify as creation":   {&attest.Statement{PublicArea: certified.PublicArea, Attest: certified.Attest, Signature: certified.Signature, CreationData: creation.CreationData}, rsaKey, []byte("nonce")},
		"statement of another":  {&attest.Statement{PublicArea: all[3].PublicArea, Attest: certified.Attest, Signature: certified.Signature}, rsaKey, []byte("nonce")},
		"signature of another":  {&attest.Statement{PublicArea: certified.PublicArea, Attest: certified.Attest, Signature: creation.Signature}, rsaKey, []byte("nonce")},
		"other scheme":          {&attest.Statement{PublicArea: certified.PublicArea, Attest: certified.Attest, Signature: all[3].Signature}, rsaKey, []byte("nonce")},
		"RSA scheme of ECC key": {&attest.Statement{PublicArea: all[3].PublicArea, Attest: all[3].Attest, Signature: certified.Signature}, ecKey, []byte("nonce")},
	} {
		err := c.s.Verify(c.by, c.nonce)
		var e *attest.Error
		if !errors.Is(err, attest.ErrProof) || !errors.As(err, &e) || e.Op != "Verify" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A key that may leave its TPM, or signs what it likes, proves nothing, even
// where the TPM's signature is good.
func TestVerifyRefusesAttributes(t *testing.T) {
	tr := emulator(t, "fresh")

	// A P-256 signing primary key that speaks of itself, without fixedParent,
	// without restricted, or with a SHA-1 name.
	loose := tpm2.TPMAObject{SensitiveDataOrigin: true, UserWithAuth: true, SignEncrypt: true, NoDA: true}
	bound := loose
	bound.FixedTPM, bound.FixedParent = true, true
	restricted := bound
	restricted.Restricted = true
	for name, c := range map[string]struct {
		attrs    tpm2.TPMAObject
		nameAlg  tpm2.TPMIAlgHash
		creation bool
		ok       bool
	}{
		"may leave":                 {loose, tpm2.TPMAlgSHA256, false, false},
		"unrestricted":              {bound, tpm2.TPMAlgSHA256, false, false},
		"unrestricted, creation":    {bound, tpm2.TPMAlgSHA256, true, false},
		"name of SHA-1":             {restricted, tpm2.TPMAlgSHA1, false, false},
		"name of SHA-1, creation":   {restricted, tpm2.TPMAlgSHA1, true, false},
		"as it should be":           {restricted, tpm2.TPMAlgSHA256, false, true},
		"as it should be, creation": {restricted, tpm2.TPMAlgSHA384, true, true},
	} {
		s, by := foreignStatement(t, tr, c.attrs, c.nameAlg, c.creation)
		err := s.Verify(by, nil)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, attest.ErrProof) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// foreignStatement has a key that the package would not make speak of itself.
func foreignStatement(t *testing.T, tr transport.TPM, attrs tpm2.TPMAObject, nameAlg tpm2.TPMIAlgHash, creation bool) (*attest.Statement, crypto.PublicKey) {
	t.Helper()
	scheme := tpm2.TPMTECCScheme{Scheme: tpm2.TPMAlgECDSA, Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgECDSA, &tpm2.TPMSSigSchemeECDSA{HashAlg: tpm2.TPMAlgSHA256})}
	key, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.TPMTPublic{
		Type: tpm2.TPMAlgECC, NameAlg: nameAlg, ObjectAttributes: attrs,
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{CurveID: tpm2.TPMECCNistP256, Scheme: scheme}),
	})}.Execute(tr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = tpm2.FlushContext{FlushHandle: key.ObjectHandle}.Execute(tr) }()
	s := &attest.Statement{PublicArea: key.OutPublic.Bytes()}
	handle := tpm2.NamedHandle{Handle: key.ObjectHandle, Name: key.Name}
	null := tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull}
	pub, err := attest.PublicKey(s.PublicArea)
	if err != nil {
		t.Fatal(err)
	}
	if creation {
		rsp, err := tpm2.CertifyCreation{SignHandle: handle, ObjectHandle: handle, CreationHash: key.CreationHash, InScheme: null, CreationTicket: key.CreationTicket}.Execute(tr)
		if err != nil {
			t.Fatal(err)
		}
		s.Attest, s.Signature, s.CreationData = rsp.CertifyInfo.Bytes(), tpm2.Marshal(rsp.Signature), key.CreationData.Bytes()
		return s, pub
	}
	rsp, err := tpm2.Certify{ObjectHandle: handle, SignHandle: handle, InScheme: null}.Execute(tr)
	if err != nil {
		t.Fatal(err)
	}
	s.Attest, s.Signature = rsp.CertifyInfo.Bytes(), tpm2.Marshal(rsp.Signature)
	return s, pub
}
