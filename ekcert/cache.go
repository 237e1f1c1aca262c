package ekcert

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// A Cache keeps the bodies of answers by their URL. What it returns is checked like
// an answer from the network. It must be safe for concurrent use.
type Cache interface {
	// Load returns the body that is kept for url, or nil if there is none or
	// its time is over. The caller does not change it.
	Load(url string) []byte

	// Store keeps body until the given time; it may drop it earlier. It must
	// not keep the slice itself.
	Store(url string, body []byte, until time.Time)
}

// Limits of a MemoryCache.
const (
	maxCached     = 64       // answers
	maxCachedSize = 16 << 20 // bytes
)

// A MemoryCache is a [Cache] in memory for at most 64 answers of together 16 MiB. Its
// zero value is ready to use.
type MemoryCache struct {
	Now func() time.Time // the Client's Now; if nil, time.Now

	mu   sync.Mutex
	kept map[string]cached
	size int
}

type cached struct {
	body  []byte
	until time.Time
}

// Load implements [Cache]. It also drops the body if its time is over.
func (m *MemoryCache) Load(url string) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.now().Before(m.kept[url].until) {
		m.drop(url)
	}
	return m.kept[url].body
}

func (m *MemoryCache) now() time.Time {
	if m.Now != nil {
		return m.Now()
	}
	return time.Now()
}

// Store implements [Cache]. If there is no room, it drops the bodies whose time ends
// first.
func (m *MemoryCache) Store(url string, body []byte, until time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop(url)
	for len(m.kept) > 0 && (len(m.kept) >= maxCached || m.size+len(body) > maxCachedSize) {
		m.drop(slices.MinFunc(slices.Collect(maps.Keys(m.kept)), func(a, b string) int {
			return m.kept[a].until.Compare(m.kept[b].until)
		}))
	}
	if m.kept == nil {
		m.kept = make(map[string]cached)
	}
	m.kept[url] = cached{slices.Clone(body), until}
	m.size += len(body)
}

// drop removes the body of a URL, if there is one.
func (m *MemoryCache) drop(url string) {
	m.size -= len(m.kept[url].body)
	delete(m.kept, url)
}
