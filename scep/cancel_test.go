package scep_test

import (
	"context"
	"math/big"
	"net/http"
	"testing"

	"github.com/whiteglove/whiteglove/internal/canceltest"
	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// TestCancelAtEachRead ends the context of each method of Client while an answer is read.
func TestCancelAtEachRead(t *testing.T) {
	t.Parallel()
	root := mustRoot(t)
	ca, err := sceptest.NewAuthority("CA", root, nil)
	if err != nil {
		t.Fatal(err)
	}
	next, err := sceptest.NewAuthority("next CA", root, nil)
	if err != nil {
		t.Fatal(err)
	}
	server := &sceptest.Server{Authority: ca, Next: next}
	waiting := &sceptest.Server{Authority: ca, Pending: func(*sceptest.Request) bool { return true }}
	asking := &sceptest.Server{
		Authority: ca, Caps: scep.Caps{"SCEPStandard", "TestAttestation", "GetCACertChain"},
		Challenge: func(*sceptest.Request) ([]byte, error) { return []byte("secret"), nil },
		Check:     func(*sceptest.Request, []byte) error { return nil },
	}
	req := &scep.Request{CSR: newCSR(t, testKey()), Signer: testKey(), Certificate: selfSigned(t)}
	plain := start(t, server, server.Roots())
	known := asked(t, plain)
	first, err := plain.Enroll(t.Context(), known, req)
	if err != nil {
		t.Fatal(err)
	}
	leaf := first.Certificates[0]
	renewal := &scep.Request{CSR: req.CSR, Signer: testKey(), Certificate: leaf}
	for name, tt := range map[string]struct {
		server *sceptest.Server
		call   func(context.Context, *scep.Client) error
	}{
		"CA": {server, func(ctx context.Context, c *scep.Client) error {
			c.Challenge = "one request at a time"
			return second(c.CA(ctx, ""))
		}},
		"GetCACaps":      {server, func(ctx context.Context, c *scep.Client) error { return second(c.GetCACaps(ctx, "")) }},
		"GetCACert":      {server, func(ctx context.Context, c *scep.Client) error { return second(c.GetCACert(ctx, "")) }},
		"GetCACertChain": {asking, func(ctx context.Context, c *scep.Client) error { return second(c.GetCACertChain(ctx, "")) }},
		"GetNextCACert":  {server, func(ctx context.Context, c *scep.Client) error { return second(c.GetNextCACert(ctx, known, "")) }},
		"Enroll":         {server, func(ctx context.Context, c *scep.Client) error { return second(c.Enroll(ctx, known, req)) }},
		"Renew":          {server, func(ctx context.Context, c *scep.Client) error { return second(c.Renew(ctx, known, renewal)) }},
		"GetCert": {server, func(ctx context.Context, c *scep.Client) error {
			return second(c.GetCert(ctx, known, renewal, new(big.Int).Set(leaf.SerialNumber)))
		}},
		"GetCRL": {server, func(ctx context.Context, c *scep.Client) error { return second(c.GetCRL(ctx, known, renewal, leaf)) }},
		"Poll": {waiting, func(ctx context.Context, c *scep.Client) error {
			reply, err := c.Enroll(ctx, known, req)
			if err != nil {
				return err
			}
			return second(c.Poll(ctx, known, req, reply))
		}},
		"Answer": {asking, func(ctx context.Context, c *scep.Client) error {
			c.Challenge = "TestAttestation"
			ca, err := c.CA(ctx, "")
			if err != nil {
				return err
			}
			reply, err := c.Enroll(ctx, ca, req)
			if err != nil {
				return err
			}
			return second(c.Answer(ctx, ca, req, reply, []byte("answer")))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, tt.server, tt.server.Roots())
			canceltest.Everywhere(t, 40, nil, func(ctx context.Context, h *http.Client) error {
				own := *c
				own.HTTPClient = h
				return tt.call(ctx, &own)
			})
		})
	}
}
