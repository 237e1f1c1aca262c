//lint:file-ignore SA1019 keys without a coordinate can be made in no other way

package attest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/asn1"
	"encoding/binary"
	"math/big"
	"strings"
	"testing"
)

// modulus returns a number of so many bits that is no product of two primes.
func modulus(bits int) *big.Int {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits))
	return n.Sub(n, big.NewInt(1))
}

func rsaArea(change func(*area)) []byte {
	a := ekL1()
	a.n = modulus(2048).Bytes()
	change(a)
	return a.marshal()
}

func eccArea(change func(*area)) []byte {
	a := ekL2()
	p := elliptic.P256().Params()
	a.x, a.y = p.Gx.FillBytes(make([]byte, 32)), p.Gy.FillBytes(make([]byte, 32))
	change(a)
	return a.marshal()
}

// Public areas at the bounds of what is accepted, and one step beyond.
func TestAreaBounds(t *testing.T) {
	same := func(*area) {}
	for name, tt := range map[string]struct {
		area []byte
		ok   bool
	}{
		"RSA":                 {rsaArea(same), true},
		"ECC":                 {eccArea(same), true},
		"exponent 65537":      {rsaArea(func(a *area) { a.exponent = 65537 }), true},
		"exponent 3":          {rsaArea(func(a *area) { a.exponent = 3 }), false},
		"4096 bits":           {rsaArea(func(a *area) { a.bits, a.n = 4096, modulus(4096).Bytes() }), true},
		"1024 bits":           {rsaArea(func(a *area) { a.bits, a.n = 1024, modulus(1024).Bytes() }), false},
		"2047 bits":           {rsaArea(func(a *area) { a.n = append([]byte{0x7F}, a.n[1:]...) }), false},
		"a zero before":       {rsaArea(func(a *area) { a.n = append([]byte{0}, a.n...) }), false},
		"RSA with ECDSA":      {rsaArea(func(a *area) { a.scheme, a.hash = algECDSA, algSHA256 }), false},
		"ECC with RSASSA":     {eccArea(func(a *area) { a.scheme, a.hash = algRSASSA, algSHA256 }), false},
		"RSASSA":              {rsaArea(func(a *area) { a.scheme, a.hash = algRSASSA, algSHA256 }), true},
		"ECDSA":               {eccArea(func(a *area) { a.scheme, a.hash = algECDSA, algSHA256 }), true},
		"x too long":          {eccArea(func(a *area) { a.x = append([]byte{0}, a.x...) }), false},
		"y too long":          {eccArea(func(a *area) { a.y = append([]byte{0}, a.y...) }), false},
		"x after the form":    {eccArea(func(a *area) { a.x = append([]byte{4}, a.x...) }), false},
		"y after x":           {eccArea(func(a *area) { a.y = append([]byte{a.x[31]}, a.y...) }), false},
		"not on the curve":    {eccArea(func(a *area) { a.y = bytes.Repeat([]byte{1}, 32) }), false},
		"policy of 64 bytes":  {rsaArea(func(a *area) { a.policy = make([]byte, 64) }), true},
		"policy of 65 bytes":  {rsaArea(func(a *area) { a.policy = make([]byte, 65) }), false},
		"a byte behind":       {append(rsaArea(same), 0), false},
		"RSASSA without hash": {withoutHash(rsaArea(func(a *area) { a.scheme, a.hash = algRSASSA, algSHA256 })), false},
		"ECDSA without hash":  {withoutHash(eccArea(func(a *area) { a.scheme, a.hash = algECDSA, algSHA256 })), false},
	} {
		_, err := PublicKey(tt.area)
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
		a, err := parseArea(tt.area)
		if err == nil {
			err = a.check()
		}
		if (err == nil) != tt.ok {
			t.Errorf("%s: check: %v", name, err)
		}
	}
	attributes, err := Attributes(rsaArea(same))
	if err != nil || attributes != ekLow {
		t.Errorf("attributes %#x, %v", attributes, err)
	}
	if a, err := parseArea(rsaArea(func(a *area) { a.exponent = 65537 })); err != nil || !a.like(ekL1()) {
		t.Errorf("the default exponent in full: %v", err)
	}
	if a, err := parseArea(rsaArea(same)); err != nil || a.like(ekL2()) {
		t.Errorf("another template: %v", err)
	}
	if checkKey(&ecdsa.PublicKey{Curve: elliptic.P256(), X: big.NewInt(1)}) == nil || checkKey(&ecdsa.PublicKey{Curve: elliptic.P256(), Y: big.NewInt(1)}) == nil {
		t.Error("half a point")
	}
}

