package drstest

import (
	"encoding/base64"
	"errors"
	"net/http"
	"time"

	"github.com/whiteglove/whiteglove/internal/kept"
)

// challenges are the challenges that were issued. The server's lock guards them. Those that
// were answered are known by their identifiers only, so that a second answer is refused
// as such and not as an answer to an unknown challenge.
type challenges struct {
	open     kept.Map[string, *challenge]
	perEK    map[[32]byte]int // how many are open for an endorsement key
	answered kept.Map[string, struct{}]
}

// keepChallenge keeps a challenge and returns its identifier.
func (s *Server) keepChallenge(ch *challenge) (string, error) {
	now := s.now()
	ch.expires = now.Add(challengeLife)
	id := base64.RawURLEncoding.EncodeToString(random(24))
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.challenges.add(id, ch, now) {
		return "", &refused{status: http.StatusTooManyRequests, code: "invalid_request", subcode: "error_throttled", retry: true, reason: errors.New("too many open challenges")}
	}
	return id, nil
}

// add adds a challenge, and reports whether there was room for it.
func (c *challenges) add(id string, ch *challenge, now time.Time) bool {
	for _, old := range c.open.Prune(now) {
		c.close(old)
	}
	if c.open.Len() >= challengeLimit || c.perEK[ch.ek] >= challengesPerEK {
		return false
	}
	if c.perEK == nil {
		c.perEK = make(map[[32]byte]int)
	}
	c.open.Put(id, ch, now, ch.expires)
	c.perEK[ch.ek]++
	return true
}

// close counts a challenge that is open no more.
func (c *challenges) close(old *challenge) {
	if c.perEK[old.ek]--; c.perEK[old.ek] == 0 {
		delete(c.perEK, old.ek)
	}
}

// useChallenge returns an open challenge and uses it up.
func (s *Server) useChallenge(id string) (*challenge, error) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, used := s.challenges.answered.Get(id); used {
		return nil, noGrant("invalid_grant", "tpm_challenge_replayed", 50155, "the challenge was answered before")
	}
	ch, ok := s.challenges.open.Get(id)
	switch {
	case !ok:
		return nil, noGrant("invalid_grant", "tpm_challenge_expired", 50155, "the challenge is unknown, or has expired")
	case now.After(ch.expires):
		return nil, noGrant("invalid_grant", "tpm_challenge_expired", 50155, "the challenge has expired")
	}
	s.challenges.open.Delete(id)
	s.challenges.close(ch)
	s.challenges.answered.Put(id, struct{}{}, now, now.Add(challengeMemory))
	return ch, nil
}

// challengeMemory is how long a challenge is known to have been answered.
const challengeMemory = 15 * time.Minute
