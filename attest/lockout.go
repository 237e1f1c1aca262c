package attest

import (
	"context"
	"errors"
	"time"

	"github.com/google/go-tpm/tpm2"
)

// lockedOut adds to an error about dictionary-attack lockout how long that lasts.
//
// This package hardly causes lockout: its keys have noDA, wrong authorization
// values of the hierarchies it uses do not count, and a wrong value for a key made
// by another tool is tried once in each call.
func (t *TPM) lockedOut(ctx context.Context, err error) error {
	var e *Error
	if !errors.As(err, &e) || e.RC != tpm2.TPMRCLockout {
		return err
	}
	rsp, qerr := run(ctx, t, tpm2.GetCapability{
		Capability:    tpm2.TPMCapTPMProperties,
		Property:      uint32(tpm2.TPMPTLockoutInterval),
		PropertyCount: 1,
	})
	if qerr != nil {
		return err
	}
	list, qerr := rsp.CapabilityData.Data.TPMProperties()
	if qerr == nil && len(list.TPMProperty) == 1 && list.TPMProperty[0].Property == tpm2.TPMPTLockoutInterval {
		e.After = time.Duration(list.TPMProperty[0].Value) * time.Second
	}
	return err
}
