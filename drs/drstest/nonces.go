package drstest

import (
	"encoding/base64"
	"time"

	"github.com/whiteglove/whiteglove/internal/kept"
)

const nonceLife = 10 * time.Minute // validity of a nonce

// nonces are the newest nonces that were issued and not used, with their expiry. The
// server's lock guards them.
type nonces struct{ kept.Map[string, time.Time] }

// issue issues a nonce: 32 random bytes in an encoding.
func (n *nonces) issue(now time.Time, enc *base64.Encoding) string {
	text, end := enc.EncodeToString(random(32)), now.Add(nonceLife)
	n.Put(text, end, now, end)
	return text
}

// valid reports whether a nonce was issued, is unused and has not expired.
func (n *nonces) valid(text string, now time.Time) bool {
	end, ok := n.Get(text)
	return ok && !now.After(end)
}

// use uses a nonce up, and reports whether it was valid.
func (n *nonces) use(text string, now time.Time) bool {
	end, ok := n.Take(text)
	return ok && !now.After(end)
}
