package attest

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
)

// A symmetric is a TPMT_SYM_DEF_OBJECT.
type symmetric struct{ alg, bits, mode uint16 }

// An area is the public area (TPMT_PUBLIC) of an RSA or ECC key. Its slices point
// into the bytes from which it was read.
type area struct {
	typ, nameAlg uint16
	attributes   uint32
	policy       []byte
	sym          symmetric
	scheme, hash uint16 // of the key; hash is 0 if the scheme has none
	bits         uint16 // RSA
	exponent     uint32 // RSA, 0 for 65537
	curve        uint16 // ECC
	kdf, kdfHash uint16 // ECC
	n            []byte // RSA modulus
	x, y         []byte // ECC point
}

var errArea = errors.New("malformed TPMT_PUBLIC")

// parseArea reads the TPMT_PUBLIC of an RSA or ECC key. b must be exactly that.
func parseArea(b []byte) (area, error) {
	r := newReader(b)
	a := area{typ: r.u16(), nameAlg: r.u16(), attributes: r.u32(), policy: r.sized(64)}
	if a.typ != algRSA && a.typ != algECC {
		return area{}, fmt.Errorf("%w: neither RSA nor ECC", errArea)
	}
	a.sym.alg = r.u16()
	if a.sym.alg != algNull {
		a.sym.bits, a.sym.mode = r.u16(), r.u16()
	}
	a.scheme = r.u16()
	if !a.readScheme(&r) {
		return area{}, fmt.Errorf("%w: unknown scheme 0x%04X", errArea, a.scheme)
	}
	if a.typ == algRSA {
		a.bits, a.exponent, a.n = r.u16(), r.u32(), r.sized(512)
	} else {
		a.curve, a.kdf = r.u16(), r.u16()
		if a.kdf != algNull {
			a.kdfHash = r.u16()
		}
		a.x, a.y = r.sized(66), r.sized(66)
	}
	if !r.done() {
		return area{}, errArea
	}
	return a, nil
}

// readScheme reads the details of a.scheme and reports whether a key of a.typ can
// have that scheme.
func (a *area) readScheme(r *reader) bool {
	rsaKey := a.typ == algRSA
	switch a.scheme {
	case algNull:
	case algRSAES:
		return rsaKey
	case algRSASSA, algRSAPSS, algOAEP:
		a.hash = r.u16()
		return rsaKey && a.hash != 0
	case algECDSA, algECDH, algSM2, algSchn, algECMQV:
		a.hash = r.u16()
		return !rsaKey && a.hash != 0
	default:
		return false
	}
	return true
}

// marshal returns a as TPMT_PUBLIC.
func (a *area) marshal() []byte {
	be := binary.BigEndian
	b := be.AppendUint16(make([]byte, 0, 320), a.typ)
	b = be.AppendUint16(b, a.nameAlg)
	b = be.AppendUint32(b, a.attributes)
	b = appendSized(b, a.policy)
	b = be.AppendUint16(b, a.sym.alg)
	if a.sym.alg != algNull {
		b = be.AppendUint16(be.AppendUint16(b, a.sym.bits), a.sym.mode)
	}
	b = be.AppendUint16(b, a.scheme)
	if a.hash != 0 {
		b = be.AppendUint16(b, a.hash)
	}
	if a.typ == algRSA {
		b = be.AppendUint16(b, a.bits)
		b = be.AppendUint32(b, a.exponent)
		return appendSized(b, a.n)
	}
	b = be.AppendUint16(be.AppendUint16(b, a.curve), a.kdf)
	if a.kdf != algNull {
		b = be.AppendUint16(b, a.kdfHash)
	}
	return appendSized(appendSized(b, a.x), a.y)
}

// has reports whether all the given attributes are set.
func (a *area) has(attributes uint32) bool { return a.attributes&attributes == attributes }

// key returns the public key, or an error for a weak or unusual key.
func (a *area) key() (crypto.PublicKey, error) {
	if a.typ == algRSA {
		pub, err := a.rsaKey()
		if err != nil {
			return nil, err
		}
		return pub, nil
	}
	point, err := a.point()
	if err != nil {
		return nil, err
	}
	c, _ := curveOf(a.curve)
	pub, err := ecdsa.ParseUncompressedPublicKey(c, point)
	if err != nil {
		return nil, errPoint
	}
	return pub, nil
}

var errPoint = fmt.Errorf("%w: point not on its curve", errArea)

// point returns the uncompressed point of an ECC key.
func (a *area) point() ([]byte, error) {
	c, size := curveOf(a.curve)
	if c == nil {
		return nil, fmt.Errorf("%w: unsupported curve 0x%04X", errArea, a.curve)
	}
	if len(a.x) > size || len(a.y) > size {
		return nil, fmt.Errorf("%w: point too long for its curve", errArea)
	}
	point := make([]byte, 1+2*size)
	point[0] = 4
	copy(point[1+size-len(a.x):], a.x)
	copy(point[1+2*size-len(a.y):], a.y)
	return point, nil
}

