// Package kept has the memory of test servers: maps that forget what has ended, and the
// oldest entries when there are too many. It bounds what a server keeps that runs for a
// long time, and no operation takes longer when there is more in it.
package kept

import (
	"container/list"
	"iter"
	"time"
)

// DefaultLimit is the number of entries of a [Map] without a Limit.
const DefaultLimit = 10000

// A Map keeps values in the order in which they came. Its zero value is an empty Map. It
// must not be copied after its first use, and its owner locks it.
type Map[K comparable, V any] struct {
	// Limit is the number of entries; if 0, DefaultLimit.
	Limit int

	entries map[K]*list.Element
	order   list.List // of entry[K, V], oldest first
}

type entry[K comparable, V any] struct {
	key   K
	value V
	end   time.Time // the zero value for one that does not end
}

// Put removes the old entries that have ended at now, adds an entry as the newest one,
// and removes the oldest ones above the limit. An entry with the same key is replaced. The
// entry ends after end, or never if end is zero. Put returns the values that it
// removed to make room, oldest first.
//
// An entry is removed for its end only when those before it are, so entries should end in
// the order in which they are put. Get returns an entry that has ended and is not removed.
func (m *Map[K, V]) Put(key K, value V, now, end time.Time) (removed []V) {
	if m.entries == nil {
		m.entries = make(map[K]*list.Element)
	}
	removed = m.Prune(now)
	m.Delete(key)
	limit := m.Limit
	if limit == 0 {
		limit = DefaultLimit
	}
	for len(m.entries) >= limit && len(m.entries) > 0 {
		removed = append(removed, m.remove(m.order.Front()).value)
	}
	m.entries[key] = m.order.PushBack(entry[K, V]{key, value, end})
	return removed
}

// Prune removes the old entries that have ended at now, and returns their values.
func (m *Map[K, V]) Prune(now time.Time) (removed []V) {
	for first := m.order.Front(); first != nil; first = m.order.Front() {
		if end := first.Value.(entry[K, V]).end; end.IsZero() || !now.After(end) {
			break
		}
		removed = append(removed, m.remove(first).value)
	}
	return removed
}

// remove removes an element and returns its entry.
func (m *Map[K, V]) remove(e *list.Element) entry[K, V] {
	old := m.order.Remove(e).(entry[K, V])
	delete(m.entries, old.key)
	return old
}

// Get returns the value of a key, and reports whether there is one.
func (m *Map[K, V]) Get(key K) (value V, ok bool) {
	e, ok := m.entries[key]
	if !ok {
		return value, false
	}
	return e.Value.(entry[K, V]).value, true
}

// Take removes an entry and returns its value. It reports whether there was one.
func (m *Map[K, V]) Take(key K) (value V, ok bool) {
	e, ok := m.entries[key]
	if !ok {
		return value, false
	}
	return m.remove(e).value, true
}

// Delete removes an entry, if there is one.
func (m *Map[K, V]) Delete(key K) { m.Take(key) }

// Len returns the number of entries.
func (m *Map[K, V]) Len() int { return len(m.entries) }

// All returns the entries, oldest first. The loop may delete the entry that it is at.
func (m *Map[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for e := m.order.Front(); e != nil; {
			next := e.Next()
			if own := e.Value.(entry[K, V]); !yield(own.key, own.value) {
				return
			}
			e = next
		}
	}
}
