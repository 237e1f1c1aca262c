package aiktest

import "testing"

// LimitAuthorities has servers make at most n authorities during a test.
func LimitAuthorities(t *testing.T, n int) {
	old := maxAuthorities
	maxAuthorities = n
	t.Cleanup(func() { maxAuthorities = old })
}
