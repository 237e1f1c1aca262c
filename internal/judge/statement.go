package judge

import (
	"crypto"
	"errors"
	"fmt"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attestga"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/internal/roca"
	"github.com/whiteglove/whiteglove/internal/wcce"
)

// Bits of TPMA_OBJECT (TPM 2.0 Library, Part 2, section 8.3).
const (
	fixedTPM            = 1 << 1
	fixedParent         = 1 << 4
	sensitiveDataOrigin = 1 << 5
	restricted          = 1 << 16
	decrypt             = 1 << 17
	sign                = 1 << 18
)

// Reasons for which a key is refused, besides those of package wcce.
var (
	errAttributes = errors.New("key does not have the attributes of an attestation key")
	errKind       = errors.New("statement is not a TPM 2.0 statement about an attestation key")
	errStatement  = errors.New("statement is not valid")
)

// Read returns the creation statement of the attestation key in a request, and the
// opaque bytes that the server echoes to the client. It fails if the request has no
// statement, if the statement is malformed, or if it is not a TPM 2.0 statement
// about an attestation key. It does not verify the statement; [Check] does.
func Read(csr *wcce.CSR) (b *wcce.IDBinding, opaque []byte, err error) {
	blob, err := csr.Octets(wcce.OIDAttestation)
	if err != nil {
		return nil, nil, err
	}
	kast, err := wcce.ParseKAST(blob)
	if err != nil {
		return nil, nil, err
	}
	if kast.Platform != wcce.PlatformTPM20 || len(kast.KeyAttestation) > 0 {
		return nil, nil, errKind
	}
	b, err = wcce.ParseIDBinding(kast.IDBinding)
	return b, kast.AIKOpaque, err
}

// Check is [CheckAIK] for the statement in a request.
func Check(b *wcce.IDBinding) error { return CheckAIK(statement(b)) }

// statement returns the statement in a request.
func statement(b *wcce.IDBinding) *attest.Statement {
	return &attest.Statement{PublicArea: b.PublicArea, Attest: b.Attest, Signature: b.Signature, CreationData: b.CreationData}
}

// AIK returns the key of a public area (TPMT_PUBLIC) if it is that of an attestation
// key that cannot leave its TPM. The error wraps [ekcert.ErrWeakKey] if the key has the
// weakness of CVE-2017-15361 (ROCA).
func AIK(area []byte) (crypto.PublicKey, error) {
	key, err := attest.PublicKey(area)
	if err != nil {
		return nil, err
	}
	bits, err := attest.Attributes(area)
	if err != nil {
		return nil, err
	}
	if roca.Weak(key) {
		return nil, ekcert.ErrWeakKey
	}
	const must = fixedTPM | fixedParent | sensitiveDataOrigin | restricted | sign
	if bits&(must|decrypt) != must {
		return nil, fmt.Errorf("%w: 0x%08X", errAttributes, bits)
	}
	return key, nil
}

// CheckAIK returns an error unless s is about an attestation key that a TPM created
// and that signed the statement itself. The error is that of [AIK], or says that the
// statement is not valid and wraps the reason.
func CheckAIK(s *attest.Statement) error {
	key, err := AIK(s.PublicArea)
	if err != nil {
		return err
	}
	if err := s.Verify(key, nil); err != nil {
		return fmt.Errorf("%w: %w", errStatement, err)
	}
	p := attestga.ToActivation(nil, s)
	if err := p.CheckAKParameters(); err != nil {
		return fmt.Errorf("%w: go-attestation: %w", errStatement, err)
	}
	return nil
}
