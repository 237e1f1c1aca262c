package scep_test

import (
	"crypto/sha256"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// An RA whose certificates do not name their purpose is taken only over TLS, where
// nobody on the path can add one, or if the caller names it. The error says how.
func TestRAWithoutPurpose(t *testing.T) {
	server := &sceptest.Server{RA: true, Quirks: sceptest.QuirkNoPurpose}
	req := &scep.Request{CSR: newCSR(t, testKey()), Signer: testKey()}

	plain := start(t, server, server.Roots())
	ca := asked(t, plain)
	if ca.Recipient.Subject.CommonName != "SCEP Test CA" || ca.Signer.Subject.CommonName != "SCEP Test CA" {
		t.Errorf("over plain http: %s, %s", ca.Recipient.Subject, ca.Signer.Subject)
	}
	sent, err := plain.GetCACert(t.Context(), "")
	if err != nil || len(sent) < 2 {
		t.Fatal(sent, err)
	}
	ca.Recipient = sent[1] // so that the server can read the request all the same
	if _, err := plain.Enroll(t.Context(), ca, req); !errors.Is(err, scep.ErrUntrusted) || !strings.Contains(err.Error(), "set RAFingerprints: CN=RA Signing Certificate (SHA-256") {
		t.Errorf("over plain http: %v", err)
	}

	for _, cert := range sent[:2] {
		sum := sha256.Sum256(cert.Raw)
		plain.RAFingerprints = append(plain.RAFingerprints, sum[:])
	}
	if _, err := plain.Enroll(t.Context(), asked(t, plain), req); err != nil {
		t.Errorf("named by the caller: %v", err)
	}

	ts := httptest.NewTLSServer(server)
	defer ts.Close()
	secure := &scep.Client{URL: ts.URL, Roots: server.Roots(), HTTPClient: ts.Client()}
	if _, err := secure.Enroll(t.Context(), asked(t, secure), req); err != nil {
		t.Errorf("over TLS: %v", err)
	}
}