// Whether a key is one of a template.
func TestMatchesTemplate(t *testing.T) {
	tmpl := Template{Usage: Attest}
	a, err := tmpl.area()
	if err != nil {
		t.Fatal(err)
	}
	a.n = modulus(2048).Bytes()
	k := &Key{area: a.marshal()}
	if !k.Matches(tmpl) || k.Matches(Template{Usage: Sign}) || k.Matches(Template{}) {
		t.Error("wrong")
	}
	k.area = k.area[1:]
	if k.Matches(tmpl) || (&Key{}).Matches(tmpl) {
		t.Error("not a public area")
	}
}

// withoutHash sets the hash of a scheme to 0.
func withoutHash(b []byte) []byte {
	at := bytes.LastIndex(b[:60], []byte{0, algSHA256})
	b[at+1] = 0
	return b
}

// Secrets are encrypted to keys that a TPM opens them with, and to no others.
func TestStorageKeyBounds(t *testing.T) {
	name := append([]byte{0, algSHA256}, make([]byte, 32)...)
	for what, tt := range map[string]struct {
		change func(*area)
		ok     bool
	}{
		"128 bits":       {func(*area) {}, true},
		"192 bits":       {func(a *area) { a.sym.bits = 192 }, true},
		"256 bits":       {func(a *area) { a.sym.bits = 256 }, true},
		"64 bits":        {func(a *area) { a.sym.bits = 64 }, false},
		"another mode":   {func(a *area) { a.sym.mode = algCFB + 1 }, false},
		"another cipher": {func(a *area) { a.sym.alg = algSM4 }, false},
		"another hash":   {func(a *area) { a.nameAlg = algSM3 }, false},
		"not restricted": {func(a *area) { a.attributes &^= attrRestricted }, false},
		"signs":          {func(a *area) { a.attributes |= attrSign }, false},
	} {
		_, err := MakeCredential(eccArea(tt.change), name, []byte{1})
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Whether a key is that of a public area.
func TestIsOwnKey(t *testing.T) {
	a, err := parseArea(rsaArea(func(*area) {}))
	if err != nil {
		t.Fatal(err)
	}
	own := &rsa.PublicKey{N: modulus(2048), E: 65537}
	other := &rsa.PublicKey{N: new(big.Int).Sub(own.N, big.NewInt(2)), E: 65537}
	p := elliptic.P256().Params()
	point := &ecdsa.PublicKey{Curve: p, X: p.Gx, Y: p.Gy}
	e, err := parseArea(eccArea(func(*area) {}))
	if err != nil {
		t.Fatal(err)
	}
	if !a.is(own) || a.is(other) || a.is(point) || !e.is(&ecdsa.PublicKey{Curve: elliptic.P256(), X: p.Gx, Y: p.Gy}) || e.is(own) ||
		e.is(&ecdsa.PublicKey{Curve: elliptic.P256(), X: p.Gy, Y: p.Gx}) {
		t.Error("wrong")
	}
}

// creationData returns a TPMS_CREATION_DATA with so many selections of so many bytes.
func creationData(selections, size int) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(selections))
	for range selections {
		b = append(append(b, 0, algSHA256, byte(size)), make([]byte, size)...)
	}
	return append(b, make([]byte, 2+1+2+2+2+2)...)
}

