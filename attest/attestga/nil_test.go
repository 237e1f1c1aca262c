package attestga_test

import (
	"testing"

	ga "github.com/google/go-attestation/attest"

	"github.com/whiteglove/whiteglove/attest/attestga"
)

// What is made of nothing is refused, by this package or by go-attestation.
func TestNil(t *testing.T) {
	statement := attestga.ToAttestation(nil)
	activation := attestga.ToActivation(nil, nil)
	certification := attestga.ToCertification(nil)
	quote, pcrs := attestga.ToQuote(nil)
	_, _, activated := activation.Generate()
	_, credential := attestga.FromCredential(nil)
	_, empty := attestga.FromCredential(&ga.EncryptedCredential{})
	back, err := attestga.FromQuote(ga.Quote{}, nil)
	if err != nil {
		t.Error(err)
	}
	_, parsed := ga.ParseAKPublic(statement.Public)
	for name, err := range map[string]error{
		"Activation":           activated,
		"Attestation":          parsed,
		"Attestation, back":    attestga.FromAttestation(statement).Verify(nil, nil),
		"Certification":        certification.Verify(ga.VerifyOpts{}),
		"Certification, back":  attestga.FromCertification(certification).Verify(nil, nil),
		"Quote":                (&ga.AKPublic{}).Verify(quote, pcrs, nil),
		"Quote, back":          back.Verify(nil, nil),
		"Credential":           credential,
		"Credential, no parts": empty,
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if attestga.ToCredential(nil) != nil {
		t.Error("a credential of nothing")
	}
}
