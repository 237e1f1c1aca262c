package drstest

import (
	"crypto/rand"
	"encoding/base64"
	"time"
)

// nonceLife is how long a nonce may be used, and nonceLimit how many are kept.
const (
	nonceLife  = 10 * time.Minute
	nonceLimit = 10000
)

// nonces are those given out and not yet used, with the end of their lives.
// The server's lock guards them.
type nonces map[string]time.Time

// issue returns a new nonce: base64url, or base64 with padding.
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

// prune forgets what has expired, and any others that are too many.
func (n *nonces) prune(now time.Time) {
	for text, end := range *n {
		if now.After(end) || len(*n) >= nonceLimit {
			delete(*n, text)
		}
	}
}

// valid reports whether a nonce is given out, not used and not expired.
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
