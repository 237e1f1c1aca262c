package autopilot

import (
	"context"
	"fmt"
)

// What is asked of Windows's bridge from WMI to its management nodes, which
// documents the node ./DevDetail/Ext/DeviceHardwareData as this property.
const (
	bridgeNamespace = `root\cimv2\mdm\dmmap`
	bridgeQuery     = `SELECT DeviceHardwareData FROM MDM_DevDetail_Ext01 WHERE InstanceID='Ext' AND ParentID='./DevDetail'`
	bridgeProperty  = "DeviceHardwareData"
)

// Collect takes the hardware hash of this machine. It works on Windows only, as an
// administrator: it asks the management bridge of WMI, without PowerShell and
// without cgo. Elsewhere, or for another machine, read the file that a tool of
// Windows writes with [ReadCSV]: "mdmdiagnosticstool -area Autopilot -cab FILE" puts
// DeviceHash_*.csv into a cabinet, and "oa3tool /Report" of the assessment kit works
// in Windows PE, where the TPM may be missing from the hash.
//
// A hash that was taken while the TPM was off or not ready has no endorsement key;
// see [Hash.Lint].
//
// The error is an [*Error]. It wraps [errors.ErrUnsupported] if this is not Windows,
// [io/fs.ErrPermission] if Windows denies access, [ErrMalformed] if the hash cannot be
// read, and the error of ctx if that ended first.
func Collect(ctx context.Context) (*Hash, error) {
	const op = "Collect"
	text, err := queryWMI(ctx, bridgeNamespace, bridgeQuery, bridgeProperty)
	if err != nil {
		return nil, &Error{Op: op, Err: fmt.Errorf("management bridge: %w", err)}
	}
	h, err := parseHash(text)
	if err != nil {
		return nil, &Error{Op: op, Err: err}
	}
	return h, nil
}
