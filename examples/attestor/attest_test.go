package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/examples/internal/exampletest"
	"github.com/whiteglove/whiteglove/verify"
)

// A party is a verifier that knows one device.
type party struct {
	verify.Verifier
	device *verify.Device
	paths  []string // that were asked for
	keys   int      // certified
}

func (p *party) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.paths = append(p.paths, r.URL.Path)
	var out verify.Message
	var err error
	switch r.URL.Path {
	case "/hello":
		var m verify.Hello
		if err = verify.Decode(r.Body, &m); err == nil {
			out, err = p.Challenge(r.Context(), &m)
		}
	case "/answer":
		var m verify.Answer
		if err = verify.Decode(r.Body, &m); err == nil {
			p.device, err = p.Accept(r.Context(), &m)
		}
		if err == nil {
			out, err = p.Request(r.Context(), p.device)
		}
	case "/again":
		var m verify.Again
		if err = verify.Decode(r.Body, &m); err == nil && p.device.ID() != m.Device {
			w.WriteHeader(http.StatusNotFound)
			out = new(verify.Verdict)
		} else if err == nil {
			out, err = p.Request(r.Context(), p.device)
		}
	case "/evidence":
		var m verify.Evidence
		var result *verify.Result
		if err = verify.Decode(r.Body, &m); err == nil {
			result, err = p.Check(r.Context(), p.device, &m)
		}
		if err == nil {
			out, p.keys = &verify.Verdict{Trusted: true}, len(result.Keys)
		}
	}
	if err != nil {
		w.WriteHeader(http.StatusForbidden)
		out = &verify.Verdict{Reason: err.Error()}
	}
	_ = verify.Encode(w, out)
}

// TestAttest attests, attests again with the same key, and begins anew at a verifier
// that has forgotten the device.
func TestAttest(t *testing.T) {
	p := &party{}
	p.EKs = &ekcert.Client{Roots: ekcert.Roots{attesttest.Vendor: attesttest.Roots()}}
	p.Policy = &verify.Policy{SecureBoot: true}
	s := httptest.NewTLSServer(p)
	defer s.Close()
	dir := t.TempDir()
	state, key := filepath.Join(dir, "aik.pem"), filepath.Join(dir, "key.pem")
	args := []string{"-url", s.URL, "-roots", exampletest.Roots(t, s.Certificate()), "-tpm", "soft:" + filepath.Join(dir, "tpm"), "-boot", "-state", state}
	id := ""
	for _, tt := range []struct {
		args   []string
		forget bool
		want   []string
		keys   int
	}{
		{nil, false, []string{"/hello", "/answer", "/evidence"}, 0},
		{[]string{"-certify", key}, false, []string{"/again", "/evidence"}, 1},
		{nil, true, []string{"/again", "/hello", "/answer", "/evidence"}, 0},
	} {
		if tt.forget {
			p.device = nil
		}
		p.paths = nil
		code, stdout, stderr := exampletest.Run(t, program(), append(args, tt.args...)...)
		if code != 0 || !slices.Equal(p.paths, tt.want) || p.keys != tt.keys {
			t.Errorf("exit %d, %v, %d keys: %s%s", code, p.paths, p.keys, stdout, stderr)
			continue
		}
		if id == "" {
			id = p.device.ID()
		}
		if stdout != "trusted: device "+id+"\n" {
			t.Errorf("%s, not of %s", stdout, id)
		}
	}
	if text, err := os.ReadFile(key); err != nil || !strings.Contains(string(text), "TSS2 PRIVATE KEY") {
		t.Errorf("%s, %v", text, err)
	}
	one := verify.Digest(make([]byte, 31, 32))
	one = append(one, 1)
	for _, policy := range []*verify.Policy{
		{Golden: map[int][]verify.Digest{0: {one}}},
		{Golden: map[int][]verify.Digest{0: {one}, 1: {one}}},
		{Firmware: []verify.Firmware{{PCRs: map[int]verify.Digest{0: one}}}},
	} {
		p.Policy = policy
		if code, _, stderr := exampletest.Run(t, program(), args[:6]...); code != 3 || !strings.Contains(stderr, "a log alone does not change that") {
			t.Errorf("exit %d: %s", code, stderr)
		}
	}
	p.Policy = &verify.Policy{SecureBoot: true}
	code, _, stderr := exampletest.Run(t, program(), args[:6]...) // without -boot
	if code != 3 || !strings.Contains(stderr, "there is no event log") || !strings.Contains(stderr, "This device sent no event log: give one with -eventlog.") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// A device that does not meet the policy is told what can change that: an event log does
// not if a PCR has another value.
func TestPolicyAdvice(t *testing.T) {
	const (
		other   = "check: policy is not met: PCRs 0, 4, 5 and 7 have other values; there is no event log"
		changed = "This machine started with other firmware, boot loader or settings than the policy allows"
		add     = ". If they are right, have the verifier's operator add the new values."
	)
	log := []byte{1}
	for name, tt := range map[string]struct {
		reason   string
		log      []byte
		unbooted bool
		want     string
	}{
		"emulated":     {other, nil, true, changed + "; a log alone does not change that" + add + " It sent no event log either (-eventlog); an emulated TPM has a machine's past only with -boot."},
		"real":         {other, nil, false, changed + "; a log alone does not change that" + add + " It sent no event log either (-eventlog)."},
		"one PCR":      {"check: policy is not met: PCR 7 has another value", log, false, changed + add},
		"firmware":     {"check: policy is not met: the PCRs are those of no known firmware; there is no event log", nil, false, changed + "; a log alone"},
		"log, no boot": {"check: policy is not met: the event log does not explain PCR 7", log, true, changed + add + " An emulated TPM has a machine's past only with -boot."},
		"no log":       {"check: policy is not met: there is no event log", nil, true, "This device sent no event log: give one with -eventlog."},
		"started":      {"check: policy is not met: the machine was started since its last quote", nil, false, "The policy takes no machine that was started again"},
		"proof":        {"check: the proof does not hold", nil, false, "Run again; if it is refused again"},
	} {
		c := &client{unbooted: tt.unbooted}
		if got := c.advice("/evidence", &verify.Evidence{EventLog: tt.log}, tt.reason); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %s", name, got)
		}
	}
}
