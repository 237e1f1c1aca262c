package attest

import (
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"errors"

	"github.com/google/go-tpm/tpm2"
)

// Exchanger returns the key as a private key for ECDH. Its method ECDH has the TPM
// multiply the peer's point with the private key (TCG TPM 2.0 Library Part 3,
// TPM2_ECDH_ZGen) and returns the x coordinate, as [ecdh.PrivateKey] does. The
// result crosses the bus encrypted. The methods may be called by several goroutines
// at once; ECDH runs under the context of the key, see [Key.WithContext].
//
// The error is an [*Error]. It is not nil if the key is not an ECC key with the usage
// [Decrypt]. The error of ECDH wraps an [*Error], and the error of the key's context
// if that ended first. It wraps no error of the TPM if the peer's key is nil or on
// another curve.
func (k *Key) Exchanger() (ecdh.KeyExchanger, error) {
	if k == nil {
		return nil, &Error{Op: "Exchanger", Err: errNoKey}
	}
	pub, ok := k.pub.(*ecdsa.PublicKey)
	if !ok || k.attrs&attrDecrypt == 0 || k.attrs&attrRestricted != 0 {
		return nil, &Error{Op: "Exchanger", Err: errors.New("key is not an ECC key that decrypts")}
	}
	own, err := pub.ECDH()
	if err != nil {
		return nil, &Error{Op: "Exchanger", Err: err}
	}
	return &exchanger{key: k, public: own}, nil
}

// An exchanger is the key of an [ecdh.KeyExchanger].
type exchanger struct {
	key    *Key
	public *ecdh.PublicKey
}

// PublicKey implements [ecdh.KeyExchanger].
func (e *exchanger) PublicKey() *ecdh.PublicKey { return e.public }

// Curve implements [ecdh.KeyExchanger].
func (e *exchanger) Curve() ecdh.Curve { return e.public.Curve() }

// ECDH implements [ecdh.KeyExchanger]. Its errors are those that Exchanger names.
func (e *exchanger) ECDH(peer *ecdh.PublicKey) ([]byte, error) {
	if peer == nil || peer.Curve() != e.Curve() {
		return nil, &Error{Op: "ECDH", Err: errors.New("the peer has no key on the same curve")}
	}
	k := e.key
	point := peer.Bytes()[1:]
	n := len(point) / 2
	var rsp *tpm2.ECDHZGenResponse
	err := k.use(true, func(ctx context.Context, h tpm2.AuthHandle, s *session) (err error) {
		rsp, err = run(ctx, k.tpm, tpm2.ECDHZGen{
			KeyHandle: h,
			InPoint: tpm2.New2B(tpm2.TPMSECCPoint{
				X: tpm2.TPM2BECCParameter{Buffer: point[:n]}, Y: tpm2.TPM2BECCParameter{Buffer: point[n:]},
			}),
		}, s)
		return err
	})
	if err != nil {
		return nil, err
	}
	out, err := rsp.OutPoint.Contents()
	if err != nil {
		return nil, &Error{Op: "TPM2_ECDH_ZGen", Err: err}
	}
	return coordinate(out.X.Buffer, n)
}

// coordinate returns the x-coordinate of a point in n bytes. Some chips leave zeros at its
// start out.
func coordinate(z []byte, n int) ([]byte, error) {
	if len(z) == 0 || len(z) > n {
		return nil, &Error{Op: "TPM2_ECDH_ZGen", Err: errors.New("the TPM's coordinate is empty or too long")}
	}
	return append(make([]byte, n-len(z), n), z...), nil
}
