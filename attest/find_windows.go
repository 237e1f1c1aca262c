package attest

import (
	"fmt"

	"github.com/google/go-tpm/tpmutil/tbs"
)

func find() []Device {
	info, err := tbs.GetDeviceInfo()
	switch {
	case tbsCode(err) == tbsNotFound:
		return nil
	case err == nil && info.TPMVersion == tbs.TPMVersion12:
		return []Device{{Err: &Error{Op: "Open", Err: fmt.Errorf("TBS: %w", errTPM12)}}}
	}
	tpm, err := Open("")
	if err == nil {
		err = tpm.Close()
	}
	return []Device{{Err: err}}
}
