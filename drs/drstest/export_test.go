package drstest

import (
	"crypto"
	"crypto/rsa"
	"sync"
)

// ReplaceEK puts another endorsement key into every hardware record.
func (s *Server) ReplaceEK(ek crypto.PublicKey) error {
	hash, err := keyHash(ek)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.objects.ek)
	for _, o := range s.objects.list {
		o.EK, s.objects.ek[hash] = hash, o
	}
	return nil
}

// Key generation takes most of the time of the tests, so servers take keys in turn from a few
// shared ones. The keys of one server differ, and so do those of consecutive servers.
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
