package wire

import (
	"slices"
	"strings"
)

// Protocol returns the name of a protocol with those of its codes that are not
// empty, as in "DRS AuthorizationError/tpm_ek_unknown", or "" if all are.
func Protocol(name string, codes ...string) string {
	codes = slices.DeleteFunc(codes, func(s string) bool { return s == "" })
	if len(codes) == 0 {
		return ""
	}
	return name + " " + strings.Join(codes, "/")
}
