// Package refusal records which requests the test servers refused, and why.
package refusal

import (
	"log/slog"
	"sync"
)

// limit is the number of refusals that a Log keeps. It bounds the memory of a test
// server that runs for a long time.
const limit = 1000

// A Log keeps the newest 1000 refusals. The zero value is an empty log. A Log is
// safe for concurrent use and must not be copied after its first use.
type Log struct {
	mu   sync.Mutex
	kept []string // "op: reason", oldest first
}

// Add records the refusal as "op: reason", in the words of [Text]. If the log is full, it drops the oldest
// refusal. Unless logger is nil, Add also logs a warning with the attributes op and
// reason.
func (l *Log) Add(logger *slog.Logger, op string, reason error) {
	text := Text(reason)
	if logger != nil {
		logger.Warn("refused", "op", op, "reason", text)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.kept) == limit {
		l.kept = append(l.kept[:0], l.kept[1:]...)
	}
	l.kept = append(l.kept, op+": "+text)
}

// Refusals returns the recorded refusals, each as "op: reason", the oldest first. It
// returns nil if there are none. The caller owns the slice.
func (l *Log) Refusals() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.kept...)
}
