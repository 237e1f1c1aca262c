package attest_test

import (
	"bytes"
	"sync"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

// A bus records every byte in both directions.
type bus struct {
	transport.TPM
	mu   sync.Mutex
	wire []byte
}

func (b *bus) Send(command []byte) ([]byte, error) {
	answer, err := b.TPM.Send(command)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wire = append(append(b.wire, command...), answer...)
	return answer, err
}

func (b *bus) saw(secret []byte) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Contains(b.wire, secret)
}

// A whole run, with all that is secret in it, passes by a recorder: not 8 bytes
// in a row of a secret are seen, nor are they in a run without encryption
// missed, which shows that the recorder works.
func TestNothingSecretInARun(t *testing.T) {
	for _, state := range []string{"ready", "fresh"} {
		forBackends(t, state, func(t *testing.T, tr transport.TPM) {
			b := &bus{TPM: tr}
			secrets := enrollWith(t, b, []byte("authorization value of the keys"))
			for _, s := range secrets {
				for i := 0; i+8 <= len(s); i++ {
					if b.saw(s[i : i+8]) {
						t.Fatalf("%q crossed the bus", s[i:i+8])
					}
				}
			}
			if len(secrets) != 3 || len(b.wire) < 5000 {
				t.Errorf("%d secrets, %d bytes seen", len(secrets), len(b.wire))
			}
			primary := tpm2.CreatePrimary{
				PrimaryHandle: tpm2.TPMRHOwner,
				InPublic:      tpm2.New2B(tpm2.ECCSRKTemplate),
				InSensitive:   tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{UserAuth: tpm2.TPM2BAuth{Buffer: secrets[2]}}},
			}
			p, err := primary.Execute(b)
			if err != nil || !b.saw(secrets[2]) {
				t.Errorf("the recorder is blind: %v", err)
			}
			if _, err := (tpm2.FlushContext{FlushHandle: p.ObjectHandle}).Execute(tr); err != nil {
				t.Error(err)
			}
		})
	}
}
