package errtext_test

import (
	"testing"

	"github.com/whiteglove/whiteglove/internal/errtext"
)

func TestFaults(t *testing.T) {
	for text, want := range map[string]int{
		"drs: join: https://a.test/b: 503":                                       0,
		"aik: aik: activate: attest: LoadKey: no key":                            1,
		"provision: aik: attest: aik: no key":                                    1,
		`scep: GetCACaps http://a.test/b: Get "http://a.test/b": EOF`:            1,
		`mdm: Discover http://a.test/b: Get "http://a.test/c": EOF (0x80072EFE)`: 0,
		`mdm: Session http://a.test/b: "the service http://a.test/b says 0x1"`:   0,
		"code 0x80072efe":                   1,
		"code 0xFFF":                        0,
		"code 0x1":                          1,
		"NV index 0x01C00002 and 0x1c00002": 1,
		"Discover: discover: nothing":       1,
	} {
		if got := errtext.Faults(text); len(got) != want {
			t.Errorf("%s: %q", text, got)
		}
	}
}
