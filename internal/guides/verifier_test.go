package guides_test

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/ekcert/roots"
	"github.com/whiteglove/whiteglove/prove"
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

// hello makes a device's first message: which TPM it has, and an attestation key in it.
func hello(ctx context.Context, tpm *attest.TPM) (*verify.Hello, *attest.EK, *attest.Key, error) {
	ek, cert, err := prove.FindEK(ctx, tpm, nil, "")
	if err != nil {
		return nil, nil, nil, err
	}
	aik, err := tpm.CreateKey(ctx, attest.Template{Usage: attest.Attest}) // keep it: aik.MarshalText
	if err != nil {
		return nil, nil, nil, err
	}
	h := &verify.Hello{EKCertificate: cert.Raw, EKPublicArea: ek.PublicArea, AIKCreation: aik.Creation()}
	for _, issuer := range cert.Issuers {
		h.Issuers = append(h.Issuers, issuer.Raw) // some makers put them into the TPM
	}
	return h, ek, aik, nil
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
	_, _ = hello, evidence // needs a real TPM's log
	if v.EKs == nil || helloHandler(v) == nil {
		t.Error("nothing there")
	}
}

// The policy in the guide is one.
func TestPolicyInGuide(t *testing.T) {
	texts := blocks(t, filepath.Join(top, "docs", "verifier.md"), "json")
	if len(texts) != 1 {
		t.Fatalf("%d blocks", len(texts))
	}
	p := new(verify.Policy)
	if err := verify.Decode(strings.NewReader(texts[0]), p); err != nil {
		t.Fatal(err)
	}
	if !p.SecureBoot || len(p.PCRs) == 0 || len(p.Golden) != 1 || len(p.Loaders) == 0 || len(p.Explained) == 0 {
		t.Errorf("%+v", p)
	}
}
