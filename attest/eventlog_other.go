//go:build !linux && !windows

package attest

import "fmt"

func eventLog() ([]byte, error) {
	return nil, fmt.Errorf("%w: %w", ErrNoTPM, errSystem)
}
