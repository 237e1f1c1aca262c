package softtpm

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
)

// A source makes keys: a stream for primaries, nil for random ones.
type source = *stream

// generate makes the key for the template in o.pub and fills unique and sens.
func (t *TPM) generate(o *object, src source) code {
	if o.pub.typ == algRSA {
		if e := o.pub.exponent; e != 0 && e != publicExponent {
			return rcRange
		}
		return t.generateRSA(o, src)
	}
	return o.generateECC(src)
}

func (t *TPM) generateRSA(o *object, src source) code {
	var k *rsa.PrivateKey
	if p, q := t.primes(int(o.pub.bits), o.hierarchy, src); p != nil {
		if k = rsaFromPrimes(p, q); k == nil {
			return rcFailure
		}
	} else {
		var err error
		if k, err = rsa.GenerateKey(rand.Reader, int(o.pub.bits)); err != nil {
			return rcFailure
		}
	}
	o.rsaKey, o.rsaPub = k, &k.PublicKey
	o.pub.n = k.N.Bytes()
	o.sens.typ = algRSA
	o.sens.secret = k.Primes[0].Bytes()
	return 0
}

func (o *object) generateECC(src source) code {
	c := curveOf(o.pub.curve)
	k, err := ecKey(c, src)
	if err != nil {
		return rcFailure
	}
	size := curveSize(o.pub.curve)
	u, err := k.PublicKey.Bytes()
	if err != nil || len(u) != 1+2*size {
		return rcFailure
	}
	d, err := k.Bytes()
	if err != nil {
		return rcFailure
	}
	o.ecKey, o.ecPub = k, &k.PublicKey
	o.pub.x, o.pub.y = u[1:1+size], u[1+size:]
	o.sens.typ = algECC
	o.sens.secret = d
	return 0
}

// ecKey makes a key; from a stream by FIPS 186-5, A.2.1 (extra bits).
func ecKey(c elliptic.Curve, src source) (*ecdsa.PrivateKey, error) {
	if src == nil {
		return ecdsa.GenerateKey(c, rand.Reader)
	}
	n := c.Params().N
	d := new(big.Int).SetBytes(src.bytes((n.BitLen() + 64) / 8))
	d.Mod(d, new(big.Int).Sub(n, big.NewInt(1)))
	d.Add(d, big.NewInt(1))
	return ecdsa.ParseRawPrivateKey(c, d.FillBytes(make([]byte, (n.BitLen()+7)/8)))
}

// randomBytes returns n random bytes.
func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}
