package drs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/drs"
)

// noncesAt starts a service with a challenge whose nonces are given by a function.
func noncesAt(t *testing.T, nonce func(w http.ResponseWriter, r *http.Request)) (*drs.Client, *drs.Discovery) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /challenge", func(w http.ResponseWriter, r *http.Request) { json.NewEncoder(w).Encode(goodChallenge()) })
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		if r.PostFormValue("grant_type") == "srv_challenge" {
			nonce(w, r)
			return
		}
		json.NewEncoder(w).Encode(goodToken())
	})
	ts := httptest.NewServer(mux)
	t.Cleanup(ts.Close)
	c := &drs.Client{BaseURL: ts.URL, Now: func() time.Time { return clock }}
	return c, &drs.Discovery{TenantID: tenantID, ProofEndpoint: ts.URL + "/challenge", ProofVersion: "1.0", TokenEndpoint: ts.URL + "/token", JoinResource: "urn"}
}

// The nonce is requested while the TPM decrypts the challenge: each waits until the
// other has begun.
func TestNonceBesideActivation(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	asked, activating := make(chan struct{}), make(chan struct{})
	c, d := noncesAt(t, func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		select {
		case <-activating:
			fmt.Fprint(w, `{"Nonce":"n0nce"}`)
		case <-ctx.Done():
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	p := proof(t, make([]byte, 32))
	p.Activate = func(ctx context.Context, _, _ []byte) ([]byte, error) {
		close(activating)
		select {
		case <-asked:
			return make([]byte, 32), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if _, err := c.Authenticate(ctx, d, p); err != nil {
		t.Error(err)
	}
}

// If the TPM fails, the request for the nonce ends, and the error is that of the TPM.
func TestNonceBesideActivationFails(t *testing.T) {
	broken := errors.New("the TPM is gone")
	asked, ended := make(chan struct{}), make(chan struct{})
	c, d := noncesAt(t, func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		select {
		case <-r.Context().Done():
		case <-time.After(20 * time.Second):
			t.Error("the request goes on")
		}
		close(ended)
	})
	p := proof(t, make([]byte, 32))
	p.Activate = func(context.Context, []byte, []byte) ([]byte, error) {
		<-asked
		return nil, broken
	}
	if _, err := c.Authenticate(t.Context(), d, p); !errors.Is(err, broken) || errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	<-ended
}
