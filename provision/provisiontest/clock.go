package provisiontest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A Party is one of the parties of a [Server], for [Server.SetClock].
type Party string

// The parties.
const (
	PartyMaker      Party = "maker"
	PartyAIK        Party = "aik"
	PartyDirectory  Party = "directory"
	PartyManagement Party = "management"
	PartyAutopilot  Party = "autopilot"
	PartyTLS        Party = "tls" // not one of them: the certificate that the listener shows to new connections
)

// SetClock sets the clocks of parties ahead of the true time, or behind it if
// ahead is negative, for all requests from now on; 0 sets them right. Without
// parties it sets the clocks of all but PartyTLS. A party issues and judges
// certificates, tokens and nonces by its clock, and its answers have that Date.
// The certificates of the parties' CAs begin at the true time all the same, and
// end six years later or more. By the clock of PartyTLS the listener makes the
// certificates that it shows to new connections, each from an hour before until a
// year after.
//
// A device has its own clock, Provisioner.Now. SetClock panics if it does not
// know a party.
func (s *Server) SetClock(ahead time.Duration, parties ...Party) {
	if len(parties) == 0 {
		parties = []Party{PartyMaker, PartyAIK, PartyDirectory, PartyManagement, PartyAutopilot}
	}
	for _, p := range parties {
		c := s.clocks[p]
		if c == nil {
			panic(fmt.Sprintf("provisiontest: no party %q", p))
		}
		c.base.Store(int64(ahead))
	}
}

// A clock is the clock of one party.
type clock struct {
	lazy bool             // the party makes its keys at the first request to a path
	real func() time.Time // the party's own time; nil for time.Now
	base atomic.Int64     // a time.Duration: how far it is ahead, for all requests
	off  atomic.Int64     // a time.Duration: how much farther it is ahead while a fault is served
	mu   sync.RWMutex     // a request whose clock is off holds it alone
	made []string         // paths for which a lazy party has made keys
}

// set has a party use the clock; *now was the party's own time.
func (c *clock) set(now *func() time.Time) { c.real, *now = *now, c.now }

// now returns the time of the clock.
func (c *clock) now() time.Time {
	now := time.Now
	if c.real != nil {
		now = c.real
	}
	return now().Add(time.Duration(c.base.Load() + c.off.Load()))
}

// offKey is the key of the context value that says how far the clock is off for
// a request, a time.Duration.
type offKey struct{}

// withOff returns a request for which the party's clock is off.
func withOff(r *http.Request, off time.Duration) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), offKey{}, off))
}

// serve returns a party that has the clock. While a request is served for which
// the clock is off, other requests wait.
func (c *clock) serve(party http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		off, _ := r.Context().Value(offKey{}).(time.Duration)
		wrong := off != 0 || c.base.Load() != 0
		if wrong && c.lazy {
			c.makeKeys(party, r.URL.Path)
		}
		if off == 0 {
			c.mu.RLock()
			defer c.mu.RUnlock()
		} else {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.off.Store(int64(off))
			defer c.off.Store(0)
		}
		if wrong {
			w.Header().Set("Date", c.now().UTC().Format(http.TimeFormat))
		}
		party.ServeHTTP(w, r)
	})
}

// makeKeys has a lazy party make its keys for a path by the true time: a CA must
// not be made at a wrong one.
func (c *clock) makeKeys(party http.Handler, path string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.Contains(c.made, path) || len(c.made) >= maxMade {
		return
	}
	c.made = append(c.made, path)
	c.off.Store(-c.base.Load())
	defer c.off.Store(0)
	party.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path+"?operation=GetCACaps", nil))
}

// maxMade bounds the paths that a clock keeps in mind.
const maxMade = 1000
