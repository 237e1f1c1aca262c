//go:build !unix && !windows

package cputime

import "time"

// Process returns 0: the system does not tell.
func Process() time.Duration { return 0 }
