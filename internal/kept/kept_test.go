package kept_test

import (
	"slices"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/internal/kept"
)

// keys returns the keys of a map, oldest first.
func keys[V any](m *kept.Map[int, V]) []int {
	var out []int
	for key := range m.All() {
		out = append(out, key)
	}
	return out
}

// The oldest entries go when there are too many, and those that have ended.
func TestMap(t *testing.T) {
	m := kept.Map[int, string]{Limit: 3}
	start := time.Unix(0, 0)
	for i, text := range []string{"a", "b", "c"} {
		if removed := m.Put(i, text, start, start.Add(time.Minute)); removed != nil {
			t.Errorf("%q was removed", removed)
		}
	}
	if removed := m.Put(3, "d", start, time.Time{}); !slices.Equal(removed, []string{"a"}) || !slices.Equal(keys(&m), []int{1, 2, 3}) {
		t.Errorf("%q was removed, %d are left", removed, keys(&m))
	}
	m.Put(1, "again", start, start.Add(time.Minute)) // is the newest now
	if got, ok := m.Get(1); got != "again" || !ok || !slices.Equal(keys(&m), []int{2, 3, 1}) {
		t.Errorf("%q, %d", got, keys(&m))
	}
	if removed := m.Prune(start.Add(time.Minute)); removed != nil {
		t.Errorf("%q was removed at its end", removed)
	}
	if removed := m.Prune(start.Add(time.Minute + 1)); !slices.Equal(removed, []string{"c"}) {
		t.Errorf("%q was removed after its end, before one that does not end", removed)
	}
	if got, ok := m.Take(3); got != "d" || !ok {
		t.Errorf("took %q", got)
	}
	if _, ok := m.Take(3); ok || m.Len() != 1 {
		t.Errorf("took it twice, or %d are left", m.Len())
	}
	for key := range m.All() {
		m.Delete(key)
	}
	if _, ok := m.Get(1); ok || m.Len() != 0 || m.Prune(start.Add(time.Hour)) != nil {
		t.Error("it is not empty")
	}
}

// The zero value keeps DefaultLimit entries, and a value stays when it is taken and put again.
func TestZeroMap(t *testing.T) {
	var m kept.Map[int, int]
	if _, ok := m.Get(1); ok || m.Len() != 0 || m.Prune(time.Now()) != nil {
		t.Error("it is not empty")
	}
	m.Put(-1, 0, time.Time{}, time.Time{})
	m.Take(-1)
	for i := range 2 * kept.DefaultLimit {
		m.Put(i, i, time.Time{}, time.Time{})
	}
	m.Put(-1, 0, time.Time{}, time.Time{})
	for i := range kept.DefaultLimit - 1 {
		m.Put(-2-i, i, time.Time{}, time.Time{})
	}
	if _, ok := m.Get(-1); !ok || m.Len() != kept.DefaultLimit {
		t.Errorf("the oldest of %d is gone", m.Len())
	}
}

// BenchmarkPut adds entries to a full map.
func BenchmarkPut(b *testing.B) {
	var m kept.Map[int, int]
	now := time.Now()
	n := 0
	for b.Loop() {
		m.Put(n, n, now, now.Add(time.Hour))
		n++
	}
}
