package ekcert

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// A Cache keeps what was fetched, by its URL. What it returns is checked like
// what comes from the network. It must be safe for concurrent use.
type Cache interface {
	// Load returns what is kept for url and has not ended, or nil.
	Load(url string) []byte

	// Store keeps body until the time given, or for less.
	Store(url string, body []byte, until time.Time)
}

// limits of a MemoryCache.
const (
	maxCached     = 64
	maxCachedSize = 16 << 20
)

// A MemoryCache is a [Cache] in memory, of at most 64 answers and 16 MiB. Its
// zero value is ready to use.
type MemoryCache struct {
	Now func() time.Time // that of the Client; if nil, time.Now

	mu   sync.Mutex
	kept map[string]cached
	size int
}

type cached struct {
	body  []byte
	until time.Time
}

// Load implements [Cache].
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

// Store implements [Cache]. What ends first makes room.
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

func (m *MemoryCache) drop(url string) {
	m.size -= len(m.kept[url].body)
	delete(m.kept, url)
}
