package attest

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/go-tpm/tpm2"
)

// useTimeout bounds how long Sign and Decrypt, if the key has no context, wait for
// other methods and for a TPM that answers TPM_RC_RETRY.
const useTimeout = time.Minute

// WithContext returns a copy of the key whose Sign and Decrypt, which take no
// context, run under ctx. Without it, or if ctx is nil, they run under the
// background context with a time limit of one minute. Methods that take a context
// ignore ctx.
func (k *Key) WithContext(ctx context.Context) *Key {
	if k == nil {
		return nil
	}
	c := *k
	c.ctx = ctx
	return &c
}

// context returns the context under which Sign and Decrypt run.
func (k *Key) context() (context.Context, context.CancelFunc) {
	if k.ctx != nil {
		return k.ctx, func() {}
	}
	return context.WithTimeout(context.Background(), useTimeout)
}

// Sign implements [crypto.Signer]. The caller has made the digest with
// opts.HashFunc(): SHA-1, SHA-256, SHA-384 or SHA-512. An RSA key signs with
// PKCS #1 v1.5, or with PSS if opts is an *[rsa.PSSOptions]; then the salt must be
// as long as the hash, the only length that TPMs agree on. The signature of an ECC
// key is the DER of an ECDSA signature. The random source is ignored.
//
// Keys without the usage [Sign] refuse, and [Attest] keys do, too: they sign only
// what their TPM made. The error wraps an [*Error], and the error of the key's
// context if that ended first; see [Key.WithContext].
func (k *Key) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	scheme, err := k.signScheme(digest, opts)
	if err != nil {
		return nil, &Error{Op: "Sign", Err: err}
	}
	var rsp *tpm2.SignResponse
	err = k.use(false, func(ctx context.Context, h tpm2.AuthHandle, s *session) (err error) {
		rsp, err = run(ctx, k.tpm, tpm2.Sign{
			KeyHandle:  h,
			Digest:     tpm2.TPM2BDigest{Buffer: digest},
			InScheme:   scheme,
			Validation: tpm2.TPMTTKHashCheck{Tag: tpm2.TPMSTHashCheck, Hierarchy: tpm2.TPMRHNull},
		}, s)
		return err
	})
	if err != nil {
		return nil, err
	}
	sig, err := parseSignature(tpm2.Marshal(rsp.Signature))
	if err != nil {
		return nil, &Error{Op: "TPM2_Sign", Err: err}
	}
	out, err := sig.external(k.pub, digest, opts)
	if err != nil {
		return nil, &Error{Op: "Sign", Err: err}
	}
	return out, nil
}

// use loads the key and calls f, which sends one command with it and returns the error
// of that, with the context of the key, the authorization and the session. With encrypt,
// the answer crosses the bus encrypted.
func (k *Key) use(encrypt bool, f func(ctx context.Context, h tpm2.AuthHandle, s *session) error) error {
	ctx, cancel := k.context()
	defer cancel()
	return k.tpm.do(ctx, func() error {
		o, err := k.tpm.load(ctx, k)
		if err != nil {
			return err
		}
		s, err := k.tpm.sessionFor(ctx, k, encrypt, o)
		if err != nil {
			return err
		}
		h, err := k.tpm.authorize(ctx, k, o)
		if err != nil {
			return err
		}
		err = k.tpm.withSlots(ctx, o.borrows(), func() error { return f(ctx, h, s) }, o)
		return k.tpm.spent(h.Auth, err)
	})
}

// signScheme returns the scheme that opts ask for.
func (k *Key) signScheme(digest []byte, opts crypto.SignerOpts) (tpm2.TPMTSigScheme, error) {
	var none tpm2.TPMTSigScheme
	switch {
	case k == nil:
		return none, errNoKey
	case k.attrs&attrSign == 0:
		return none, errors.New("key does not sign")
	case k.attrs&attrRestricted != 0:
		return none, errors.New("an attestation key signs only what its TPM made")
	case opts == nil || algOf(opts.HashFunc()) == 0:
		return none, errors.New("hash is not SHA-1, SHA-256, SHA-384 or SHA-512")
	case len(digest) != opts.HashFunc().Size():
		return none, fmt.Errorf("digest of %d bytes is not one of %v", len(digest), opts.HashFunc())
	}
	alg := tpm2.TPMAlgRSASSA
	if pss, ok := opts.(*rsa.PSSOptions); ok {
		alg = tpm2.TPMAlgRSAPSS
		if pss.SaltLength != rsa.PSSSaltLengthEqualsHash && pss.SaltLength != opts.HashFunc().Size() {
			return none, errors.New("PSS salt is not as long as the hash")
		}
	}
	hash := tpm2.TPMSSchemeHash{HashAlg: tpm2.TPMIAlgHash(algOf(opts.HashFunc()))}
	if _, ok := k.pub.(*ecdsa.PublicKey); ok {
		alg = tpm2.TPMAlgECDSA
	}
	return tpm2.TPMTSigScheme{Scheme: alg, Details: tpm2.NewTPMUSigScheme(alg, &hash)}, nil
}

