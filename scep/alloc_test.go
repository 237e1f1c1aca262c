package scep_test

import (
	"net/http"
	"testing"

	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// TestAllocations bounds the allocations of a first enrollment: of both sides together, where
// the library that judges our messages makes half of them, and of the client, from a request
// to its certificate.
func TestAllocations(t *testing.T) {
	server := new(sceptest.Server)
	client := &scep.Client{URL: "https://ca.test/scep", Roots: server.Roots(), HTTPClient: &http.Client{Transport: direct{server}}}
	req := &scep.Request{CSR: newCSR(t, testKey()), Signer: testKey(), Certificate: selfSigned(t)}
	both := testing.AllocsPerRun(5, func() {
		ca, err := client.CA(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Enroll(t.Context(), ca, req); err != nil {
			t.Fatal(err)
		}
	})
	base := campaignBase(t, "success", server)
	ca := &scep.CA{Caps: scep.Caps{"SCEPStandard"}, Chain: server.Certificates(), Recipient: server.Recipient(), Signer: server.Certificates()[0]}
	alone := &scep.Client{URL: "https://ca.test", Roots: server.Roots(), HTTPClient: &http.Client{Transport: refuser{}}}
	own := testing.AllocsPerRun(5, func() {
		if _, err := alone.Enroll(t.Context(), ca, req); err == nil {
			t.Fatal("no error")
		}
		if _, err := base.opener.Open(base.body); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("%.0f allocations, %.0f of the client alone", both, own)
	if both > 2900 || own > 720 {
		t.Errorf("%.0f allocations, %.0f of the client alone", both, own)
	}
}
