package provisiontest

import (
	"net/http"
	"time"
)

// A Clock is for tests.
type Clock struct{ c clock }

// Now returns the time of the clock.
func (c *Clock) Now() time.Time { return c.c.now() }

// Serve serves a request by a party that has the clock, which is off by off.
func (c *Clock) Serve(party http.Handler, w http.ResponseWriter, r *http.Request, off time.Duration) {
	c.c.serve(party).ServeHTTP(w, withOff(r, off))
}
