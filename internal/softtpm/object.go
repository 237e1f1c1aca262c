package softtpm

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"math/big"
)

// A sensitive is a TPMT_SENSITIVE: secret is the first prime of an RSA key or
// the scalar of an ECC key.
type sensitive struct {
	typ                uint16
	auth, seed, secret []byte
}

func (s *sensitive) marshal() []byte {
	var w writer
	w.u16(s.typ)
	w.sized(s.auth)
	w.sized(s.seed)
	w.sized(s.secret)
	return w.b
}

func (r *reader) sensitive() (s sensitive) {
	s.typ = r.u16()
	if r.err == 0 && s.typ != algRSA && s.typ != algECC {
		r.fail(rcType)
	}
	s.auth = r.sized(maxDigest)
	s.seed = r.sized(maxDigest)
	s.secret = r.sized(maxRSABytes / 2)
	return s
}

// An object is a loaded key. All of it but handle is fixed once made.
type object struct {
	handle      uint32 // transient or persistent
	hierarchy   uint32
	pub         public
	name, qname []byte
	sens        sensitive
	rsaPub      *rsa.PublicKey
	ecPub       *ecdsa.PublicKey
	rsaKey      *rsa.PrivateKey   // nil if public only
	ecKey       *ecdsa.PrivateKey // nil if public only
	temporary   bool              // of the null hierarchy, or loaded from outside
}

// publicOnly reports whether o has no private part.
func (o *object) publicOnly() bool { return o.rsaKey == nil && o.ecKey == nil }

// signs reports whether o is a signing key with a private part.
func (o *object) signs() bool { return o.pub.has(attrSign) && !o.publicOnly() }

func curveOf(id uint16) elliptic.Curve {
	if id == curveP384 {
		return elliptic.P384()
	}
	return elliptic.P256()
}

func curveSize(id uint16) int {
	if id == curveP384 {
		return 48
	}
	return 32
}

// pad puts zeros before b up to n bytes; b without leading zeros must fit.
func pad(b []byte, n int) []byte {
	for len(b) > 0 && b[0] == 0 {
		b = b[1:]
	}
	if len(b) >= n {
		return b
	}
	return append(make([]byte, n-len(b)), b...)
}

// point returns the public key at x, y, or nil if it is not on the curve.
func point(curve uint16, x, y []byte) *ecdsa.PublicKey {
	n := curveSize(curve)
	x, y = pad(x, n), pad(y, n)
	if len(x) != n || len(y) != n {
		return nil
	}
	k, err := ecdsa.ParseUncompressedPublicKey(curveOf(curve), append(append([]byte{4}, x...), y...))
	if err != nil {
		return nil
	}
	return k
}

// usePublic sets the Go form of the public key.
func (o *object) usePublic() code {
	if o.pub.typ == algECC {
		if o.ecPub = point(o.pub.curve, o.pub.x, o.pub.y); o.ecPub == nil {
			return rcECCPoint
		}
		return 0
	}
	if e := o.pub.exponent; e != 0 && e != publicExponent {
		return rcRange
	}
	n := new(big.Int).SetBytes(o.pub.n)
	if n.BitLen() != int(o.pub.bits) || n.Bit(0) == 0 {
		return rcKey
	}
	o.rsaPub = &rsa.PublicKey{N: n, E: publicExponent}
	return 0
}

// usePrivate sets the Go form of the private key out of sens; usePublic comes
// first.
func (o *object) usePrivate() code {
	if o.sens.typ != o.pub.typ {
		return rcType
	}
	if o.pub.typ == algECC {
		k, err := ecdsa.ParseRawPrivateKey(curveOf(o.pub.curve), pad(o.sens.secret, curveSize(o.pub.curve)))
		if err != nil || !k.PublicKey.Equal(o.ecPub) {
			return rcBinding
		}
		o.ecKey = k
		return 0
	}
	p := new(big.Int).SetBytes(o.sens.secret)
	if p.BitLen() != o.rsaPub.N.BitLen()/2 {
		return rcKeySize
	}
	q, rest := new(big.Int).QuoRem(o.rsaPub.N, p, new(big.Int))
	if rest.Sign() != 0 {
		return rcBinding
	}
	if o.rsaKey = rsaFromPrimes(p, q); o.rsaKey == nil {
		return rcBinding
	}
	return 0
}

// rsaFromPrimes returns the key, or nil if p and q make none.
func rsaFromPrimes(p, q *big.Int) *rsa.PrivateKey {
	one, e := big.NewInt(1), big.NewInt(publicExponent)
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	d := new(big.Int).ModInverse(e, phi)
	if d == nil {
		return nil
	}
	k := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: publicExponent}, D: d, Primes: []*big.Int{p, q}}
	if k.Validate() != nil {
		return nil
	}
	k.Precompute()
	return k
}

// names sets name and qualified name; parent is the qualified name of the
// parent or a hierarchy.
func (o *object) names(parent []byte) {
	o.name = o.pub.name()
	if o.pub.nameAlg != algNull {
		o.qname = append(be16(o.pub.nameAlg), digest(o.pub.nameAlg, parent, o.name)...)
	}
}
