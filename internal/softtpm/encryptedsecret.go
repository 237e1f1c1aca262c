package softtpm

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
)

// openSecret decrypts a TPM2B_ENCRYPTED_SECRET made for o (part 1, annexes B
// and C).
func (o *object) openSecret(label string, blob []byte) ([]byte, code) {
	size := digestSize(o.pub.nameAlg)
	if o.pub.typ == algRSA {
		if len(blob) != o.rsaPub.Size() {
			return nil, rcSize
		}
		h := hashOf(o.pub.nameAlg)
		s, err := rsa.DecryptOAEP(h.New(), nil, o.rsaKey, blob, append([]byte(label), 0))
		if err != nil || len(s) > size {
			return nil, rcValue
		}
		return s, 0
	}
	r := reader{b: blob}
	x, y := r.sized(maxECCBytes), r.sized(maxECCBytes)
	if rc := r.end(); rc != 0 {
		return nil, rc
	}
	peer := point(o.pub.curve, x, y)
	if peer == nil {
		return nil, rcECCPoint
	}
	k, err := o.ecKey.ECDH()
	if err != nil {
		return nil, rcFailure
	}
	return o.agree(k, peer, label, x)
}

// makeSecret makes a secret for o and its TPM2B_ENCRYPTED_SECRET.
func (o *object) makeSecret(label string) (secret, blob []byte, rc code) {
	size := digestSize(o.pub.nameAlg)
	if o.pub.typ == algRSA {
		secret = randomBytes(size)
		blob, err := rsa.EncryptOAEP(hashOf(o.pub.nameAlg).New(), rand.Reader, o.rsaPub, secret, append([]byte(label), 0))
		if err != nil {
			return nil, nil, rcKey
		}
		return secret, blob, 0
	}
	e, err := ecdsa.GenerateKey(curveOf(o.pub.curve), rand.Reader)
	if err != nil {
		return nil, nil, rcFailure
	}
	k, err := e.ECDH()
	if err != nil {
		return nil, nil, rcFailure
	}
	n := curveSize(o.pub.curve)
	u := k.PublicKey().Bytes()
	secret, rc = o.agree(k, o.ecPub, label, u[1:1+n])
	var w writer
	w.sized(u[1 : 1+n])
	w.sized(u[1+n:])
	return secret, w.b, rc
}

// agree derives the secret that k and peer share; ephemeral is the x of the
// sender's point, o's own is the other party.
func (o *object) agree(k *ecdh.PrivateKey, peer *ecdsa.PublicKey, label string, ephemeral []byte) ([]byte, code) {
	p, err := peer.ECDH()
	if err != nil {
		return nil, rcECCPoint
	}
	z, err := k.ECDH(p)
	if err != nil {
		return nil, rcECCPoint
	}
	n := curveSize(o.pub.curve)
	alg := o.pub.nameAlg
	return kdfE(alg, z, label, pad(ephemeral, n), pad(o.pub.x, n), 8*digestSize(alg)), 0
}
