//go:build !windows

package attest

// tbsCode returns the TBS_E_ or TPM_E_ code by which TBS refused a command, or
// 0.
func tbsCode(error) uint32 { return 0 }
