package provisiontest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"time"
)

// A clock is a party's own.
type clock struct {
	lazy bool         // the party makes its keys at the first request
	off  atomic.Int64 // a time.Duration: how far it is ahead
	mu   sync.RWMutex // who sets it off has the party alone
}

// now returns the time of the clock.
func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.off.Load())) }

// offKey is that of how far the clock is off for a request, a time.Duration.
type offKey struct{}

// withOff returns a request for which the party's clock is off.
func withOff(r *http.Request, off time.Duration) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), offKey{}, off))
}

// serve returns a party that has the clock. While a request is served for which
// the clock is off, others wait.
func (c *clock) serve(party http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		off, _ := r.Context().Value(offKey{}).(time.Duration)
		if off == 0 {
			c.mu.RLock()
			defer c.mu.RUnlock()
			party.ServeHTTP(w, r)
			return
		}
		if c.lazy { // a CA is not to be made at a wrong time
			party.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, r.URL.Path+"?operation=GetCACaps", nil))
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.off.Store(int64(off))
		defer c.off.Store(0)
		w.Header().Set("Date", c.now().UTC().Format(http.TimeFormat))
		party.ServeHTTP(w, r)
	})
}