// check does the checks of key with fewer allocations.
func (a *area) check() error {
	if a.typ == algRSA {
		_, err := a.rsaKey()
		return err
	}
	point, err := a.point()
	if err != nil {
		return err
	}
	if _, err := ecdhOf(a.curve).NewPublicKey(point); err != nil {
		return errPoint
	}
	return nil
}

// ecdhOf returns the curve of a TPM_ECC_CURVE that curveOf knows.
func ecdhOf(id uint16) ecdh.Curve {
	switch id {
	case curveP256:
		return ecdh.P256()
	case curveP384:
		return ecdh.P384()
	}
	return ecdh.P521()
}

// rsaKey returns the public key of an RSA key.
func (a *area) rsaKey() (*rsa.PublicKey, error) {
	if a.exponent != 0 && a.exponent != 65537 {
		return nil, fmt.Errorf("%w: RSA exponent %d", errArea, a.exponent)
	}
	n := new(big.Int).SetBytes(a.n)
	pub := &rsa.PublicKey{N: n, E: 65537}
	if n.BitLen() != int(a.bits) || len(a.n)*8 != int(a.bits) {
		return nil, fmt.Errorf("%w: RSA modulus is not of %d bits", errArea, a.bits)
	}
	if err := checkKey(pub); err != nil {
		return nil, err
	}
	return pub, nil
}

// checkKey returns an error for a key that must not be passed to crypto/rsa or
// crypto/ecdsa, and for one too weak to prove anything. It does not check that a
// point is on its curve; crypto/ecdsa does that at each use.
func checkKey(pub crypto.PublicKey) error {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		if k == nil || k.N == nil || k.N.BitLen() < 2048 || k.N.BitLen() > 4096 ||
			k.N.Bit(0) == 0 || k.E != 65537 {
			return errors.New("RSA key is not of 2048 to 4096 bits with exponent 65537")
		}
	case *ecdsa.PublicKey:
		if k == nil || curveID(k.Curve) == 0 {
			return errors.New("ECC key is not on P-256, P-384 or P-521")
		}
		//lint:ignore SA1019 every method fails if a coordinate is missing
		if k.X == nil || k.Y == nil {
			return errors.New("ECC key has no point")
		}
	default:
		return fmt.Errorf("key of type %T is neither RSA nor ECC", pub)
	}
	return nil
}

// curveOf returns the curve of a TPM_ECC_CURVE and the size of a coordinate in
// bytes, or nil.
func curveOf(id uint16) (elliptic.Curve, int) {
	switch id {
	case curveP256:
		return elliptic.P256(), 32
	case curveP384:
		return elliptic.P384(), 48
	case curveP521:
		return elliptic.P521(), 66
	}
	return nil, 0
}

// curveID returns the TPM_ECC_CURVE of a curve, or 0.
func curveID(c elliptic.Curve) uint16 {
	switch c {
	case elliptic.P256():
		return curveP256
	case elliptic.P384():
		return curveP384
	case elliptic.P521():
		return curveP521
	}
	return 0
}

// PublicKey returns the key in a public area (TPMT_PUBLIC): an *[rsa.PublicKey] of
// 2048 to 4096 bits with exponent 65537, or an *[ecdsa.PublicKey] on P-256, P-384 or
// P-521. The error, for other keys and for bytes that are not exactly one
// TPMT_PUBLIC, is an [*Error].
func PublicKey(publicArea []byte) (crypto.PublicKey, error) {
	a, err := parseArea(publicArea)
	if err != nil {
		return nil, &Error{Op: "PublicKey", Err: err}
	}
	pub, err := a.key()
	if err != nil {
		return nil, &Error{Op: "PublicKey", Err: err}
	}
	return pub, nil
}

// Name returns the TPM name of a key from its public area (TPMT_PUBLIC): the name
// algorithm, two bytes, and the hash of the area (TCG Part 1, 16). The error, for a
// malformed area and for a name algorithm other than SHA-1, SHA-256, SHA-384 and
// SHA-512, is an [*Error].
func Name(publicArea []byte) ([]byte, error) {
	a, err := parseArea(publicArea)
	if err != nil {
		return nil, &Error{Op: "Name", Err: err}
	}
	name, err := a.name(publicArea)
	if err != nil {
		return nil, &Error{Op: "Name", Err: err}
	}
	return name, nil
}

// name returns the name of a, whose encoding is b.
func (a *area) name(b []byte) ([]byte, error) {
	h := hashOf(a.nameAlg)
	if h == 0 {
		return nil, fmt.Errorf("%w: unsupported name algorithm 0x%04X", errArea, a.nameAlg)
	}
	name := binary.BigEndian.AppendUint16(make([]byte, 0, 66), a.nameAlg)
	return appendDigest(name, h, b), nil
}

// Attributes returns the TPMA_OBJECT bits of a public area (TPMT_PUBLIC; TCG Part 2,
// 8.3). The error, for a malformed area, is an [*Error].
func Attributes(publicArea []byte) (uint32, error) {
	a, err := parseArea(publicArea)
	if err != nil {
		return 0, &Error{Op: "Attributes", Err: err}
	}
	return a.attributes, nil
}
