package aik_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"testing"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/attest"
)

// TestNilArguments calls every function and method of the package with what is nil or
// empty. The error says so, without a panic, and no request for a certificate is sent.
func TestNilArguments(t *testing.T) {
	c := start(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("something was sent") }), x509.NewCertPool())
	d := newDevice(t, isRSA, rsaAIK)
	with := func(change func(*aik.Request)) *aik.Request {
		r := *d.Request
		change(&r)
		return &r
	}
	for name, req := range map[string]*aik.Request{
		"nil":                    nil,
		"zero":                   {},
		"no EK":                  with(func(r *aik.Request) { r.EK = nil }),
		"no chain":               with(func(r *aik.Request) { r.EKChain = nil }),
		"nil certificate":        with(func(r *aik.Request) { r.EKChain = []*x509.Certificate{nil} }),
		"nil issuer":             with(func(r *aik.Request) { r.EKChain = []*x509.Certificate{r.EKChain[0], nil} }),
		"empty certificate":      with(func(r *aik.Request) { r.EKChain = []*x509.Certificate{{}} }),
		"no statement":           with(func(r *aik.Request) { r.AIKCreation = nil }),
		"empty statement":        with(func(r *aik.Request) { r.AIKCreation = new(attest.Statement) }),
		"statement and function": with(func(r *aik.Request) { r.MakeAIK = func(context.Context) (*attest.Statement, error) { return nil, nil } }),
	} {
		_, enroll := c.Enroll(t.Context(), req)
		_, begin := c.Begin(t.Context(), req)
		for op, err := range map[string]error{"Enroll": enroll, "Begin": begin} {
			if !errors.Is(err, aik.ErrRequest) || !errors.As(err, new(*aik.Error)) {
				t.Errorf("%s, %s: %v", op, name, err)
			}
		}
	}
	_, noChallenge := c.Complete(t.Context(), nil, []byte("secret"))
	_, empty := c.Complete(t.Context(), new(aik.Challenge), nil)
	_, encode := new(aik.Challenge).MarshalJSON()
	for name, err := range map[string]error{"Complete, nil": noChallenge, "Complete, zero": empty, "MarshalJSON": encode} {
		if !errors.Is(err, aik.ErrRequest) || !errors.As(err, new(*aik.Error)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := new(aik.Challenge).UnmarshalJSON(nil); !errors.Is(err, aik.ErrChallenge) {
		t.Errorf("UnmarshalJSON: %v", err)
	}
	if text, err := json.Marshal((*aik.Challenge)(nil)); err != nil || string(text) != "null" {
		t.Errorf("Marshal of nil: %s, %v", text, err)
	}
	if urls := aik.URLs("", nil); len(urls) > 0 || aik.Trust(nil) != aik.TrustNone || aik.Trust(new(x509.Certificate)) != aik.TrustNone {
		t.Errorf("nothing has URLs %q or is trusted", urls)
	}
	e := new(aik.Error)
	if e.Error() == "" || e.HRESULT() != 0 || e.Retryable() || e.Remedy() != "" {
		t.Errorf("the zero Error: %v", e)
	}
	for m := range reflect.TypeFor[*aik.Client]().Methods() { // a new method needs a line above
		if !slices.Contains([]string{"Begin", "Complete", "Enroll"}, m.Name) {
			t.Errorf("%s is not called", m.Name)
		}
	}
}
