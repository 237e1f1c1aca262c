package scep_test

import (
	"crypto/x509"
	"errors"
	"math/big"
	"net/http"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/scep"
)

// TestNilArguments calls every function and method of the package that takes pointers,
// interfaces or slices of pointers, with one or all of them nil. The error says so,
// without a panic, and nothing is sent.
func TestNilArguments(t *testing.T) {
	c := start(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("something was sent") }), strangers(t))
	c.Challenge = "TestAttestation"
	cert := selfSigned(t)
	ca := &scep.CA{Caps: scep.Caps{"SCEPStandard", "TestAttestation"}, Chain: []*x509.Certificate{cert}, Recipient: cert, Signer: cert}
	req := &scep.Request{CSR: newCSR(t, testKey()), Signer: testKey(), Certificate: cert}
	cas := []*scep.CA{nil, {}, {Caps: ca.Caps, Chain: []*x509.Certificate{nil}, Recipient: cert}, {Caps: ca.Caps}}
	reqs := []*scep.Request{nil, {}, {CSR: req.CSR}, {Signer: req.Signer}, {CSR: req.CSR, Signer: req.Signer, Certificate: cert, Extra: []*x509.Certificate{nil}}}
	pending, asked := &scep.Reply{Status: scep.StatusPending}, &scep.Reply{Status: scep.StatusChallenge}

	calls := map[string]func(*scep.CA, *scep.Request) error{
		"Enroll": func(ca *scep.CA, req *scep.Request) error { return second(c.Enroll(t.Context(), ca, req)) },
		"Renew":  func(ca *scep.CA, req *scep.Request) error { return second(c.Renew(t.Context(), ca, req)) },
		"Poll":   func(ca *scep.CA, req *scep.Request) error { return second(c.Poll(t.Context(), ca, req, pending)) },
		"Answer": func(ca *scep.CA, req *scep.Request) error {
			return second(c.Answer(t.Context(), ca, req, asked, []byte("x")))
		},
		"GetCert": func(ca *scep.CA, req *scep.Request) error {
			return second(c.GetCert(t.Context(), ca, req, big.NewInt(1)))
		},
		"GetCRL": func(ca *scep.CA, req *scep.Request) error { return second(c.GetCRL(t.Context(), ca, req, cert)) },
	}
	for name, call := range calls {
		for i, ca := range cas {
			if err := call(ca, req); failed(t, err).HTTPStatus != 0 {
				t.Errorf("%s, CA %d: %v", name, i, err)
			}
		}
		for i, req := range reqs {
			if err := call(ca, req); failed(t, err).HTTPStatus != 0 {
				t.Errorf("%s, request %d: %v", name, i, err)
			}
		}
	}
	for name, err := range map[string]error{
		"Poll":                  second(c.Poll(t.Context(), ca, req, nil)),
		"Answer":                second(c.Answer(t.Context(), ca, req, nil, nil)),
		"GetCert":               second(c.GetCert(t.Context(), ca, req, nil)),
		"GetCRL":                second(c.GetCRL(t.Context(), ca, req, nil)),
		"GetCRL, nothing in it": second(c.GetCRL(t.Context(), ca, req, new(x509.Certificate))),
		"GetNextCACert":         second(c.GetNextCACert(t.Context(), nil, "")),
	} {
		if e := failed(t, err); e.HTTPStatus != 0 || e.Retryable() {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, err := range map[string]error{
		"no template":         second(scep.NewCSR(nil, testKey(), "")),
		"no key":              second(scep.NewCSR(new(x509.CertificateRequest), nil, "")),
		"ProtocolCertificate": second(scep.ProtocolCertificate(nil, nil, time.Time{})),
	} {
		if err == nil || errors.As(err, new(*scep.Error)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A new method needs a line above, or to be named here.
	without := []string{"CA", "GetCACaps", "GetCACert", "GetCACertChain", "GetNextCACert"}
	for m := range reflect.TypeFor[*scep.Client]().Methods() {
		if calls[m.Name] == nil && !slices.Contains(without, m.Name) {
			t.Errorf("%s is not called", m.Name)
		}
	}
	if e := new(scep.Error); e.FailInfo != scep.NoFailInfo || e.Protocol() != "" || e.Retryable() || e.HRESULT() != 0 || e.Remedy() != "" || e.Error() != "scep: " {
		t.Errorf("the zero Error: %#v, %v", e, e)
	}
}

// second returns the error of a call.
func second[T any](_ T, err error) error { return err }
