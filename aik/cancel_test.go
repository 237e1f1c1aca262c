package aik_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/whiteglove/whiteglove/internal/canceltest"
)

// TestCancelAtEachRead ends the context of Enroll while an answer is read, from the
// capabilities to the certificate.
func TestCancelAtEachRead(t *testing.T) {
	d, s := newDevice(t, isRSA, rsaAIK), server()
	c := start(t, s, s.Roots())
	canceltest.Everywhere(t, 60, nil, func(ctx context.Context, h *http.Client) error {
		own := *c
		own.HTTPClient = h
		_, err := own.Enroll(ctx, d.Request)
		return err
	})
	if r := s.Refusals(); len(r) > 0 {
		t.Errorf("refusals %q", r)
	}
}
