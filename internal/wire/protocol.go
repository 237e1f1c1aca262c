package wire

import (
	"slices"
	"strings"
)

// Protocol returns the name of a protocol followed by its codes, as in "DRS
// AuthorizationError/tpm_ek_unknown". It leaves out empty codes, and returns "" if
// all are empty.
func Protocol(name string, codes ...string) string {
	codes = slices.DeleteFunc(codes, func(s string) bool { return s == "" })
	if len(codes) == 0 {
		return ""
	}
	return name + " " + strings.Join(codes, "/")
}
