package guides_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/ekcert/roots"
	"github.com/whiteglove/whiteglove/verify"
)

// What follows is in docs/verifier.md.

// newVerifier is in the guide.
func newVerifier(policy *verify.Policy) (*verify.Verifier, error) {
	makers, intermediates, err := roots.Load()
	if err != nil {
		return nil, err
	}
	return &verify.Verifier{
		EKs:    &ekcert.Client{Roots: makers, Pins: roots.Pins(), Intermediates: intermediates},
		Admit:  admit,
		Policy: policy,
	}, nil
}

// admit is in the guide.
func admit(ctx context.Context, cert *ekcert.Certificate, report *ekcert.Report) error {
	for _, f := range report.Findings {
		if f.Severity == ekcert.Warning {
			return errors.New(f.ID + ": " + f.Detail)
		}
	}
	return nil
}

// helloHandler is in the guide.
func helloHandler(v *verify.Verifier) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var hello verify.Hello
		err := verify.Decode(r.Body, &hello)
		var challenge *verify.Challenge
		if err == nil {
			challenge, err = v.Challenge(r.Context(), &hello)
		}
		if err != nil {
			w.WriteHeader(http.StatusForbidden)
			verify.Encode(w, &verify.Verdict{Reason: err.Error()})
			return
		}
		verify.Encode(w, challenge)
	}
}

// evidence is in the guide.
func evidence(ctx context.Context, request *verify.Request, tpm *attest.TPM, aik, key *attest.Key) (*verify.Evidence, error) {
	e, err := request.Evidence(ctx, tpm, aik, key) // key is certified along with the quote
	if err != nil {
		return nil, err
	}
	e.EventLog, err = attest.EventLog()
	return e, err
}

// TestVerifierGuide uses what the guide has, as far as no real TPM is needed.
func TestVerifierGuide(t *testing.T) {
	v, err := newVerifier(nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = evidence // needs a real TPM's log
	if v.EKs == nil || helloHandler(v) == nil {
		t.Error("nothing there")
	}
}
