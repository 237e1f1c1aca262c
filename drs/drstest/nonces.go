package drstest

import (
	"crypto/rand"
	"encoding/base64"
	"time"
)

const (
	nonceLife  = 10 * time.Minute // validity of a nonce
	nonceLimit = 10000            // number of nonces that are kept
)

// nonces are the nonces that were issued and not used, with their expiry. The server's lock
// guards them.
type nonces map[string]time.Time

// issue issues a nonce: 32 random bytes in an encoding.
func (n *nonces) issue(now time.Time, enc *base64.Encoding) string {
	b := make([]byte, 32)
	// crypto/rand.Read does not fail: it ends the program first.
	_, _ = rand.Read(b)
	if *n == nil {
		*n = make(nonces)
	}
	n.prune(now)
	text := enc.EncodeToString(b)
	(*n)[text] = now.Add(nonceLife)
	return text
}

// prune removes expired nonces, and any others above the limit.
func (n *nonces) prune(now time.Time) {
	for text, end := range *n {
		if now.After(end) || len(*n) >= nonceLimit {
			delete(*n, text)
		}
	}
}

// valid reports whether a nonce was issued, is unused and has not expired.
func (n *nonces) valid(text string, now time.Time) bool {
	end, ok := (*n)[text]
	return ok && !now.After(end)
}

// use uses a nonce up, and reports whether it was valid.
func (n *nonces) use(text string, now time.Time) bool {
	ok := n.valid(text, now)
	delete(*n, text)
	return ok
}
