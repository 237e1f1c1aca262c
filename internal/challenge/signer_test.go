package challenge_test

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"

	"github.com/whiteglove/whiteglove/internal/challenge"
	"github.com/whiteglove/whiteglove/internal/wcce"
)

// A caller's key is used as it is, and without one a key is made.
func TestStartSigner(t *testing.T) {
	own := challenge.NewSigner
	t.Cleanup(func() { challenge.NewSigner = own })
	made := 0
	challenge.NewSigner = func() (challenge.Signer, error) { made++; return own() }
	given, err := own()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := challenge.StartSigner(given)(); err != nil || got != given || made != 0 {
		t.Errorf("%v, %v; %d made", got, err, made)
	}
	if got, err := challenge.StartSigner(nil)(); err != nil || got == nil || got == given || made != 1 {
		t.Errorf("%v, %v; %d made", got, err, made)
	}
}

// The value of the alternative name is that of its extension, wherever it stands.
func TestAltNameValue(t *testing.T) {
	other := pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Value: []byte{1}}
	name := pkix.Extension{Id: wcce.OIDSubjectAltName, Value: []byte{2}}
	for want, exts := range map[string][]pkix.Extension{"": {other}, "\x02": {other, name}} {
		if got := challenge.AltNameValue(exts); string(got) != want {
			t.Errorf("%v: %x", exts, got)
		}
	}
}
