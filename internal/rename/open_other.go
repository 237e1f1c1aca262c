//go:build !windows

package rename

// isOpen returns false: only Windows keeps open files from being replaced.
func isOpen(error) bool { return false }
