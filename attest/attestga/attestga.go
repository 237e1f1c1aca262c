package attestga

import (
	"crypto"
	"encoding/binary"
	"errors"
	"fmt"

	ga "github.com/google/go-attestation/attest"

	"github.com/whiteglove/whiteglove/attest"
)

// ToAttestation returns the creation statement of an attestation key, as
// [attest.Key.Creation] has it.
func ToAttestation(s *attest.Statement) ga.AttestationParameters {
	return ga.AttestationParameters{
		Public: s.PublicArea, CreateData: s.CreationData, CreateAttestation: s.Attest, CreateSignature: s.Signature,
	}
}

// FromAttestation is the reverse of ToAttestation.
func FromAttestation(p ga.AttestationParameters) *attest.Statement {
	return &attest.Statement{PublicArea: p.Public, Attest: p.CreateAttestation, Signature: p.CreateSignature, CreationData: p.CreateData}
}

// ToActivation returns what go-attestation's server makes a challenge from.
func ToActivation(ek crypto.PublicKey, s *attest.Statement) ga.ActivationParameters {
	return ga.ActivationParameters{EK: ek, AK: ToAttestation(s)}
}

// ToCertification returns the statement of an attestation key on another key, as
// [attest.TPM.Certify] makes it. go-attestation's verifier wants it made
// without a nonce. It fills CreateAttestation and CreateSignature; CreateData is
// empty.
func ToCertification(s *attest.Statement) ga.CertificationParameters {
	return ga.CertificationParameters{Public: s.PublicArea, CreateAttestation: s.Attest, CreateSignature: s.Signature}
}

// FromCertification is the reverse of ToCertification.
func FromCertification(p ga.CertificationParameters) *attest.Statement {
	return &attest.Statement{PublicArea: p.Public, Attest: p.CreateAttestation, Signature: p.CreateSignature}
}

// ToQuote returns a quote and the values it is about.
func ToQuote(q *attest.Quote) (ga.Quote, []ga.PCR) {
	var pcrs []ga.PCR
	for i, v := range q.PCRs {
		if len(v) > 0 {
			pcrs = append(pcrs, ga.PCR{Index: i, Digest: v, DigestAlg: q.Bank})
		}
	}
	return ga.Quote{Quote: q.Attest, Signature: q.Signature}, pcrs
}

// FromQuote is the reverse of ToQuote. The PCRs must be of 0 to 23 and of one bank,
// each there once.
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

// FromCredential returns a challenge for [attest.TPM.ActivateCredential].
// go-attestation keeps the sizes of the TPM2B structures.
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

// ToCredential is the reverse of FromCredential.
func ToCredential(c *attest.Credential) *ga.EncryptedCredential {
	sized := func(b []byte) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...) }
	return &ga.EncryptedCredential{Credential: sized(c.Blob), Secret: sized(c.EncryptedSecret)}
}

// contents returns what is in a TPM2B.
func contents(b []byte) ([]byte, bool) {
	if len(b) < 2 || len(b)-2 != int(binary.BigEndian.Uint16(b)) {
		return nil, false
	}
	return b[2:], true
}
