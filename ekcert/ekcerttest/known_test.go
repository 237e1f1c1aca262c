package ekcerttest_test

import (
	"crypto"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/ekcert/ekcerttest"
	"github.com/whiteglove/whiteglove/scep"
)

// TestOnlyKnownKeys enrolls the keys of software, which the emulator is, under the name
// of a maker.
func TestOnlyKnownKeys(t *testing.T) {
	show, err := enrollment(t.Context(), "software")
	if err != nil {
		t.Fatal(err)
	}
	key := show.EK.(interface{ Equal(crypto.PublicKey) bool })
	for name, tt := range map[string]struct {
		known func(ekcerttest.TPM) bool
		any   bool
		want  bool
	}{
		"nothing is known": {},
		"known": {known: func(tpm ekcerttest.TPM) bool {
			return tpm.Vendor == attesttest.Vendor && tpm.Model == "emulator" && tpm.Version == "id:00010002" && key.Equal(tpm.EK)
		}, want: true},
		"another is known":     {known: func(ekcerttest.TPM) bool { return false }},
		"any":                  {any: true, want: true},
		"any, but Known rules": {any: true, known: func(ekcerttest.TPM) bool { return false }},
	} {
		ca := &ekcerttest.Server{Known: tt.known, AnyEK: tt.any}
		server := httptest.NewServer(ca)
		client := &ekcert.Client{SCEPURL: server.URL, Roots: ekcert.Roots{attesttest.Vendor: ca.Roots()}}
		_, err := client.Enroll(t.Context(), show)
		server.Close()
		if tt.want {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		var e *scep.Error
		if !errors.As(err, &e) || e.FailInfo != scep.BadRequest || !strings.Contains(strings.Join(ca.Refusals(), "\n"), "ek-unknown") {
			t.Errorf("%s: %v, refusals %q", name, err, ca.Refusals())
		}
	}
}

// TestAnswerIsForItsRequest answers the challenge of one request, for the TPM as it is,
// in the transaction of another, for the TPM under a better name.
func TestAnswerIsForItsRequest(t *testing.T) {
	ca := &ekcerttest.Server{AnyEK: true}
	server := httptest.NewServer(ca)
	defer server.Close()
	client := &ekcert.Client{SCEPURL: server.URL, Roots: ekcert.Roots{attesttest.Vendor: ca.Roots()}}
	own, err := enrollment(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	better := *own
	better.Model = "better"
	begin := func(r *ekcert.Request) (*ekcert.Challenge, map[string]any) {
		ch, err := client.Begin(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(ch)
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]any
		if err := json.Unmarshal(text, &fields); err != nil {
			t.Fatal(err)
		}
		return ch, fields
	}
	first, one := begin(own)
	_, two := begin(&better)
	two["context"] = one["context"]
	text, err := json.Marshal(two)
	if err != nil {
		t.Fatal(err)
	}
	mixed := new(ekcert.Challenge)
	if err := json.Unmarshal(text, mixed); err != nil {
		t.Fatal(err)
	}
	secret, err := own.Activate(t.Context(), first.Blob, first.EncryptedSecret)
	if err != nil {
		t.Fatal(err)
	}
	if cert, err := client.Complete(t.Context(), mixed, secret); err == nil {
		t.Errorf("certified as %q", cert.Model)
	}
	if r := strings.Join(ca.Refusals(), "\n"); !strings.Contains(r, "no such challenge is open") {
		t.Errorf("refusals %q", r)
	}
}
