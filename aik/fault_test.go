package aik_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/aik/aiktest"
	"github.com/whiteglove/whiteglove/scep"
)

// TestFaults has the CA do wrong in every way it knows. The client must notice
// as early as can be and say what it was.
func TestFaults(t *testing.T) {
	d, s := newDevice(t, isRSA, rsaAIK), newServer()
	var asked []string // operations
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Query().Get("operation"))
		s.ServeHTTP(w, r)
	}))
	defer srv.Close()
	c := &aik.Client{URL: srv.URL + "/{authority}/templates/Aik/scep", Roots: s.Roots()}
	const caps, certs, message = "GetCACaps", "GetCACertChain", "PKIOperation"
	whole := []string{caps, certs, message, message}
	for _, tt := range []struct {
		name  string
		fault aiktest.Fault
		op    string   // of the error
		want  error    // wrapped by it; nil: an HTTP error
		code  uint32   // HRESULT
		asked []string // of the server
	}{
		{"unknown authority", aiktest.UnknownAuthority, "authority", aik.ErrNoAuthority, 0x80190194, nil},
		{"foreign RA", aiktest.ForeignRA, "authority", scep.ErrUntrusted, 0x800B0109, whole[:2]},
		{"TPM's key as RA", aiktest.TPMKeyAsRA, "authority", scep.ErrUntrusted, 0, whole[:2]},
		{"untrusted endorsement certificate", aiktest.UntrustedEK, "enroll", nil, 0x80190190, whole[:3]},
		{"weak endorsement key", aiktest.WeakEK, "enroll", nil, 0x80190190, whole[:3]},
		{"truncated TACH", aiktest.TruncatedTACH, "enroll", aik.ErrChallenge, 0x8007000D, whole[:3]},
		{"challenge for another key", aiktest.ForeignChallenge, "activate", tpm2.TPMRCIntegrity, 0, whole[:3]},
		{"wrong secret", aiktest.WrongSecret, "answer", nil, 0x80190190, whole},
		{"expired challenge", aiktest.ExpiredChallenge, "answer", nil, 0x80190190, whole},
		{"replayed reply", aiktest.ReplayedReply, "answer", scep.ErrMismatch, 0x8007000D, whole},
		{"certificate for another key", aiktest.AnotherKey, "answer", scep.ErrMismatch, 0x8007000D, whole},
		{"the same", aiktest.AnotherKey, "answer", aik.ErrCertificate, 0x8007000D, whole},
		{"certificate for another TPM", aiktest.AnotherTPM, "certificate", aik.ErrCertificate, 0x800B0109, whole},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.Misbehave(tt.fault)
			asked = nil
			chain, err := c.Enroll(t.Context(), d.Request)
			var e *aik.Error
			if !errors.As(err, &e) || chain != nil {
				t.Fatalf("got %d certificates, %v", len(chain), err)
			}
			if e.Op != tt.op || tt.want != nil && !errors.Is(err, tt.want) || e.Retryable() {
				t.Errorf("error is %v, op %q, retryable %v", err, e.Op, e.Retryable())
			}
			if tt.want == nil {
				var se *scep.Error
				if !errors.As(err, &se) || se.HTTPStatus != http.StatusBadRequest || se.Message == "" {
					t.Errorf("error is %v", err)
				}
			}
			if tt.code != 0 && e.HRESULT() != tt.code {
				t.Errorf("code %#x", e.HRESULT())
			}
			if tt.asked != nil && !slices.Equal(asked, tt.asked) {
				t.Errorf("the server was asked %q", asked)
			}
			if tt.op == "answer" && tt.want == nil && !strings.HasPrefix(e.Remedy(), "Run again") {
				t.Errorf("remedy %q", e.Remedy())
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error of several lines: %q", err)
			}
		})
	}
	s.Misbehave(aiktest.None)
	if chain, err := c.Enroll(t.Context(), d.Request); err != nil || len(chain) != 3 {
		t.Errorf("in the end: %d certificates, %v", len(chain), err)
	}
}
