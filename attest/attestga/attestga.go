package attestga

import (
	"crypto"
	"encoding/binary"
	"errors"
	"fmt"

	ga "github.com/google/go-attestation/attest"

	"github.com/whiteglove/whiteglove/attest"
)

// ToAttestation returns the creation statement of an attestation key, as returned by
// [attest.Key.Creation], for go-attestation. That of nil is empty, which
// go-attestation refuses.
func ToAttestation(s *attest.Statement) ga.AttestationParameters {
	if s == nil {
		return ga.AttestationParameters{}
	}
	return ga.AttestationParameters{
		Public: s.PublicArea, CreateData: s.CreationData, CreateAttestation: s.Attest, CreateSignature: s.Signature,
	}
}

// FromAttestation returns go-attestation's creation statement of an attestation key
// for package attest.
func FromAttestation(p ga.AttestationParameters) *attest.Statement {
	return &attest.Statement{PublicArea: p.Public, Attest: p.CreateAttestation, Signature: p.CreateSignature, CreationData: p.CreateData}
}

// ToActivation returns the parameters from which a server with go-attestation makes a
// challenge: the endorsement key, an *rsa.PublicKey or *ecdsa.PublicKey, and the
// creation statement of an attestation key.
func ToActivation(ek crypto.PublicKey, s *attest.Statement) ga.ActivationParameters {
	return ga.ActivationParameters{EK: ek, AK: ToAttestation(s)}
}

// ToCertification returns an attestation key's statement about another key, as
// returned by [attest.TPM.Certify], for go-attestation, whose verifier expects one
// without a nonce. CreateAttestation and CreateSignature are those of the statement,
// and CreateData is empty. That of nil is empty, which go-attestation refuses.
func ToCertification(s *attest.Statement) ga.CertificationParameters {
	if s == nil {
		return ga.CertificationParameters{}
	}
	return ga.CertificationParameters{Public: s.PublicArea, CreateAttestation: s.Attest, CreateSignature: s.Signature}
}

// FromCertification returns go-attestation's statement about a key for package
// attest.
func FromCertification(p ga.CertificationParameters) *attest.Statement {
	return &attest.Statement{PublicArea: p.Public, Attest: p.CreateAttestation, Signature: p.CreateSignature}
}

// ToQuote returns a quote and the PCRs that it is about for go-attestation. That of nil
// is empty, which go-attestation refuses.
func ToQuote(q *attest.Quote) (ga.Quote, []ga.PCR) {
	if q == nil {
		return ga.Quote{}, nil
	}
	var pcrs []ga.PCR
	for i, v := range q.PCRs {
		if len(v) > 0 {
			pcrs = append(pcrs, ga.PCR{Index: i, Digest: v, DigestAlg: q.Bank})
		}
	}
	return ga.Quote{Quote: q.Attest, Signature: q.Signature}, pcrs
}

// FromQuote returns go-attestation's quote and the PCRs that it is about for package
// attest. The error says so if a PCR is not one of 0 to 23, is there twice or is of
// another bank than the first.
func FromQuote(q ga.Quote, pcrs []ga.PCR) (*attest.Quote, error) {
	out := &attest.Quote{Attest: q.Quote, Signature: q.Signature, PCRs: make([][]byte, 24)}
	for _, p := range pcrs {
		if p.Index < 0 || p.Index >= len(out.PCRs) || out.PCRs[p.Index] != nil || p.DigestAlg != pcrs[0].DigestAlg {
			return nil, fmt.Errorf("attestga: FromQuote: PCR %d of %v", p.Index, p.DigestAlg)
		}
		out.Bank = p.DigestAlg
		out.PCRs[p.Index] = p.Digest
	}
	return out, nil
}

// FromCredential returns go-attestation's challenge for
// [attest.TPM.ActivateCredential]. It removes the size prefixes, which
// go-attestation keeps. The error says so if c is nil or a part of it is not exactly
// one TPM2B.
func FromCredential(c *ga.EncryptedCredential) (*attest.Credential, error) {
	if c == nil {
		return nil, errors.New("attestga: FromCredential: none")
	}
	blob, ok := contents(c.Credential)
	secret, ok2 := contents(c.Secret)
	if !ok || !ok2 {
		return nil, errors.New("attestga: FromCredential: malformed TPM2B")
	}
	return &attest.Credential{Blob: blob, EncryptedSecret: secret}, nil
}

// ToCredential returns a challenge for go-attestation, with the size prefixes. That of
// nil is nil.
func ToCredential(c *attest.Credential) *ga.EncryptedCredential {
	if c == nil {
		return nil
	}
	sized := func(b []byte) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...) }
	return &ga.EncryptedCredential{Credential: sized(c.Blob), Secret: sized(c.EncryptedSecret)}
}

// contents returns the contents of b and true if b is exactly one TPM2B.
func contents(b []byte) ([]byte, bool) {
	if len(b) < 2 || len(b)-2 != int(binary.BigEndian.Uint16(b)) {
		return nil, false
	}
	return b[2:], true
}
