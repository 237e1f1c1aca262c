package attest_test

import (
	"context"
	"crypto"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/attest"
)

// A TPM that returns no PCR, or more than were asked for, has no such bank; and a quote
// has 24 places for PCRs, no more.
func TestQuoteBounds(t *testing.T) {
	p := &tap{TPM: emulator(t, "ready")}
	tpm := &attest.TPM{Transport: p}
	aik := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
	q, err := tpm.Quote(t.Context(), aik, nil, crypto.SHA256, 0, 7)
	if err != nil {
		t.Fatal(err)
	}
	long := make([]byte, 64)
	if q, err := tpm.Quote(t.Context(), aik, long, crypto.SHA256, 0); err != nil || q.Verify(aik.Public(), long) != nil {
		t.Errorf("nonce of 64 bytes: %v", err)
	}
	for name, change := range map[string]func(q *attest.Quote){
		"25 places":    func(q *attest.Quote) { q.PCRs = append(q.PCRs, nil) },
		"23 places":    func(q *attest.Quote) { q.PCRs = q.PCRs[:23] },
		"no bank":      func(q *attest.Quote) { q.Bank = 0 },
		"another bank": func(q *attest.Quote) { q.Bank = crypto.SHA512_256 },
	} {
		own := *q
		change(&own)
		if err := own.Verify(aik.Public(), nil); err == nil || !strings.Contains(err.Error(), "PCRs of bank") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, digests := range map[string]int{"none": 0, "three of two": 3} {
		answer := append([]byte{0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0}, 0, 0, 0, byte(digests))
		for range digests {
			answer = append(append(answer, 0, 32), make([]byte, 32)...)
		}
		answer[5] = byte(len(answer))
		p.before = func(command []byte) []byte {
			if commandCode(command) == tpm2.TPMCCPCRRead {
				return answer
			}
			return nil
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		_, err := tpm.Quote(ctx, aik, nil, crypto.SHA256, 0, 7)
		cancel()
		if err == nil || !strings.Contains(err.Error(), "values: the TPM has no") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