// external returns the signature in the form that Go's verifiers take.
func (s *signature) external(pub crypto.PublicKey, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	switch pub := pub.(type) {
	case *ecdsa.PublicKey:
		if s.alg == algECDSA {
			return s.asn1(nil), nil
		}
	case *rsa.PublicKey:
		pss, wantPSS := opts.(*rsa.PSSOptions)
		switch {
		case s.alg == algRSASSA && !wantPSS:
			return bytes.Clone(s.r), nil
		case s.alg == algRSAPSS && wantPSS:
			o := rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: opts.HashFunc()}
			if rsa.VerifyPSS(pub, pss.HashFunc(), digest, s.r, &o) != nil {
				return nil, errors.New("the TPM chooses the salt length of PSS signatures; use PKCS #1 v1.5 (TLS 1.2)")
			}
			return bytes.Clone(s.r), nil
		}
	}
	return nil, fmt.Errorf("the TPM signed with scheme 0x%04X, which was not asked for", s.alg)
}

// Decrypt implements [crypto.Decrypter] for RSA keys. It uses PKCS #1 v1.5 if opts
// is nil or an *[rsa.PKCS1v15DecryptOptions], and OAEP if it is an
// *[rsa.OAEPOptions], which must have an empty label and a single hash. msg must
// be as long as the modulus. The result crosses the bus encrypted. The random
// source is ignored.
//
// With a SessionKeyLen in the PKCS #1 v1.5 options, Decrypt returns a random key
// of that length instead of an error about the padding, as crypto/rsa does, so
// that a peer learns nothing from it.
//
// Keys without the usage [Decrypt] refuse. The error wraps an [*Error], and the
// error of the key's context if that ended first; see [Key.WithContext].
func (k *Key) Decrypt(_ io.Reader, msg []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	scheme, err := k.decryptScheme(msg, opts)
	if err != nil {
		return nil, &Error{Op: "Decrypt", Err: err}
	}
	var plain []byte
	err = k.use(true, func(ctx context.Context, h tpm2.AuthHandle, s *session) error {
		rsp, err := run(ctx, k.tpm, tpm2.RSADecrypt{
			KeyHandle:  h,
			CipherText: tpm2.TPM2BPublicKeyRSA{Buffer: msg},
			InScheme:   scheme,
		}, s)
		if err == nil {
			plain = rsp.Message.Buffer
		}
		return err
	})
	if n := sessionKeyLen(opts); n > 0 {
		return sessionKey(plain, err, n)
	}
	if err != nil {
		return nil, err
	}
	return plain, nil
}

// sessionKeyLen returns the length of the session key that opts ask for, or 0.
func sessionKeyLen(opts crypto.DecrypterOpts) int {
	//lint:ignore SA1019 CMS key transport, as SCEP uses it, is PKCS #1 v1.5
	if o, ok := opts.(*rsa.PKCS1v15DecryptOptions); ok && o != nil {
		return o.SessionKeyLen
	}
	return 0
}

// sessionKey returns plain if it has size bytes. Instead of a key of another length
// and instead of an error about the padding it returns a random key, so that a peer
// learns nothing from either. About the padding TPMs say TPM_RC_VALUE, but libtpms
// says TPM_RC_FAILURE.
func sessionKey(plain []byte, err error, size int) ([]byte, error) {
	if err != nil && !hasRC(err, tpm2.TPMRCValue, tpm2.TPMRCSize, tpm2.TPMRCFailure) {
		return nil, err
	}
	if err == nil && len(plain) == size {
		return plain, nil
	}
	key := make([]byte, size)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	return key, nil
}

// decryptScheme returns the scheme that opts ask for.
func (k *Key) decryptScheme(msg []byte, opts crypto.DecrypterOpts) (tpm2.TPMTRSADecrypt, error) {
	var none tpm2.TPMTRSADecrypt
	if k == nil {
		return none, errNoKey
	}
	pub, ok := k.pub.(*rsa.PublicKey)
	if !ok || k.attrs&attrDecrypt == 0 || k.attrs&attrRestricted != 0 {
		return none, errors.New("key does not decrypt")
	}
	if len(msg) != pub.Size() {
		return none, fmt.Errorf("ciphertext has %d bytes, not %d", len(msg), pub.Size())
	}
	switch o := opts.(type) {
	//lint:ignore SA1019 as above
	case nil, *rsa.PKCS1v15DecryptOptions:
		return tpm2.TPMTRSADecrypt{
			Scheme:  tpm2.TPMAlgRSAES,
			Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgRSAES, &tpm2.TPMSEncSchemeRSAES{}),
		}, nil
	case *rsa.OAEPOptions:
		if o == nil {
			return none, errors.New("no OAEP options")
		}
		alg := algOf(o.Hash)
		if alg == 0 || o.MGFHash != 0 && o.MGFHash != o.Hash || len(o.Label) != 0 {
			return none, errors.New("OAEP options have two hashes, an unknown hash or a label")
		}
		return tpm2.TPMTRSADecrypt{
			Scheme:  tpm2.TPMAlgOAEP,
			Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgOAEP, &tpm2.TPMSEncSchemeOAEP{HashAlg: tpm2.TPMIAlgHash(alg)}),
		}, nil
	}
	return none, fmt.Errorf("unknown options %T", opts)
}
