//go:build !windows

package autopilot

import (
	"context"
	"errors"
)

// queryWMI exists on Windows only.
func queryWMI(context.Context, string, string, string) (string, error) {
	return "", errors.ErrUnsupported
}
