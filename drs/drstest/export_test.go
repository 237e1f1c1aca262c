package drstest

import (
	"crypto/rsa"
	"sync"
)

// Making keys takes most of the time of the tests, so they share some in turn:
// those of one server differ, and those of servers that are made one after the
// other.
func init() {
	const shared = 5
	var (
		mu   sync.Mutex
		keys []*rsa.PrivateKey
		next int
	)
	makeKey := newKey
	newKey = func() (*rsa.PrivateKey, error) {
		mu.Lock()
		defer mu.Unlock()
		if len(keys) < shared {
			key, err := makeKey()
			keys = append(keys, key)
			return key, err
		}
		next++
		return keys[next%shared], nil
	}
}
