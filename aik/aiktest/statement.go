package aiktest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/binary"
	"fmt"

	judge "github.com/google/go-attestation/attest"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/internal/wcce"
)

// Bits of TPMA_OBJECT, TPM 2.0 Library part 2, section 8.3.
const (
	fixedTPM            = 1 << 1
	fixedParent         = 1 << 4
	sensitiveDataOrigin = 1 << 5
	restricted          = 1 << 16
	decrypt             = 1 << 17
	sign                = 1 << 18
)

// attested is an attestation key that has been found to be one.
type attested struct {
	binding *wcce.IDBinding
	opaque  []byte
}

// checkStatement checks the statement on the attestation key's creation.
func checkStatement(csr *wcce.CSR) (*attested, error) {
	blob, err := csr.Octets(wcce.OIDAttestation)
	if err != nil {
		return nil, refuse("AIK", badRequest, err)
	}
	kast, err := wcce.ParseKAST(blob)
	if err != nil {
		return nil, refuse("AIK", badRequest, err)
	}
	if kast.Platform != wcce.PlatformTPM20 || len(kast.KeyAttestation) > 0 {
		return nil, refuse("AIK", badRequest, errKind)
	}
	binding, err := wcce.ParseIDBinding(kast.IDBinding)
	if err != nil {
		return nil, refuse("AIK", badRequest, err)
	}
	if err := checkBinding(csr, binding); err != nil {
		return nil, refuse("AIK", badStatement, err)
	}
	return &attested{binding: binding, opaque: kast.AIKOpaque}, nil
}

func checkBinding(csr *wcce.CSR, b *wcce.IDBinding) error {
	key, err := attest.PublicKey(b.Public)
	if err != nil {
		return err
	}
	spki, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return err
	}
	if !bytes.Equal(spki, csr.PublicKey) {
		return errKey
	}
	bits, err := attest.Attributes(b.Public)
	if err != nil {
		return err
	}
	const must = fixedTPM | fixedParent | sensitiveDataOrigin | restricted | sign
	if bits&(must|decrypt) != must {
		return fmt.Errorf("%w: %#x", errAttributes, bits)
	}
	p := parameters(nil, b)
	if err := p.CheckAKParameters(); err != nil {
		return fmt.Errorf("%w: %w", errStatement, err)
	}
	own := attest.Statement{Area: b.Public, Attest: b.Attest, Signature: b.Signature, Creation: b.Creation}
	if err := own.Verify(key, nil); err != nil {
		return fmt.Errorf("%w: %w", errStatement, err)
	}
	return nil
}

// parameters are the statement as the judge reads it.
func parameters(ek crypto.PublicKey, b *wcce.IDBinding) *judge.ActivationParameters {
	return &judge.ActivationParameters{EK: ek, AK: judge.AttestationParameters{
		Public: b.Public, CreateData: b.Creation, CreateAttestation: b.Attest, CreateSignature: b.Signature,
	}}
}

// secretSize is that of the secrets in challenges, in bytes.
const secretSize = 32

// makeCredential returns a fresh secret that only the TPM with both keys opens.
func makeCredential(ek crypto.PublicKey, b *wcce.IDBinding) (secret []byte, tach *wcce.TACH, err error) {
	if !judged(ek, b.Public) {
		return ownCredential(ek, b.Public)
	}
	secret, c, err := parameters(ek, b).Generate()
	if err != nil {
		return nil, nil, err
	}
	blob, ok1 := unsized(c.Credential)
	sealed, ok2 := unsized(c.Secret)
	if !ok1 || !ok2 {
		return nil, nil, fmt.Errorf("aiktest: credential has an unknown form")
	}
	return secret, &wcce.TACH{Blob: blob, Secret: sealed}, nil
}

// nameSHA256 is TPM_ALG_SHA256 where a TPMT_PUBLIC has its nameAlg.
const nameSHA256 = 0x000b

// judged reports whether the judge can make the credential: it takes the
// attestation key's hash for the endorsement key's, and AES-128.
func judged(ek crypto.PublicKey, area []byte) bool {
	if len(area) < 4 || binary.BigEndian.Uint16(area[2:]) != nameSHA256 {
		return false
	}
	switch k := ek.(type) {
	case *rsa.PublicKey:
		return k.N.BitLen() == 2048
	case *ecdsa.PublicKey:
		return k.Curve == elliptic.P256()
	}
	return false
}

// ownCredential makes the others, such as those of P-384 endorsement keys.
func ownCredential(ek crypto.PublicKey, area []byte) (secret []byte, tach *wcce.TACH, err error) {
	ekArea, err := attest.Area(ek)
	if err != nil {
		return nil, nil, err
	}
	name, err := attest.Name(area)
	if err != nil {
		return nil, nil, err
	}
	secret = make([]byte, secretSize)
	_, _ = rand.Read(secret) // never fails
	c, err := attest.MakeCredential(ekArea, name, secret)
	if err != nil {
		return nil, nil, err
	}
	return secret, &wcce.TACH{Blob: c.Blob, Secret: c.Secret}, nil
}

// unsized returns a TPM2B's buffer.
func unsized(b []byte) ([]byte, bool) {
	if len(b) < 2 || int(binary.BigEndian.Uint16(b)) != len(b)-2 {
		return nil, false
	}
	return b[2:], true
}
