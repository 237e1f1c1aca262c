package ekcert_test

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"testing"

	"github.com/whiteglove/whiteglove/ekcert"
)

// What is not there is an error.
func TestNil(t *testing.T) {
	ctx := t.Context()
	c := &ekcert.Client{Services: map[string]ekcert.Fetcher{"INTC": &ekcert.Service{URL: "http://127.0.0.1:1/", Vendor: "INTC"}}}
	m := newMaker(t, "Intel")
	cert := parsed(t, m.issue(t, ekKey(t).Public(), intel).Raw)
	second := func(_ any, err error) error { return err }
	for name, err := range map[string]error{
		"Parse":              second(ekcert.Parse(nil)),
		"Find":               second(c.Find(ctx, nil, "", nil)),
		"Find, service":      second(c.Find(ctx, nil, "INTC", nil)),
		"Find, empty RSA":    second(c.Find(ctx, &nvMemory{}, "INTC", (*rsa.PublicKey)(nil))),
		"Find, no modulus":   second(c.Find(ctx, &nvMemory{}, "INTC", &rsa.PublicKey{})),
		"Find, empty ECC":    second(c.Find(ctx, &nvMemory{}, "INTC", (*ecdsa.PublicKey)(nil))),
		"Find, no curve":     second(c.Find(ctx, &nvMemory{}, "INTC", &ecdsa.PublicKey{})),
		"Verify":             second(c.Verify(ctx, nil, ekKey(t).Public())),
		"Verify, empty":      second(c.Verify(ctx, &ekcert.Certificate{}, ekKey(t).Public())),
		"Verify, key":        second(c.Verify(ctx, cert, nil)),
		"Verify, empty RSA":  second(c.Verify(ctx, cert, (*rsa.PublicKey)(nil))),
		"Verify, no modulus": second(c.Verify(ctx, cert, &rsa.PublicKey{})),
		"Verify, no curve":   second(c.Verify(ctx, cert, &ecdsa.PublicKey{})),
		"Fetch":              second((&ekcert.Service{}).Fetch(ctx, nil)),
		"Fetch, Intel":       second((&ekcert.Service{Vendor: "INTC"}).Fetch(ctx, nil)),
		"Fetch, AMD":         second((&ekcert.Service{Vendor: "AMD"}).Fetch(ctx, (*rsa.PublicKey)(nil))),
		"Enroll":             second(c.Enroll(ctx, nil)),
		"Enroll, empty":      second(c.Enroll(ctx, &ekcert.Request{})),
		"Enroll, empty RSA":  second(c.Enroll(ctx, &ekcert.Request{EK: (*rsa.PublicKey)(nil)})),
		"Enroll, no curve":   second(c.Enroll(ctx, &ekcert.Request{EK: &ecdsa.PublicKey{}})),
		"Begin":              second(c.Begin(ctx, nil)),
		"Complete":           second(c.Complete(ctx, nil, nil)),
		"Complete, empty":    second(c.Complete(ctx, &ekcert.Challenge{}, nil)),
	} {
		var e *ekcert.Error
		if !errors.As(err, &e) || e.Op == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