// The form of creation data is checked, and not only its digest.
func TestCreationBounds(t *testing.T) {
	a, err := parseArea(rsaArea(func(*area) {}))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		data []byte
		ok   bool
	}{
		"16 selections": {creationData(16, 3), true},
		"17 selections": {creationData(17, 3), false},
		"4 bytes":       {creationData(1, 4), true},
		"5 bytes":       {creationData(1, 5), false},
		"none":          {creationData(0, 0), true},
		"a byte behind": {append(creationData(1, 3), 0), false},
		"empty":         {nil, false},
	} {
		at := attested{digest: digest(hashOf(a.nameAlg), tt.data)}
		if err := at.created(&a, tt.data); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
		at.digest[0] ^= 1
		if at.created(&a, tt.data) == nil {
			t.Errorf("%s: with another digest", name)
		}
	}
}

// A quote selects PCRs with at most four bytes.
func TestQuoteSelection(t *testing.T) {
	for size, ok := range map[int]bool{0: true, 3: true, 4: true, 5: false} {
		b := binary.BigEndian.AppendUint32(nil, magicGenerated)
		b = binary.BigEndian.AppendUint16(b, attestQuote)
		b = append(b, make([]byte, 2+2+17+8)...)
		b = append(b, 0, 0, 0, 1, 0, algSHA256, byte(size))
		b = append(append(b, make([]byte, size)...), 0, 0)
		if _, err := parseAttest(b); (err == nil) != ok {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// Integers of ECDSA signatures are positive and minimal.
func TestSignatureIntegers(t *testing.T) {
	long := append([]byte{1}, make([]byte, 120)...) // the SEQUENCE has 126, 127 and 128 bytes
	for _, r := range [][]byte{{0x7F}, {0x80}, {0, 0x80}, {0, 0x7F}, {0xFF, 1}, {1}, long, append(long, 1), append(long, 1, 2)} {
		s := signature{alg: algECDSA, r: r, s: []byte{1}}
		var got struct{ R, S *big.Int }
		rest, err := asn1.Unmarshal(s.asn1(nil), &got)
		if err != nil || len(rest) != 0 || got.R.Cmp(new(big.Int).SetBytes(r)) != 0 || got.S.Int64() != 1 {
			t.Errorf("%x: %+v, %v", r, got, err)
		}
	}
}

// A key file has at most 16 KiB, and its parent is the owner hierarchy or persistent.
func TestKeyFileBounds(t *testing.T) {
	for name, tt := range map[string]struct {
		parent int64
		ok     bool
	}{
		"owner": {0x40000001, true}, "first": {0x81000000, true}, "last": {0x81FFFFFF, true},
		"below": {0x80FFFFFF, false}, "above": {0x82000000, false}, "null": {0x40000007, false},
	} {
		f := tssKey{Type: oidLoadableKey, Parent: tt.parent}
		if err := f.check(); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	for empty, inner := range map[bool][][]byte{
		true:  {{1, 1, 0xFF}, {1, 1, 1}},
		false: {nil, {1, 1, 0}, {2, 1, 0xFF}, {1, 2, 0xFF}, {1, 1, 0xFF, 0}, {1, 1}},
	} {
		for _, b := range inner {
			if f := (tssKey{EmptyAuth: asn1.RawValue{Bytes: b}}); f.hasEmptyAuth() != empty {
				t.Errorf("%x: %v", b, !empty)
			}
		}
	}
	t.Run("length", func(t *testing.T) {
		for extra, refused := range map[int]bool{0: false, 1: true} {
			_, err := new(TPM).parseKey(make([]byte, maxKeyText+extra))
			if strings.Contains(err.Error(), "more than") != refused {
				t.Errorf("%d bytes more: %v", extra, err)
			}
		}
	})
	k := &Key{area: rsaArea(func(*area) {})}
	der, err := asn1.Marshal(creationBlock{[]byte{1}, []byte{1}, []byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.readCreation(append(der, 0)); err == nil || !strings.Contains(err.Error(), "malformed creation statement") {
		t.Errorf("a byte behind the statement: %v", err)
	}
}

// Each part of a credential has one to maxCredential bytes.
func TestCredentialLimits(t *testing.T) {
	for size, ok := range map[int]bool{0: false, 1: true, maxCredential: true, maxCredential + 1: false} {
		for name, c := range map[string]*Credential{
			"blob":             {Blob: make([]byte, size), EncryptedSecret: []byte{1}},
			"encrypted secret": {Blob: []byte{1}, EncryptedSecret: make([]byte, size)},
		} {
			// The endorsement key without an area is what is wrong with the others.
			_, err := new(TPM).ActivateCredential(t.Context(), new(EK), new(Key), c)
			if err == nil || strings.Contains(err.Error(), "empty or too long") == ok {
				t.Errorf("%s of %d bytes: %v", name, size, err)
			}
		}
	}
}

// A coordinate has as many bytes as the curve.
func TestCoordinate(t *testing.T) {
	for size, ok := range map[int]bool{0: false, 1: true, 31: true, 32: true, 33: false} {
		z := bytes.Repeat([]byte{7}, size)
		got, err := coordinate(z, 32)
		if (err == nil) != ok || ok && !bytes.Equal(got, append(make([]byte, 32-size), z...)) {
			t.Errorf("%d bytes: %x, %v", size, got, err)
		}
	}
}

// Attestation keys are evicted after other keys.
func TestRole(t *testing.T) {
	if aik, key := (&Key{attrs: attrRestricted}).role(), (&Key{}).role(); aik != roleAIK || key != roleKey || key >= aik {
		t.Errorf("%v, %v", aik, key)
	}
}

// Which keys are storage root keys: of 2048 bits or on P-256, made from a TCG template.
func TestIsSRK(t *testing.T) {
	rsaKey := func(bits uint16) *area {
		a := srkTemplate()
		a.typ, a.bits, a.n = algRSA, bits, modulus(int(bits)).Bytes()
		return a
	}
	eccKey := func(curve elliptic.Curve, id uint16) *area {
		a, p := srkTemplate(), curve.Params()
		size := (p.BitSize + 7) / 8
		a.curve, a.x, a.y = id, p.Gx.FillBytes(make([]byte, size)), p.Gy.FillBytes(make([]byte, size))
		return a
	}
	for name, tt := range map[string]struct {
		key    *area
		change func(*area)
		is     bool
	}{
		"RSA 2048":       {rsaKey(2048), func(*area) {}, true},
		"RSA 3072":       {rsaKey(3072), func(*area) {}, false},
		"P-256":          {eccKey(elliptic.P256(), curveP256), func(*area) {}, true},
		"P-384":          {eccKey(elliptic.P384(), curveP384), func(*area) {}, false},
		"without noDA":   {rsaKey(2048), func(a *area) { a.attributes &^= attrNoDA }, true},
		"not restricted": {rsaKey(2048), func(a *area) { a.attributes &^= attrRestricted }, false},
		"that signs":     {rsaKey(2048), func(a *area) { a.attributes |= attrSign }, false},
		"SHA-384":        {rsaKey(2048), func(a *area) { a.nameAlg = algSHA384 }, false},
		"AES-256":        {rsaKey(2048), func(a *area) { a.sym.bits = 256 }, false},
		"a scheme":       {rsaKey(2048), func(a *area) { a.scheme = algRSASSA }, false},
		"no point":       {eccKey(elliptic.P256(), curveP256), func(a *area) { a.y = a.x }, false},
	} {
		if tt.change(tt.key); tt.key.isSRK() != tt.is {
			t.Errorf("%s: %v", name, !tt.is)
		}
	}
}

// An authorization value has at most 32 bytes.
func TestAuthLimit(t *testing.T) {
	for size, ok := range map[int]bool{0: true, 32: true, 33: false} {
		if _, err := (&Template{Usage: Sign, Auth: make([]byte, size)}).area(); (err == nil) != ok {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}
