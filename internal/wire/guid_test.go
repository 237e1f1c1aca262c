package wire_test

import (
	"testing"

	"github.com/whiteglove/whiteglove/internal/wire"
)

func TestIsGUID(t *testing.T) {
	const guid = "3f0d6c1e-52a4-4B8E-9a57-1c2d7be04f69"
	if !wire.IsGUID(guid) {
		t.Error("a GUID is none")
	}
	for i := range len(guid) {
		for _, c := range []byte("-/:@`Gg{\x00\x10\x19\xff") {
			if c == guid[i] {
				continue
			}
			if s := guid[:i] + string([]byte{c}) + guid[i+1:]; wire.IsGUID(s) {
				t.Errorf("%q is a GUID", s)
			}
		}
	}
	for _, s := range []string{"", guid[1:], guid + "0", "{" + guid + "}"} {
		if wire.IsGUID(s) {
			t.Errorf("%q is a GUID", s)
		}
	}
}
