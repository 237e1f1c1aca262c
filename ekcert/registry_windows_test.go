package ekcert

import "testing"

// TestSystemStore reads the registry of this machine, which may have no certificates.
func TestSystemStore(t *testing.T) {
	blobs, err := systemStore(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range blobs {
		if _, err := parse(b); err != nil {
			t.Error(err)
		}
	}
}
