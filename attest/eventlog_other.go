//go:build !linux && !windows

package attest

import (
	"fmt"
	"runtime"
)

func eventLog() ([]byte, error) {
	return nil, fmt.Errorf("%w: no event log is supported on %s", ErrNoTPM, runtime.GOOS)
}
