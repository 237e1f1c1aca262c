package device

import (
	"fmt"
	"strings"
)

// CheckFlag returns an error unless spec, the value of -tpm, has a form that [Open]
// understands.
func CheckFlag(spec string) error {
	if err := Check(spec); err != nil {
		return fmt.Errorf("-tpm %s", strings.TrimPrefix(err.Error(), "tpm: "))
	}
	return nil
}
