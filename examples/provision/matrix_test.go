package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove"
	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/examples/internal/mock"
)

// TestFaultMatrix lets one request of each step go wrong in each way. The run
// ends in success after a retry, or in one typed error whose diagnosis says all
// that there is to say. Without WHITEGLOVE_CAMPAIGN it takes every kind once.
func TestFaultMatrix(t *testing.T) {
	server, _ := start(t, mock.Config{AdmitAny: true})
	kinds := append(slices.Sorted(maps.Keys(mock.Kinds)), "400", "401", "403", "404", "500", "503")
	steps := []string{"ek", "aik", "discover", "token", "join", "enroll"}
	for i, kind := range kinds {
		for j, step := range steps {
			if os.Getenv("WHITEGLOVE_CAMPAIGN") == "" && i%len(steps) != j {
				continue
			}
			t.Run(step+":"+kind, func(t *testing.T) { faultOnce(t, server, step, kind) })
		}
	}
}

func faultOnce(t *testing.T, server *mock.Server, step, kind string) {
	fault, err := mock.ParseFault(step + ":" + kind)
	if err != nil {
		t.Fatal(err)
	}
	server.SetFaults(fault)
	defer server.SetFaults()
	s, err := (&options{server: server.URL}).services(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.roots = mock.Pool(server.Roots)
	chip, err := attesttest.New(attesttest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer chip.Close()
	p := s.provisioner(&attest.TPM{Transport: chip}, new(counts), new(whiteglove.Trace))
	p.Tenant, p.EnrollEK = mock.Tenant, step == "ek"
	p.HTTPClient.Timeout = 3 * time.Second
	retries := 0
	p.Backoff = func(whiteglove.Step, int, error) time.Duration {
		retries++
		return time.Millisecond
	}
	_, err = p.Run(t.Context())
	if fault.Left != 0 && kind != "nonce" {
		t.Errorf("no request of the step was made: %v", err)
	}
	if err == nil {
		t.Logf("%-8s %-8s done after %d retries", step, kind, retries)
		return
	}
	var e *whiteglove.Error
	d := whiteglove.Diagnose(err)
	t.Logf("%-8s %-8s %s %s %s: %s", step, kind, d.Step, d.Op, fmt.Sprintf("%#x", d.HRESULT), d.Symbol)
	if !errors.As(err, &e) || d.Step == "" || d.Op == "" || d.HRESULT == 0 || d.Symbol == "" || d.Remedy == "" {
		t.Errorf("%v\n%+v", err, d)
	}
	if kind == "503" || kind == "429" || kind == "500" || kind == "cut" || kind == "timeout" {
		t.Errorf("not overcome: %v", err)
	}
}
