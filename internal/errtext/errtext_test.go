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
		`scep: GetCACaps http://a.test/b: Get "http://a.test/b": no answer`:      1,
		`mdm: Discover http://a.test/b: Get "http://a.test/c": cut (0x80072EFE)`: 0,
		`mdm: Session http://a.test/b: "the service http://a.test/b says 0x1"`:   0,
		"scep: GetCACaps: EOF":                                                   1,
		"mdm: Nonce: unexpected end of JSON input":                               1,
		"join: refused (0x801C03EA (DSREG 0x03EA))":                              0,
		"drs: join: x509: certificate signed by unknown authority":               1,
		"the answer is empty (0x801900C8)":                                       1,
		"code 0x80072efe":                                                        1,
		"code 0xFFF":                                                             0,
		"code 0x1":                                                               1,
		"NV index 0x01C00002 and 0x1c00002":                                      1,
		"no. Run again. Run again.":                                              1,
		"authorization failure without DA implications":                          1,
		"Discover: discover: nothing":                                            1,
	} {
		if got := errtext.Faults(text); len(got) != want {
			t.Errorf("%s: %q", text, got)
		}
	}
}
