package softtpm

import "math/big"

// ecdhZGen is TPM2_ECDH_ZGen (part 3, 14.5): it multiplies a point with the private key.
func ecdhZGen(_ *TPM, c *call) code {
	in := &c.in
	r := reader{b: in.at(1).sized(maxPoint)}
	if rc := in.end(); rc != 0 {
		return rc
	}
	x, y := r.sized(maxECCBytes), r.sized(maxECCBytes)
	if rc := r.end(); rc != 0 {
		return rc.param(1)
	}
	o := c.obj(1)
	switch {
	case o.pub.typ != algECC:
		return rcKey.handle(1)
	case o.pub.has(attrRestricted), !o.pub.has(attrDecrypt), o.publicOnly():
		return rcAttributes.handle(1)
	case o.pub.scheme.alg != algNull && o.pub.scheme.alg != algECDH:
		return rcScheme.handle(1)
	}
	if point(o.pub.curve, x, y) == nil {
		return rcECCPoint.param(1)
	}
	// crypto/ecdh returns only one coordinate of the product, and the TPM both.
	private, err := o.ecKey.ECDH()
	if err != nil {
		return rcFailure
	}
	//lint:ignore SA1019 there is no other way to both coordinates, and this is an emulator
	zx, zy := curveOf(o.pub.curve).ScalarMult(new(big.Int).SetBytes(x), new(big.Int).SetBytes(y), private.Bytes())
	n := curveSize(o.pub.curve)
	var w writer
	for _, v := range []*big.Int{zx, zy} {
		w.sized(v.FillBytes(make([]byte, n)))
	}
	c.out.sized(w.b)
	return 0
}

// maxPoint is the largest size of a TPMS_ECC_POINT, in bytes.
const maxPoint = 2 * (2 + maxECCBytes)
