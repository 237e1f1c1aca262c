package softtpm

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"
)

// A primary is the same whenever it is made: by another TPM of the same seed,
// and by one that goes on from the state in another process.
func TestPooledPrimary(t *testing.T) {
	t.Parallel()
	endorse := func(tpm *TPM) []byte {
		area, err := tpm.Primary(Endorsement, tpm2.Marshal(tpm2.RSAEKTemplate), 0)
		if err != nil {
			t.Fatal(err)
		}
		return area
	}
	id := Identity{PooledKeys: true}
	first := New(id, []byte("pooled"))
	want := endorse(first)
	if !bytes.Equal(want, endorse(first)) || !bytes.Equal(want, endorse(New(id, []byte("pooled")))) {
		t.Error("one seed, two keys")
	}
	if bytes.Equal(want, endorse(New(id, []byte("other")))) {
		t.Error("two seeds, one key")
	}
	if bytes.Equal(want, endorse(New(Identity{}, []byte("pooled")))) {
		t.Error("the key is from the pool without PooledKeys")
	}
	state, err := first.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	keys.mu.Lock()
	for stream := range keys.of {
		if strings.Contains(string(state), hex.EncodeToString([]byte(stream))) {
			delete(keys.of, stream) // as if this were another process
		}
	}
	keys.mu.Unlock()
	for _, id := range []Identity{id, {}} {
		next, err := Restore(id, state)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(want, endorse(next)) {
			t.Error("the state has another key")
		}
	}
	known := []byte("SIM0 TPM number 1")
	if !bytes.Equal(endorse(New(id, known)), endorse(New(Identity{}, known))) {
		t.Error("the default TPM is another one")
	}
	if _, err := Restore(id, bytes.Replace(state, []byte(`"Primes": {`), []byte(`"Primes": { "00": ["AA==", "AA=="],`), 1)); err == nil {
		t.Error("a state with a short prime is taken")
	}
}
