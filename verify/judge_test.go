package verify_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	ga "github.com/google/go-attestation/attest"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attestga"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/internal/tooltest"
	"github.com/whiteglove/whiteglove/verify"
	"github.com/whiteglove/whiteglove/verify/verifytest"
)

// swtpm returns a swtpm whose machine was started as the log of verifytest says, or
// skips the test.
func swtpm(t *testing.T) transport.TPM {
	t.Helper()
	chip, err := attesttest.StartSWTPM("")
	if errors.Is(err, attesttest.ErrNoSWTPM) && os.Getenv("WHITEGLOVE_REQUIRE_SWTPM") == "" {
		t.Skip(err)
	}
	check(t, err)
	t.Cleanup(func() { check(t, chip.Close()) })
	check(t, verifytest.Boot(chip, verifytest.EventLog()))
	return chip
}

// TestSWTPM runs the exchange with swtpm.
func TestSWTPM(t *testing.T) {
	r := newRigOf(t, swtpm(t))
	d := r.enroll(t)
	r.verifier.Policy = &verify.Policy{SecureBoot: true, PCRs: []int{0, 4, 23}}
	result, err := r.attest(t, d)
	check(t, err)
	if !result.Boot.SecureBoot || len(result.Boot.Loaders) != 3 || result.PCRs[23] == nil {
		t.Errorf("%+v", result)
	}
}

// TestGoAttestation has go-attestation check the same evidence: quote, PCRs and log.
func TestGoAttestation(t *testing.T) {
	r := newRig(t)
	d := r.enroll(t)
	q, err := r.verifier.Request(t.Context(), d)
	check(t, err)
	e, err := q.Evidence(t.Context(), r.tpm, r.aik)
	check(t, err)
	e.EventLog = verifytest.EventLog()
	pub, err := ga.ParseAKPublic(d.AIKPublicArea)
	check(t, err)
	quote, pcrs := attestga.ToQuote(e.Quote)
	if err := pub.Verify(quote, pcrs, q.Nonce); err != nil {
		t.Error(err)
	}
	log, err := ga.ParseEventLog(e.EventLog)
	check(t, err)
	events, err := log.Verify(pcrs)
	check(t, err)
	state, err := ga.ParseSecurebootState(events)
	check(t, err)
	result, err := r.verifier.Check(t.Context(), d, e)
	check(t, err)
	if state.Enabled != result.Boot.SecureBoot || len(state.PostSeparatorAuthority) != len(result.Boot.Authorities) {
		t.Errorf("%+v, %+v", state, result.Boot)
	}
}

// TestTPM2Tools has tpm2_checkquote check our quotes, and checks one of tpm2_quote.
func TestTPM2Tools(t *testing.T) {
	for _, name := range []string{"tpm2_checkquote", "tpm2_quote", "tpm2_getrandom"} {
		tooltest.Path(t, name)
	}
	chip := swtpm(t) // the emulator cannot save contexts, as tpm2_load does
	r := newRigOf(t, chip)
	socket := tooltest.ServeTPM(t, chip)
	dir := t.TempDir()
	run := func(name string, args ...string) ([]byte, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "TPM2TOOLS_TCTI=swtpm:path="+socket)
		return cmd.CombinedOutput()
	}
	if out, err := run("tpm2_getrandom", "--hex", "4"); err != nil {
		if os.Getenv("WHITEGLOVE_REQUIRE_TOOLS") != "" {
			t.Fatalf("tpm2-tools are required: %v: %s", err, out)
		}
		t.Skipf("tpm2-tools do not work here: %s", out)
	}
	write := func(name string, b []byte) { check(t, os.WriteFile(filepath.Join(dir, name), b, 0o600)) }
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, name))
		check(t, err)
		return b
	}
	d := r.enroll(t)

	// Ours, read by tpm2_checkquote: signature and nonce. Package attest has its tests
	// of values.
	q, err := r.verifier.Request(t.Context(), d)
	check(t, err)
	e, err := q.Evidence(t.Context(), r.tpm, r.aik)
	check(t, err)
	spki, err := x509.MarshalPKIXPublicKey(r.aik.Public())
	check(t, err)
	write("aik.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
	write("quote", e.Quote.Attest)
	write("signature", e.Quote.Signature)
	for nonce, good := range map[string]bool{hex.EncodeToString(q.Nonce): true, "00": false} {
		if out, err := run("tpm2_checkquote", "-u", "aik.pem", "-m", "quote", "-s", "signature", "-g", "sha256", "-q", nonce); (err == nil) != good {
			t.Errorf("nonce %s: %v: %s", nonce, err, out)
		}
	}

	// Theirs, with the attestation key from its file.
	text, err := r.aik.MarshalText()
	check(t, err)
	write("aik-key.pem", text)
	request, err := r.verifier.Request(t.Context(), d)
	check(t, err)
	if out, err := run("tpm2_load", "-r", "aik-key.pem", "-c", "aik.ctx"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := run("tpm2_flushcontext", "-t"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := run("tpm2_quote", "-c", "aik.ctx", "-l", "sha256:0,1,2,3,4,5,6,7", "-q", hex.EncodeToString(request.Nonce), "-m", "m", "-s", "s", "-o", "pcrs", "-F", "values")
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	theirs := &attest.Quote{Attest: read("m"), Signature: read("s"), Bank: crypto.SHA256, PCRs: make([][]byte, 24)}
	values := read("pcrs") // the values one after the other
	if len(values) != 8*32 {
		t.Fatalf("%d bytes of PCRs", len(values))
	}
	for i := range 8 {
		theirs.PCRs[i] = values[i*32:][:32]
	}
	if !bytes.Equal(theirs.PCRs[0], e.Quote.PCRs[0]) {
		t.Error("tpm2_quote read another PCR 0")
	}
	if _, err := r.verifier.Check(t.Context(), d, &verify.Evidence{ID: request.ID, Device: request.Device, Quote: theirs, EventLog: verifytest.EventLog()}); err != nil {
		t.Error(err)
	}
}
