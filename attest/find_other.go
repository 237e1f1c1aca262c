//go:build !linux && !windows

package attest

func find() []Device { return nil }
