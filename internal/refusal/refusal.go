// Package refusal keeps what the test servers refused, and why.
package refusal

import (
	"fmt"
	"log/slog"
	"sync"
)

// limit bounds what is kept; a test server may be left running.
const limit = 1000

// A Log keeps the newest refusals. Its zero value is ready to use, by several
// goroutines.
type Log struct {
	mu   sync.Mutex
	kept []string
}

// Add keeps "op: reason" and tells logger (nil: nobody).
func (l *Log) Add(logger *slog.Logger, op string, reason error) {
	if logger != nil {
		logger.Warn("refused", "op", op, "reason", reason)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.kept) == limit {
		l.kept = append(l.kept[:0], l.kept[1:]...)
	}
	l.kept = append(l.kept, fmt.Sprintf("%s: %v", op, reason))
}

// Refusals returns what was kept, oldest first.
func (l *Log) Refusals() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.kept...)
}
